"""The parsers, on small files written here."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from data.public_files import write
from tastemaker import datasets
from tastemaker.data.public import coat, movielens, papers
from tastemaker.data.public.registry import SOURCES, Source
from tastemaker.errors import DataError


def test_ml_100k_as_tables(ml_100k: Path) -> None:
    data = movielens.ml_100k(ml_100k).dataset("mini")
    assert data.to_frame(("value", "timestamp")).rows() == [
        (7, 1, 5.0, 100_000_000),
        (8, 1, 3.0, 90_000_000),
        (7, 3, 1.0, 95_000_000),
        (8, 2, 2.0, 110_000_000),
    ]
    items = data.item_features.insert_column(0, data.items.ids.rename("id")).sort("id")
    assert items.rows(named=True) == [
        {
            "id": 1,
            "title": "Toy Story (1995)",
            "year": 1995,
            "release_date": date(1995, 1, 1),
            "genres": ["Animation", "Children's", "Comedy"],
        },
        {
            "id": 2,
            "title": "Misérables, Les (1995)",
            "year": 1995,
            "release_date": date(1996, 1, 1),
            "genres": [],
        },
        {"id": 3, "title": "unknown", "year": None, "release_date": None, "genres": ["unknown"]},
    ]
    assert data.user_features.rows(named=True) == [
        {"age": 24, "gender": "M", "occupation": "technician", "zip_code": "85711"},
        {"age": 53, "gender": "F", "occupation": "other", "zip_code": "T8H1N"},
    ]
    assert data.schema.scale == (1, 5)


def test_ml_100k_folds_are_in_the_order_of_their_files(ml_100k: Path) -> None:
    splits = movielens.ml_100k_folds(ml_100k, movielens.ml_100k(ml_100k).dataset("mini"))
    assert list(splits) == ["u1"]
    assert splits["u1"].train.to_frame(())["item"].to_list() == [1, 3]
    assert splits["u1"].test.to_frame(())["item"].to_list() == [2, 1]
    assert splits["u1"].test_only_users.tolist() == splits["u1"].train.users.encode([8]).tolist()


def test_a_fold_with_a_rating_that_is_not_in_the_data(ml_100k: Path) -> None:
    write(ml_100k, "u1.test", "8\t2\t2\t110\n8\t3\t3\t90\n")
    data = movielens.ml_100k(ml_100k).dataset("mini")
    with pytest.raises(DataError, match=r"u1\.test, line 2: 1 ratings are not in u\.data"):
        movielens.ml_100k_folds(ml_100k, data)


def test_ml_1m_as_tables(ml_1m: Path) -> None:
    tables = movielens.ml_1m(ml_1m)
    assert tables.interactions.rows() == [(1, 10, 5, 978300760), (2, 10, 1, 978302109), (1, 30, 3, 978301968)]
    assert tables.items is not None
    assert tables.items.rows() == [
        (10, "Toy Story: The Film (1995)", 1995, ["Animation", "Children's", "Comedy"]),
        (20, "Café | Bar (1968-1970)", 1968, ["Drama"]),
        (30, "M (1931)", 1931, ["Crime"]),
    ]
    assert tables.users is not None
    assert tables.users.rows() == [
        (1, "F", 1, "K-12 student", "48067"),
        (2, "M", 56, "self-employed", "70072-1234"),
    ]
    assert tables.dataset("mini").n_items == 3  # the one that nobody rated counts


def test_ml_1m_as_click_through_data(ml_1m: Path) -> None:
    data = movielens.ml_1m_clicks(ml_1m).dataset("mini")
    assert data.to_frame(("value", "timestamp")).rows() == [
        (1, 10, 1.0, 0),
        (2, 10, 0.0, 0),
    ]  # the 3 is left out
    assert data.schema.clicks
    assert data.schema.timestamp is None
    assert data.n_items == 3
    assert data.item_features.columns == ["title", "year", "genres"]
    assert data.user_features.columns == ["gender", "age", "occupation", "zip_code"]


def test_ml_latest_small_as_tables(tmp_path: Path) -> None:
    write(
        tmp_path,
        "ratings.csv",
        "userId,movieId,rating,timestamp\r\n1,1,4.0,964982703\r\n1,2,0.5,964981247\r\n",
    )
    write(
        tmp_path,
        "movies.csv",
        'movieId,title,genres\r\n1,"American President, The (1995)",Comedy|Drama\r\n2,Paterson,(no genres listed)\r\n',
    )
    tables = movielens.ml_latest_small(tmp_path)
    assert tables.interactions.rows() == [(1, 1, 4.0, 964982703), (1, 2, 0.5, 964981247)]
    assert tables.items is not None
    assert tables.items.rows() == [
        (1, "American President, The (1995)", 1995, ["Comedy", "Drama"]),
        (2, "Paterson", None, []),
    ]


def test_gowalla(gowalla: Path) -> None:
    data = papers.gowalla(gowalla).dataset("mini")
    pairs = data.to_frame(()).rows()
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (0, 4), (1, 1), (1, 3), (5, 0)]
    split = papers.gowalla_folds(gowalla, data)["test"]
    assert split.train.to_frame(()).rows() == pairs[:4]
    assert split.test.to_frame(()).rows() == pairs[4:]
    assert split.test.users.decode_list(split.test_only_users) == [5]
    assert sorted(split.test.items.decode_list(split.test_only_items)) == [0, 4]
    assert split.cold_rows == 2


def test_ncf_test_rows_have_their_negatives(ncf: Path) -> None:
    data = papers.ncf_ml_1m(ncf).dataset("mini")
    split = papers.ncf_ml_1m_folds(ncf, data)["test"]
    assert split.test.to_frame(("value",)).rows() == [(0, 0, 5.0), (1, 1, 2.0)]
    assert len(split.train) == len(data) - 2
    assert split.negatives is not None
    assert split.negatives.dtype == np.int32
    assert [data.items.decode_list(row) for row in split.negatives] == [list(range(2, 101))] * 2
    assert "99 sampled negatives" in split.report()


def test_sasrec_leaves_out_the_last_two_rows(tmp_path: Path) -> None:
    write(tmp_path, "ml-1m.txt", "1 5\n1 3\n1 4\n2 3\n2 4\n2 5\n")
    split = papers.sasrec_ml_1m_folds(tmp_path, papers.sasrec_ml_1m(tmp_path).dataset("mini"))["test"]
    assert split.validation is not None
    assert split.train.to_frame(()).rows() == [(1, 5), (2, 3)]
    assert split.validation.to_frame(()).rows() == [(1, 3), (2, 4)]
    assert split.test.to_frame(()).rows() == [(1, 4), (2, 5)]


def test_coat(coat_folder: Path) -> None:
    data = coat.coat(coat_folder).dataset("mini")
    assert data.to_frame(("value",)).rows() == [(0, 1, 5.0, 0.25), (289, 299, 2.0, 0.125)]
    assert (data.n_users, data.n_items) == (290, 300)
    about = data.user_features[data.users.encode([3, 4])]
    assert about.rows() == [("over 60", "urban"), ("20-30", "urban")]
    assert data.item_features[data.items.encode([299])].rows() == [("olive",)]
    split = coat.coat_folds(coat_folder, data)["random"]
    assert split.test.to_frame(("value",)).rows() == [(0, 1, 4.0, 16 / 300), (3, 0, 1.0, 16 / 300)]
    assert split.train.to_frame(("value",)).rows() == [(289, 299, 2.0, 0.125)]  # (0, 1) is tested on


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(DataError, match="no public data set is called 'ml-1M'; there are: ml-100k, ml-1m, "):
        datasets.load("ml-1M")


def test_a_name_is_loaded_from_the_data_folder(
    ml_1m: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATA", str(tmp_path))
    changes = {"folder": ".", "interactions": 3, "users": 2, "items": 3}
    monkeypatch.setitem(SOURCES, "ml-1m", Source(**{**vars(SOURCES["ml-1m"]), **changes}))
    data = datasets.load("ml-1m")
    assert (len(data), data.schema.name) == (3, "ml-1m")
    (entry,) = [entry for entry in datasets.overview() if entry.name == "ml-1m"]
    assert (entry.interactions, entry.feedback, Path(entry.where)) == (3, "ratings", tmp_path)
    assert datasets.table().height == len(datasets.names())
    with pytest.raises(DataError, match="ml-1m was published without a split"):
        datasets.folds("ml-1m")
    write(ml_1m, "ratings.dat", "1::10::5::978300760\n2::10::1::978302109\n")  # cut off between two lines
    with pytest.raises(
        DataError, match=r"ratings\.dat: expected 3 interactions of 2 users with 3 items, got 2 inter"
    ):
        datasets.load("ml-1m")
