"""Click-through data: every row stays, labels are 0 or 1, and only clicks are history."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Catalogue, Dataset
from tastemaker.data.splits import global_time, holdout, k_fold
from tastemaker.errors import DataError

SHOWN = {
    "who": ["ann", "ann", "bob", "ann", "bob", "ann"],
    "ad": ["tea", "tea", "jam", "tea", "tea", "jam"],
    "click": [0, 1, 0, 1, 0, 1],
    "at": [50, 40, 30, 60, 20, 10],
    "hour": [8, 20, 8, 9, 9, 10],
}
NAMES = {"user": "who", "item": "ad", "label": "click"}


def shown(**options: object) -> Dataset:
    return Dataset.from_impressions(SHOWN, **NAMES, **options)


def test_every_row_stays_in_its_order() -> None:
    data = shown(timestamp="at", context=["hour"])
    assert data.to_frame(("value",)).rows() == [
        ("ann", "tea", 0.0, 8),
        ("ann", "tea", 1.0, 20),
        ("bob", "jam", 0.0, 8),
        ("ann", "tea", 1.0, 9),
        ("bob", "tea", 0.0, 9),
        ("ann", "jam", 1.0, 10),
    ]
    assert data.schema.clicks
    assert not data.schema.explicit
    assert (data.schema.label, data.schema.rating, data.schema.scale) == ("click", None, None)
    assert repr(data) == "Dataset(impressions: 6 impressions, 2 users, 2 items, 50.00% clicked)"


def test_clicks_are_each_pair_once_at_its_last_click_with_its_weight() -> None:
    table = SHOWN | {"counts": [9, 1, 9, 2, 9, 4]}
    data = Dataset.from_impressions(table, **NAMES, timestamp="at", weight="counts", context=["hour"])
    clicked = data.clicked
    assert clicked.to_frame(("value", "weight", "timestamp")).rows() == [
        ("ann", "tea", 1.0, 3.0, 60_000_000, 9),
        ("ann", "jam", 1.0, 4.0, 10_000_000, 10),
    ]
    assert not clicked.schema.clicks
    assert clicked.users is data.users
    assert clicked.clicked is clicked
    assert data.implicit() is clicked


def test_histories_and_matrix_hold_clicks_only() -> None:
    data = shown(timestamp="at")
    assert data.by_user.indptr.tolist() == [0, 2, 2]
    assert data.items.decode_list(data.by_user.indices) == ["jam", "tea"]  # oldest first
    assert data.by_item.lengths.tolist() == [1, 1]
    assert data.matrix("weight").toarray().tolist() == [[2.0, 1.0], [0.0, 0.0]]
    assert np.array_equal(Catalogue.of(data).history.indices, data.by_user.indices)


def test_nobody_clicked() -> None:
    data = Dataset.from_impressions({"user": [1, 2], "item": [7, 7], "label": [0, 0]})
    assert len(data.clicked) == 0
    assert data.by_user.lengths.tolist() == [0, 0]


@pytest.mark.parametrize(
    "labels",
    [
        [True, False],
        [1, 0],
        [1.0, 0.0],
        ["1", "0"],
        pl.Series([1, 0], dtype=pl.UInt8),
    ],
    ids=["bool", "int", "float", "text", "uint8"],
)
def test_labels_may_be_of_any_type_that_says_yes_or_no(labels: object) -> None:
    data = Dataset.from_impressions({"user": [1, 1], "item": [7, 8], "label": labels})
    assert data.value.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [1, 5, 0, 2],
            r"impressions, column 'label': 2 labels are neither 0 nor 1; row 2: 5, row 4: 2\. For rat",
        ),
        ([1, 0.5, 0, 0], r"1 labels are neither 0 nor 1; row 2: 0\.5\."),
        ([1, -1, 0, 0], r"row 2: -1"),
        ([1, None, 0, 0], r"column 'label': 1 values are missing, NaN or infinite; row 2: None"),
        ([1, float("nan"), 0, 0], r"1 values are missing, NaN or infinite; row 2: nan"),
        (["yes", "no", "1", "0"], r"2 values are not numbers; row 1: 'yes', row 2: 'no'"),
    ],
)
def test_other_labels_are_refused_with_their_rows(labels: list[object], message: str) -> None:
    table = pl.DataFrame({"user": [1, 1, 2, 2], "item": [7, 8, 7, 8]}).with_columns(
        pl.Series("label", labels, strict=False)
    )
    with pytest.raises(DataError, match=message):
        Dataset.from_impressions(table)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="impressions: no column 'label'; there are: 'who', 'ad', 'click'"):
        Dataset.from_impressions(SHOWN, user="who", item="ad")


def test_context_is_a_list() -> None:
    with pytest.raises(
        DataError, match=r"impressions: context is a list of columns, got 'hour'; write \['hour'\]"
    ):
        shown(context="hour")


def test_saved_and_loaded(tmp_path: Path) -> None:
    data = shown(timestamp="at", context=["hour"], item_features={"ad": ["jam", "pie"], "price": [3, 4]})
    back = Dataset.load(data.save(tmp_path / "shown"))
    assert back.schema == data.schema
    assert back.schema.clicks
    assert back.fingerprint == data.fingerprint
    assert back.to_frame().equals(data.to_frame())
    assert back.item_features["price"].to_list() == [None, 3, 4]
    assert back.by_user.lengths.tolist() == [2, 0]


def test_splits_part_rows_and_a_pair_may_be_in_both_parts() -> None:
    data = shown(timestamp="at", context=["hour"])
    late = global_time(data, fraction=0.5)
    assert late.test.context["hour"].to_list() == [8, 20, 9]
    assert late.train.context["hour"].to_list() == [8, 9, 10]
    assert late.test.schema.clicks
    assert sum(len(split.test) for split in k_fold(data, folds=3)) == 6
    assert len(holdout(data, ratings=0.5).test) == 3
