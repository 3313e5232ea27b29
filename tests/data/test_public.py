"""The parsers, on small files written here; damage is named by file and line."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker import datasets
from tastemaker.data.public import coat, movielens, papers
from tastemaker.data.public.registry import SOURCES, Source
from tastemaker.data.public.tables import Tables
from tastemaker.data.public.text import read_lists, read_quoted, read_rows
from tastemaker.errors import DataError

GENRES = ["unknown", "Action", "Adventure", "Animation", "Children's", "Comedy"]


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def ml_100k(tmp_path: Path) -> Path:
    write(tmp_path, "u.genre", "".join(f"{g}|{i}\n" for i, g in enumerate(GENRES)) + "\n")
    write(
        tmp_path,
        "u.item",
        "1|Toy Story (1995)|01-Jan-1995||http://imdb/?Toy%20Story|0|0|0|1|1|1\n"
        "2|Misérables, Les (1995) |01-Jan-1996|||0|0|0|0|0|0\n"
        "3|unknown||||1|0|0|0|0|0\n",
        "latin-1",
    )
    write(tmp_path, "u.user", "7|24|M|technician|85711\n8|53|F|other|T8H1N\n")
    write(tmp_path, "u.data", "7\t1\t5\t100\n8\t1\t3\t90\n7\t3\t1\t95\n8\t2\t2\t110\n")
    write(tmp_path, "u1.base", "7\t1\t5\t100\n7\t3\t1\t95\n")
    write(tmp_path, "u1.test", "8\t2\t2\t110\n8\t1\t3\t90\n")
    return tmp_path


@pytest.fixture
def ml_1m(tmp_path: Path) -> Path:
    write(tmp_path, "ratings.dat", "1::10::5::978300760\n2::10::1::978302109\n1::30::3::978301968\n")
    write(tmp_path, "users.dat", "1::F::1::10::48067\n2::M::56::16::70072-1234\n")
    write(
        tmp_path,
        "movies.dat",
        "10::Toy Story: The Film (1995)::Animation|Children's|Comedy\n20::Café | Bar (1968-1970)::Drama\n30::M (1931)::Crime\n",
        "latin-1",
    )
    return tmp_path


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


@pytest.fixture
def gowalla(tmp_path: Path) -> Path:
    write(tmp_path, "train.txt", "0 1 2 3\n1 2 \n5\n")
    write(tmp_path, "test.txt", "0 4\n1 1 3\n5 0")
    return tmp_path


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


@pytest.fixture
def ncf(tmp_path: Path) -> Path:
    n = 2 + papers._NEGATIVES
    train = [(user, item, 4, 10 + item) for user in (0, 1) for item in range(user + 1, n)]
    write(tmp_path, "ml-1m.train.rating", "".join("\t".join(map(str, row)) + "\n" for row in train))
    write(tmp_path, "ml-1m.test.rating", "0\t0\t5\t999\n1\t1\t2\t999\n")
    negatives = [f"({u},{u})\t" + "\t".join(str(i) for i in range(2, n)) + "\n" for u in (0, 1)]
    write(tmp_path, "ml-1m.test.negative", "".join(negatives))
    return tmp_path


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


@pytest.fixture
def coat_folder(tmp_path: Path) -> Path:
    def matrix(
        name: str, cells: dict[tuple[int, int], object], shape: tuple[int, int], blank: str = "0"
    ) -> None:
        rows = [" ".join(str(cells.get((r, c), blank)) for c in range(shape[1])) for r in range(shape[0])]
        write(tmp_path, name, " \r\n".join(rows))

    matrix("train.ascii", {(0, 1): 5, (289, 299): 2}, (290, 300))
    matrix("test.ascii", {(0, 1): 4, (3, 0): 1}, (290, 300))
    matrix("propensities.ascii", {(0, 1): "2.5e-01", (289, 299): ".125"}, (290, 300), blank="1e-2")
    ages = {(u, u % 2): 1 for u in range(290)} | {(u, 2): 1 for u in range(290)}
    matrix("user_item_features/user_features.ascii", ages, (290, 4))
    write(
        tmp_path,
        "user_item_features/user_features_map.txt",
        "age:20-30\nage:over 60\nlocation:urban\nlocation:rural",
    )
    matrix("user_item_features/item_features.ascii", {(i, i % 3): 1 for i in range(300)}, (300, 3))
    write(tmp_path, "user_item_features/item_features_map.txt", "color:red\ncolor:blue\ncolor:olive\n")
    return tmp_path


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


# --- damage

Parser = Callable[[Path], Tables]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "u.data",
            "7\t1\t5\t100\n8\t1\t3\n",
            r"line 2: expected 4 fields separated by '\\t' \(user, .*got 3: '8\\t1\\t3'",
        ),
        ("u.data", "7\t1\t5\t100\t0\n8\t1\t3\t1\n", r"line 1: expected 4 fields .*, got 5"),
        ("u.data", "7\t1\t5\t100\n8\t1\t3\t9\t9\n7\t3\t1\n", r"line 2: expected 4 fields .*, got 5"),
        (
            "u.data",
            "7\t1\t5\t100\n8\t1\tfive\t90\n",
            r"line 2: rating must be a whole number, got 'five' in '8\\t1\\tfive",
        ),
        ("u.data", "7\t1\t5\t100\n\n8\t1\t3\t90\n", r"line 2: expected 4 fields .*, got 1: ''"),
        ("u.data", "7\t1\t\t100\n", r"line 1: rating must be a whole number, got ''"),
        ("u.data", "7,1,5,100\n", r"line 1: expected 4 fields .*, got 1: '7,1,5,100'"),
        ("u.data", "", r"no rows in 0 bytes"),
        ("u.data", "\n\n", r"no rows in 2 bytes"),
        (
            "u.item",
            "1|Toy|01-Jan-1995||u|0|0|0|1|1|1\n2|Café|x||u|0|0\n",
            r"line 2: expected 11 fields .*, got 7",
        ),
        ("u.item", "1||01-Jan-1995||u|0|0|0|1|1|1\n", r"line 1: title must be text, got ''"),
        ("u.genre", "unknown|0\nAction|x\n", r"line 2: at must be a whole number, got 'x'"),
    ],
)
def test_damage_in_ml_100k_is_named(ml_100k: Path, name: str, text: str, told: str) -> None:
    write(ml_100k, name, text)
    with pytest.raises(DataError, match=rf"{name}.*{told}.*is damaged or is another file; replace it"):
        movielens.ml_100k(ml_100k)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "ratings.dat",
            "1::10::5::97\n2::10::1\n",
            r"line 2: expected 4 fields separated by '::' .*, got 3: '2::10::1'",
        ),
        ("ratings.dat", "1::10::5::97\n2:10:1:98\n", r"line 2: expected 4 fields .* got 1: '2:10:1:98'"),
        (
            "users.dat",
            "1::F::1::10::48067\n2::M::25::21::1\n",
            r"line 2: no occupation 21; they go from 0 to 20",
        ),
        (
            "movies.dat",
            "10::Toy (1995)::Comedy\nx::M (1931)::Crime\n",
            r"line 2: item must be a whole number, got 'x'",
        ),
    ],
)
def test_damage_in_ml_1m_is_named(ml_1m: Path, name: str, text: str, told: str) -> None:
    write(ml_1m, name, text)
    with pytest.raises(DataError, match=rf"{name}.*{told}"):
        movielens.ml_1m(ml_1m)


def test_a_missing_file_is_named(ml_1m: Path) -> None:
    (ml_1m / "users.dat").unlink()
    with pytest.raises(DataError, match=r"users\.dat cannot be read: No such file"):
        movielens.ml_1m(ml_1m)


def test_a_repeated_rating_and_one_off_the_scale_are_refused(ml_1m: Path) -> None:
    write(ml_1m, "ratings.dat", "1::10::5::97\n2::10::1::98\n1::10::4::99\n")
    with pytest.raises(DataError, match="mini: 1 interactions repeat a user and item"):
        movielens.ml_1m(ml_1m).dataset("mini")
    write(ml_1m, "ratings.dat", "1::10::5::97\n2::10::6::98\n")
    with pytest.raises(DataError, match="outside the declared scale 1–5"):
        movielens.ml_1m(ml_1m).dataset("mini")


def test_damage_in_latest_small_is_named(tmp_path: Path) -> None:
    write(tmp_path, "ratings.csv", "userId,movieId,rating\n1,1,4.0\n")
    with pytest.raises(
        DataError, match=r"ratings\.csv, line 1: expected the header 'userId,movieId,rating,timestamp'"
    ):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,9\n1,2,4.0.1,9\n")
    with pytest.raises(DataError, match=r"ratings\.csv, line 3: rating must be a number, got '4\.0\.1'"):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "ratings.csv", "userId,movieId,rating,timestamp\n1,1,4.0,9\n")
    write(tmp_path, "movies.csv", 'movieId,title,genres\n1,"A\nB (1990)",Drama\n2,Broken\n')
    with pytest.raises(DataError, match=r"movies\.csv, line 4: expected 3 fields .*, got 2: '2,Broken'"):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "movies.csv", "movieId,name,genres\n1,A,Drama\n")
    with pytest.raises(
        DataError, match=r"movies\.csv, line 1: no column title; there are: movieId, name, genres"
    ):
        movielens.ml_latest_small(tmp_path)
    write(tmp_path, "movies.csv", "movieId,title,genres\nx,A,Drama\n")
    with pytest.raises(DataError, match=r"movies\.csv.*movieId must be a whole number, got 'x'"):
        movielens.ml_latest_small(tmp_path)


def test_damage_in_lists_is_named(gowalla: Path, ncf: Path) -> None:
    write(gowalla, "test.txt", "0 4\n1 1 x3 5\n")
    with pytest.raises(
        DataError, match=r"test\.txt, line 2: expected a whole number, got 'x3' in '1 1 x3 5'"
    ):
        papers.gowalla(gowalla)
    data = papers.ncf_ml_1m(ncf).dataset("mini")
    whole = (ncf / "ml-1m.test.negative").read_text()
    write(ncf, "ml-1m.test.negative", whole[:-8])
    with pytest.raises(DataError, match=r"negative, line 2: expected 101 numbers, got 99"):
        papers.ncf_ml_1m_folds(ncf, data)
    write(ncf, "ml-1m.test.negative", whole.replace("(1,1)", "(1,0)"))
    with pytest.raises(DataError, match=r"negative, line 2: expected user and item \[1, 1\], got \[1, 0\]"):
        papers.ncf_ml_1m_folds(ncf, data)


def test_damage_in_matrices_is_named(coat_folder: Path) -> None:
    text = (coat_folder / "train.ascii").read_text()
    write(coat_folder, "train.ascii", text[: len(text) // 2])
    with pytest.raises(
        DataError, match=r"train\.ascii, line 145: expected 300 numbers, got|expected 290 lines, got 145"
    ):
        coat.coat(coat_folder)
    write(coat_folder, "train.ascii", text)
    write(
        coat_folder,
        "user_item_features/user_features_map.txt",
        "age:20-30\nage\nlocation:urban\nlocation:rural",
    )
    with pytest.raises(DataError, match=r"user_features_map\.txt, line 2: expected group:level, got 'age'"):
        coat.coat(coat_folder)


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "a\t1\ncafé\t2\n", "latin-1")
    schema = {"name": pl.String, "n": pl.Int64}
    with pytest.raises(DataError, match=r"x\.tsv, line 2: not utf-8 text"):
        read_rows(path, schema)
    assert read_rows(path, schema, encoding="latin-1").rows() == [("a", 1), ("café", 2)]


def test_an_optional_field_may_be_empty_but_not_left_out(tmp_path: Path) -> None:
    schema = {"n": pl.Int64, "note": pl.String}
    path = write(tmp_path, "x.tsv", "1\tgood\n2\t\n")
    assert read_rows(path, schema, optional={"note"}).rows() == [(1, "good"), (2, None)]
    write(tmp_path, "x.tsv", "1\tgood\n2\n")
    with pytest.raises(DataError, match=r"x\.tsv, line 2: expected 2 fields .*, got 1: '2'"):
        read_rows(path, schema, optional={"note"})


def test_a_quote_is_text_in_an_unquoted_file_and_not_in_a_quoted_one(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", 'n,title\n1,"Babe"\n')
    assert read_rows(path, {"n": pl.Int64, "title": pl.String}, separator=",", header="n,title").rows() == [
        (1, '"Babe"')
    ]
    assert read_quoted(path, ["title", "n"]).rows() == [("Babe", "1")]


def test_lists_of_any_length(tmp_path: Path) -> None:
    path = write(tmp_path, "x.txt", "1 2\t3\n\n4 \n")
    with pytest.raises(DataError, match="line 2: expected a whole number, got ''"):
        read_lists(path)
    write(tmp_path, "x.txt", " 1 2\t3\n4 \n")
    assert read_lists(path).to_list() == [[1, 2, 3], [4]]


# --- by name


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
