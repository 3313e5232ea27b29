"""Lists for everyone in a file are the lists that `recommend` gives."""

from pathlib import Path

import polars as pl
import pytest

import tastemaker as tm
from tastemaker.errors import DataError
from tastemaker.models import export
from tastemaker.models.export import recommend_to_parquet


@pytest.fixture(scope="module")
def model() -> tm.ItemKNN:
    return tm.ItemKNN().fit(tm.datasets.world(users=70, items=50, seed=4).dataset)


def test_the_file_has_the_lists(model: tm.ItemKNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_QUERIES_AT_ONCE", 16)
    path = tmp_path / "lists.parquet"
    rows = recommend_to_parquet(model, path, k=5, filter="year > 2000")
    written = pl.read_parquet(path)
    expected = model.recommend(k=5, filter="year > 2000").to_polars().drop("query")
    assert rows == written.height
    assert written.equals(expected)
    assert [p.name for p in tmp_path.iterdir()] == ["lists.parquet"]


def test_some_users(model: tm.ItemKNN, tmp_path: Path) -> None:
    recommend_to_parquet(model, tmp_path / "two.parquet", users=["alice", "bob"], k=3)
    assert pl.read_parquet(tmp_path / "two.parquet")["user"].unique().sort().to_list() == ["alice", "bob"]


def test_a_failure_leaves_what_was_there(model: tm.ItemKNN, tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    recommend_to_parquet(model, path, users=["alice"], k=3)
    before = path.read_bytes()
    with pytest.raises(DataError, match="no_such_column"):
        recommend_to_parquet(model, path, filter="no_such_column > 1")
    with pytest.raises(DataError, match="there are no users"):
        recommend_to_parquet(model, path, users=[])
    for folder in (tmp_path, "."):
        with pytest.raises(DataError, match="is a folder"):
            recommend_to_parquet(model, folder)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["lists.parquet"]
