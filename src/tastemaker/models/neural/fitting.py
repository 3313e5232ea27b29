"""Learning the fields: which values get rows, and the means and edges of numbers, all from the training interactions."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import context_of
from tastemaker.errors import DataError
from tastemaker.models.content.features import quantile_edges
from tastemaker.models.neural.columns import as_lists, as_moments, as_numbers, as_vectors
from tastemaker.models.neural.fields import Field, Given, day_of, history_keys, id_keys, reshaped
from tastemaker.models.neural.keys import Keys, as_keys
from tastemaker.models.neural.specs import (
    SIDES,
    Bag,
    Categorical,
    Feature,
    FeatureSpec,
    HistoryBag,
    Id,
    Numeric,
    Side,
    Time,
    Vector,
    names_of,
)

__all__ = ["fit_fields", "sides_of"]

Counts = NDArray[np.int64]
_ROUNDING = 1e-12  # a deviation that is no more of the mean is rounding


def sides_of(data: Dataset) -> dict[Side, Given]:
    """All users, all items, and the context of every interaction."""
    users, items = np.arange(data.n_users), np.arange(data.n_items)
    return {
        "user": Given.of("user", data.user_features, users, data.by_user),
        "item": Given.of("item", data.item_features, items),
        "context": Given.of("context", context_of(data), np.full(len(data), -1)),
    }


def fit_fields(spec: FeatureSpec, data: Dataset) -> tuple[Field, ...]:
    """The fields of all sides, in the order of the specification.

    Users and items without training interactions teach nothing: neither values nor means.

    Raises:
        DataError: if a column is missing or of a type that does not suit.
    """
    counts: dict[Side, Counts] = {
        "user": np.bincount(data.user, minlength=data.n_users),
        "item": np.bincount(data.item, minlength=data.n_items),
        "context": np.ones(len(data), np.int64),
    }
    end = float(data.timestamp.max()) if data.schema.timestamp is not None and len(data) else None
    given = sides_of(data)
    for side in SIDES:
        for name in names_of(getattr(spec, side)):
            if given[side].table is None:
                raise DataError(f"{side} features: no column {name!r}; the data have none at all")
    return tuple(
        field
        for side in SIDES
        for feature in getattr(spec, side)
        for field in _fitted(feature, given[side], counts, end)
    )


def _fitted(feature: Feature, given: Given, counts: dict[Side, Counts], end: float | None) -> Iterator[Field]:
    weights = counts[given.side]
    match feature:
        case Id(min_count=least):
            yield Field(given.side, feature, keys=Keys.count(id_keys(given), weights, least))
        case Categorical(column=column, min_count=least, buckets=buckets):
            keys = as_keys(given.column(column), f"{given.side}.{column}")
            yield Field(given.side, feature, keys=Keys.count(keys, weights, least, buckets))
        case Bag(column=column, separator=separator, min_count=least, buckets=buckets):
            rows, keys = as_lists(given.column(column), separator)
            yield Field(given.side, feature, keys=_counted_once(rows, keys, weights, least, buckets))
        case HistoryBag(min_count=least):
            rows, keys = history_keys(given, None)
            yield Field(given.side, feature, keys=_counted_once(rows, keys, None, least, None))
        case Numeric():
            yield Field(given.side, feature, numbers=_of_numbers(feature, given, weights > 0))
        case Vector(column=column):
            width = as_vectors(given.column(column)).shape[1]
            yield Field(given.side, feature, width=width)
        case Time(parts=parts):
            for part in parts:
                numbers = _of_recency(feature, given, weights > 0, end) if part == "recency" else ()
                yield Field(given.side, feature, part, numbers=numbers)


def _counted_once(
    rows: NDArray[np.int32], keys: pl.Series, weights: Counts | None, least: int, buckets: int | None
) -> Keys:
    """The values of bags, each counted once a row, with the row's weight."""
    once = pl.DataFrame({"row": rows, "key": keys}).unique()
    which = once["row"].to_numpy()
    weight = np.ones(len(which), np.int64) if weights is None else weights[which]
    return Keys.count(once["key"], weight, least, buckets)


def _of_numbers(feature: Numeric, given: Given, trained: NDArray[np.bool_]) -> tuple[float, ...]:
    numbers = as_numbers(given.column(feature.column))
    there = numbers[trained & ~np.isnan(numbers)]
    if feature.transform == "buckets":
        return tuple(quantile_edges(there, feature.buckets).tolist())
    return _mean_and_deviation(reshaped(there, feature.transform == "log"), f"{given.side}.{feature.name}")


def _of_recency(
    feature: Time, given: Given, trained: NDArray[np.bool_], end: float | None
) -> tuple[float, ...]:
    days = day_of(as_moments(given.column(feature.column), feature.unit))
    there = days[trained & ~np.isnan(days)]
    last = end / 86_400_000_000 if end is not None else float(there.max(initial=0.0))
    return (last, *_mean_and_deviation(reshaped(last - there, True), f"{given.side}.{feature.name}"))


def _mean_and_deviation(numbers: NDArray[np.float64], name: str) -> tuple[float, float]:
    """The mean and the standard deviation, 0 and 1 where there is nothing to tell them from; 1 where all are the same."""
    if not len(numbers):
        return 0.0, 1.0
    with np.errstate(over="ignore"):
        mean, deviation = float(numbers.mean()), float(numbers.std())
    if not np.isfinite(deviation):
        raise DataError(
            f"feature {name!r}: numbers are too large to be standardised; use transform='log' or 'buckets'"
        )
    return mean, deviation if deviation > _ROUNDING * abs(mean) else 1.0
