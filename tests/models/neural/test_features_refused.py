"""What the pipeline is given that it cannot use is one clear error; what differs in form alone is the same."""

from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

import tastemaker as tm
from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.models.neural.features import FittedFeatures, fit_features
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Feature,
    FeatureSpec,
    Id,
    Numeric,
    Vector,
    as_spec,
)


def column(values: Any, dtype: Any = None) -> pl.Series:
    return values.alias("x") if isinstance(values, pl.Series) else pl.Series("x", values, dtype=dtype)


def fitted(feature: Feature, values: Any, dtype: Any = None) -> FittedFeatures:
    """A feature of as many items as there are values, each of which one user took."""
    x = column(values, dtype)
    rows = {"user": np.arange(len(x)), "item": np.arange(len(x))}
    table = pl.DataFrame({"item": np.arange(len(x)), "x": x})
    return fit_features(FeatureSpec(item=(feature,)), Dataset.from_interactions(rows, item_features=table))


def rows(features: FittedFeatures, values: Any, dtype: Any = None) -> list[int]:
    found: list[int] = features.item(pl.DataFrame({"x": column(values, dtype)})).ids[:, 0].tolist()
    return found


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([timedelta(1)], None),
        ([time(5)], None),
        ([2**70], pl.Int128),
        ([b"a"], None),
        ([{"a": 1}], None),
        ([[1]], None),
        ([1.5], None),
        ([float("inf")], None),
        ([1, "a"], pl.Object),
    ],
    ids=["duration", "time", "int128", "bytes", "struct", "list", "fraction", "infinite", "mixed"],
)
@pytest.mark.parametrize("buckets", [None, 10])
def test_what_is_no_value_of_a_category_is_refused(values: Any, dtype: Any, buckets: int | None) -> None:
    with pytest.raises(
        DataError, match=r"feature 'item\.x': expected text, whole numbers, booleans or dates"
    ):
        fitted(Categorical("x", buckets=buckets), values, dtype)


@pytest.mark.parametrize(("dtype", "first"), [(pl.Float32, 2**24), (pl.Float64, 2**53)])
def test_whole_numbers_that_floats_have_merged_are_refused(dtype: Any, first: int) -> None:
    assert rows(fitted(Categorical("x"), [first - 1, first - 2], dtype), [first - 2, first - 1]) == [1, 2]
    with pytest.raises(DataError, match=f"{first} as Float.* may be another id rounded"):
        fitted(Categorical("x"), [1, first], dtype)
    with pytest.raises(DataError, match=f"column 'user': {first} as Float.* as integers or text"):
        Dataset.from_interactions({"user": pl.Series([first], dtype=dtype), "item": ["tea"]})


def test_the_same_moment_is_the_same_value_in_any_unit() -> None:
    moments = [datetime(2024, 1, 1, 5, 0, 1), datetime(2024, 1, 2)]
    features = fitted(Categorical("x"), moments)
    for unit in ("ms", "us", "ns"):
        assert rows(features, pl.Series(moments).cast(pl.Datetime(unit))) == [1, 2]  # type: ignore[arg-type]
    assert rows(features, pl.Series(moments).dt.replace_time_zone("Asia/Tokyo")) == [1, 2]
    assert rows(features, [date(2024, 1, 2), date(2024, 1, 1), None]) == [2, 0, 0]
    assert rows(features, ["2024-01-02"]) == [2]


@pytest.mark.parametrize("values", [[["a", "b"]], [[[1.0]]], [["1"]]])
def test_vectors_are_of_numbers(values: Any) -> None:
    with pytest.raises(
        DataError, match=r"feature 'item\.x': expected vectors \(lists of numbers\), got List"
    ):
        fitted(Vector("x"), values)


def test_numbers_out_of_all_proportion_are_refused() -> None:
    features = fitted(Numeric("x"), [1.0, 2.0])
    with pytest.raises(DataError, match=r"feature 'item\.x': 1e\+300 is too large beside 1\.5"):
        features.item(pl.DataFrame({"x": [1.0, 1e300]}))
    with pytest.raises(
        DataError, match=r"feature 'item\.x': numbers are too large to be standardised; use tra"
    ):
        fitted(Numeric("x"), [1e300, -1e300])


def test_numbers_that_differ_by_rounding_are_the_same() -> None:
    features = fitted(Numeric("x"), [0.1 + 0.2, 0.3])
    assert features.item(pl.DataFrame({"x": [0.3, 2.3]})).dense[:, 0] == pytest.approx([0, 2])


def test_rows_of_no_one() -> None:
    features = fitted(Bag("x"), [["a"], ["b"]])
    nothing = features.item(pl.DataFrame({"x": []}, schema={"x": pl.List(pl.String)}))
    assert (len(nothing), nothing.bags[0].indptr.tolist()) == (0, [0])


def test_no_features_at_all_are_refused() -> None:
    data = Dataset.from_interactions({"user": [1], "item": [2]})
    with pytest.raises(DataError, match="the specification has no features at all"):
        fit_features(FeatureSpec(), data)
    with pytest.raises(DataError, match="two_tower needs features of both sides"):
        tm.TwoTower(features=FeatureSpec(user=(Id("user"),))).fit(data)


@pytest.mark.parametrize("kind", [tm.TwoTower, tm.DeepFM, tm.LogisticRegression])
def test_weights_of_nothing_teach_nothing(kind: Any) -> None:
    rows = {"user": [1, 2], "item": [1, 2], "label": [0, 1], "weight": [0, 0]}
    with pytest.raises(DataError, match="needs interactions with a weight above 0, and impressions has none"):
        kind().fit(Dataset.from_impressions(rows, weight="weight"))


def test_a_mapping_has_columns() -> None:
    model = tm.TwoTower(factors=2, hidden=(2,), epochs=1)
    data = Dataset.from_interactions(
        {"user": [1], "item": [2]}, user_features={"user": [1], "taste": ["tea"]}
    )
    with pytest.raises(
        DataError, match=r"'taste': expected a list with one value a row, got 'jam'; write \["
    ):
        model.fit(data).recommend(features={"taste": "jam"})


@pytest.mark.parametrize("kind", [tm.TwoTower, tm.DeepFM, tm.LogisticRegression])
@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([Id("user")], r"features must be a FeatureSpec, its JSON or None, got \[Id"),
        ("nonsense", 'not a specification of features .* expected such as {"item": '),
        ('{"user": [{"kind": "magic"}]}', "not a specification of features .*magic"),
        ('{"user": [{"kind": "categorical", "colour": "x"}]}', "not a specification of features .*colour"),
        ('{"people": []}', "expected user, item, context and crosses, got 'people'"),
    ],
)
def test_other_than_specifications_are_refused(kind: Any, features: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(features=features)


def test_a_specification_may_be_a_mapping_and_brief() -> None:
    facts = {"item": [{"kind": "bag", "column": "genres"}], "crosses": [{"features": ["item.genres"] * 2}]}
    spec = as_spec(facts)
    assert spec is not None
    assert spec.item == (Bag("genres"),)
    assert spec.crosses[0].features == ("item.genres", "item.genres")
    assert tm.DeepFM(features=facts).features == spec  # type: ignore[arg-type]
