"""The public data sets as published: counts, splits and digests."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker import datasets
from tastemaker.data.public.registry import SOURCES


@pytest.mark.real_data
@pytest.mark.parametrize("name", [n for n in SOURCES if n != "ml-latest-small"])
def test_published_data_loads_with_the_published_counts(real_data: Path, name: str) -> None:
    data = datasets.load(name)
    entry = SOURCES[name]
    assert (len(data), data.n_users, data.n_items) == (entry.interactions, entry.users, entry.items)
    assert data.schema.explicit == (entry.feedback == "ratings")
    assert data.schema.clicks == (entry.feedback == "clicks")


@pytest.mark.real_data
def test_published_ml_1m(real_data: Path) -> None:
    data = datasets.load("ml-1m")
    assert len(np.unique(data.item)) == 3706
    item = data.items.encode([73])
    assert data.item_features[item].rows() == [("Misérables, Les (1995)", 1995, ["Drama", "Musical"])]
    assert data.item_features["year"].null_count() == 0
    assert data.user_features[data.users.encode([1])].rows() == [("F", 1, "K-12 student", "48067")]
    assert data.value.mean() == pytest.approx(3.581564, abs=1e-6)


@pytest.mark.real_data
def test_published_ml_1m_as_click_through_data(real_data: Path) -> None:
    data = datasets.load("ml-1m-clicks")
    assert int(data.value.sum()) == 348_971 + 226_310  # ratings of 4 and of 5
    assert data.schema.timestamp is None


@pytest.mark.real_data
def test_published_ml_100k_folds(real_data: Path) -> None:
    splits = datasets.folds("ml-100k")
    assert list(splits) == ["u1", "u2", "u3", "u4", "u5", "ua", "ub"]
    tested = [
        {tuple(pair) for pair in np.c_[split.test.user, split.test.item].tolist()}
        for split in splits.values()
    ]
    assert len(set().union(*tested[:5])) == 99_997  # u4 and u5 as published test 3 ratings twice
    assert len(tested[3] & tested[4]) == 3
    assert [len(t) for t in tested] == [20_000] * 5 + [9_430] * 2
    assert not tested[5] & tested[6]
    for split, pairs in zip(splits.values(), tested, strict=True):
        assert not pairs & {tuple(pair) for pair in np.c_[split.train.user, split.train.item].tolist()}
        assert len(split.train) + len(split.test) == 100_000
    unknown = splits["u1"].train.item_features.row(by_predicate=pl.col("title") == "unknown", named=True)
    assert (unknown["year"], unknown["genres"]) == (None, ["unknown"])


@pytest.mark.real_data
def test_published_splits_of_papers(real_data: Path) -> None:
    gowalla = datasets.folds("gowalla")["test"]
    assert (len(gowalla.train), len(gowalla.test), gowalla.cold_rows) == (810_128, 217_242, 0)
    ncf = datasets.folds("ncf-ml-1m")["test"]
    assert (len(ncf.train), len(ncf.test)) == (994_169, 6_040)
    assert ncf.negatives is not None
    assert ncf.negatives.min() >= 0
    assert (ncf.negatives == ncf.test.item[:, None]).any(axis=1).sum() == 156
    sasrec = datasets.folds("sasrec-ml-1m")["test"]
    assert sasrec.validation is not None
    assert (len(sasrec.train), len(sasrec.validation), len(sasrec.test)) == (987_531, 6_040, 6_040)
    random = datasets.folds("coat")["random"]
    assert (len(random.train), len(random.test)) == (6_960 - 366, 4_640)
    assert set(np.bincount(random.test.user)) == {16}
    assert random.train.matrix().multiply(random.test.matrix()).count_nonzero() == 0


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["gowalla", "ncf-ml-1m", "sasrec-ml-1m"])
def test_published_files_have_the_registered_digests(real_data: Path, name: str) -> None:
    entry = SOURCES[name]
    for download in entry.downloads:
        content = (real_data / entry.folder / download.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == download.sha256
