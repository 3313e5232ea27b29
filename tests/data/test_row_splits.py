"""Rows drawn whoever's they are, and items that lose all their interactions."""

import numpy as np
import pytest

from tastemaker.data import Dataset
from tastemaker.data.row_splits import cold_items, random_rows
from tastemaker.data.splits import Split
from tastemaker.errors import DataError


def impressions(n: int = 1000) -> Dataset:
    random = np.random.default_rng(0)
    table = {"user": random.integers(0, 50, n), "item": random.integers(0, 20, n), "row": np.arange(n)}
    return Dataset.from_impressions(
        table | {"label": random.integers(0, 2, n)}, context=["row"], name="some impressions"
    )


def rows_of(split: Split) -> list[list[int]]:
    assert split.validation is not None
    return [part.context["row"].to_list() for part in (split.train, split.validation, split.test)]


def test_random_rows_are_parted_whole_and_in_order() -> None:
    data = impressions()
    parts = rows_of(random_rows(data, test=0.1, validation=0.1, seed=3))
    assert [len(rows) for rows in parts] == [800, 100, 100]
    assert sorted(row for rows in parts for row in rows) == list(range(1000))
    assert all(rows == sorted(rows) for rows in parts)
    assert rows_of(random_rows(data, seed=3)) == parts
    assert rows_of(random_rows(data, seed=4)) != parts


def test_random_rows_without_validation() -> None:
    split = random_rows(impressions(), test=0.25, validation=0)
    assert split.validation is None
    assert (len(split.train), len(split.test)) == (750, 250)
    assert split.report().startswith("random rows: 25% of the rows, at random (seed 0)")


def test_shares_of_rows_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must leave something, got 0\.5 and 0\.5"):
        random_rows(impressions(), test=0.5, validation=0.5)
    with pytest.raises(ValueError, match="test must be a share above 0"):
        random_rows(impressions(), test=0)
    with pytest.raises(DataError, match="some impressions: 4 rows are too few to part so"):
        random_rows(impressions(4))


def test_cold_items_have_no_training_interactions_and_are_the_candidates() -> None:
    table = {"user": np.repeat(np.arange(30), 20), "item": np.tile(np.arange(20), 30)}
    features = {"item": range(25), "size": range(25)}  # five items that nobody had
    data = Dataset.from_interactions(table, item_features=features)
    split = cold_items(data, share=0.1, seed=1)
    assert split.candidates is not None
    assert len(split.candidates) == 2
    assert split.candidates.max() < 20
    assert np.unique(split.test.item).tolist() == split.candidates.tolist()
    assert np.intersect1d(split.train.item, split.candidates).size == 0
    assert len(split.train) + len(split.test) == len(data)
    assert split.test_only_items.tolist() == split.candidates.tolist()
    assert "lists are chosen from 2 items" in split.report()
    assert not np.array_equal(cold_items(data, share=0.1, seed=2).candidates, split.candidates)


def test_all_items_cannot_be_cold() -> None:
    with pytest.raises(DataError, match="a part is empty: 0 training rows"):
        cold_items(Dataset.from_interactions({"user": [1, 2], "item": [7, 8]}), share=1)
