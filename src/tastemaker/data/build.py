"""From a table as the caller has it to a Dataset: names, checks, ids, features."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.columns import constant
from tastemaker.data.dataset import Dataset, Duplicates, Schema
from tastemaker.data.duplicates import merge_duplicates
from tastemaker.data.sessions import by_session
from tastemaker.data.sources import Table, open_table, read_table
from tastemaker.data.vocabulary import Vocabulary, id_series
from tastemaker.errors import DataError

__all__ = ["all_rows", "from_interactions"]

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_YEAR_10000 = 253_402_300_800  # in seconds
_SHOWN = 3
_AT_ONCE = 1 << 18  # rows


def from_interactions(
    source: Any,
    *,
    user: str = "user",
    item: str = "item",
    rating: str | None = None,
    weight: str | None = None,
    timestamp: str | None = None,
    timestamp_unit: Literal["s", "ms", "us", "ns"] = "s",
    context: Sequence[str] = (),
    user_features: Any = None,
    item_features: Any = None,
    user_id: str | None = None,
    item_id: str | None = None,
    duplicates: Duplicates = "auto",
    session_gap: timedelta | None = None,
    scale: tuple[float, float] | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    connection: Any = None,
    name: str = "interactions",
) -> Dataset:
    """Build a Dataset from a table with one row an interaction.

    Args:
        source: any dataframe, a mapping of columns, the path of a CSV, TSV or Parquet file, or a SQL query with ``connection``.
        user, item: columns with the ids: text, integers, UUIDs, dates; none may be missing.
        rating: column with explicit ratings; without it the interactions are implicit feedback.
        weight: column that says how much an interaction counts (not negative).
        timestamp: column with dates, or numbers counted in ``timestamp_unit`` since 1970.
        context: further columns to keep, row by row.
        user_features, item_features: tables (any of the same kinds) with one row a user or item; users and items that
            appear only there belong to the Dataset too.
        user_id, item_id: the id columns of those tables; by default named like ``user`` and ``item``.
        duplicates: what becomes of several interactions of one user with one item: the ``first`` or ``last`` (by time, then by
            row), or the ``sum``, ``max`` or ``mean`` of ratings (of weights for implicit feedback), or ``error``.
            ``auto`` is ``last`` for ratings, ``sum`` for implicit feedback, and ``first`` in sessions.
        session_gap: put sessions in place of users, which end with a longer pause, before duplicates are looked for: what came
            again in another session stays in both; see :mod:`tastemaker.data.sessions`. Times are needed; ratings become
            implicit feedback.
        scale: lowest and highest possible rating; a rating outside is an error.
        separator, columns: of a text file; see :func:`tastemaker.data.sources.read_table`.
        connection: database connection, engine or URL for a SQL query.
        name: what to call the data in reports and errors.

    Raises:
        DataError: names the column, the count and the first offending rows.

    >>> data = from_interactions({"who": ["a", "b"], "what": [1, 2], "stars": [5, 3]}, user="who", item="what", rating="stars")
    >>> data
    Dataset(interactions: 2 interactions, 2 users, 2 items, 50.00% filled, ratings 3–5)
    """
    data = all_rows(
        source,
        user=user,
        item=item,
        rating=rating,
        weight=weight,
        timestamp=timestamp,
        timestamp_unit=timestamp_unit,
        context=context,
        user_features=user_features,
        item_features=item_features,
        user_id=user_id,
        item_id=item_id,
        scale=scale,
        separator=separator,
        columns=columns,
        connection=connection,
        name=name,
    )
    if session_gap is not None:
        return merge_duplicates(
            by_session(data, session_gap), "first" if duplicates == "auto" else duplicates
        )
    merged = merge_duplicates(data, duplicates)
    return _rescaled(merged, scale) if rating is not None and duplicates == "sum" else merged


def all_rows(
    source: Any,
    *,
    user: str,
    item: str,
    rating: str | None,
    weight: str | None,
    timestamp: str | None,
    timestamp_unit: Literal["s", "ms", "us", "ns"],
    context: Sequence[str],
    user_features: Any,
    item_features: Any,
    user_id: str | None,
    item_id: str | None,
    scale: tuple[float, float] | None,
    separator: str | None,
    columns: Sequence[str] | None,
    connection: Any,
    name: str,
) -> Dataset:
    """As :func:`from_interactions`, with every row of the table: a user and an item may repeat.

    Raises:
        DataError: names the column, the count and the first offending rows.
    """
    if isinstance(context, str):
        raise DataError(f"{name}: context is a list of columns, got {context!r}; write [{context!r}]")
    frame = open_table(
        source, ids=(user, item), separator=separator, columns=columns, connection=connection, name=name
    )
    wanted = [c for c in (user, item, rating, weight, timestamp, *context) if c is not None]
    _check_columns(frame, wanted, name)
    if frame.height == 0:
        raise DataError(f"{name}: there are no rows")
    about_users = _features(user_features, user_id or user, "user_features")
    about_items = _features(item_features, item_id or item, "item_features")
    users, user_codes = _encoded(frame, user, _ids(about_users, user_id or user), name)
    items, item_codes = _encoded(frame, item, _ids(about_items, item_id or item), name)
    value = _numbers(frame, rating, name)
    weights = _numbers(frame, weight, name)
    if weight is not None:
        _check_rows(frame, weight, pl.Series(weights < 0), "weights are negative", name)
    observed = _check_scale(frame, rating, value, scale, name)
    times = _microseconds(frame, timestamp, timestamp_unit, name)

    return Dataset(
        user=user_codes,
        item=item_codes,
        value=value,
        weight=weights,
        timestamp=times,
        users=users,
        items=items,
        user_features=_align(about_users, user_id or user, users),
        item_features=_align(about_items, item_id or item, items),
        context=frame.select(context),
        schema=Schema(
            user=user, item=item, rating=rating, weight=weight, timestamp=timestamp, scale=observed, name=name
        ),
    )


def _encoded(
    frame: Table, column: str, more: Sequence[pl.Series], name: str
) -> tuple[Vocabulary, NDArray[np.int32]]:
    """The distinct ids of a column and of ``more``, and int32[n], the code of each row.

    Long columns go in stretches: Polars finds and joins ids in several times the memory of what it is given.
    """
    ids = frame[column]
    _check_rows(frame, column, id_series(ids, column).is_null(), "ids are missing", name)
    if ids.dtype == pl.Object or len(ids) <= _AT_ONCE:
        vocabulary = Vocabulary.from_values(ids, *more, column=column)
        return vocabulary, vocabulary.encode(ids)
    distinct = [
        ids.slice(start, _AT_ONCE).unique(maintain_order=True) for start in range(0, len(ids), _AT_ONCE)
    ]
    vocabulary = Vocabulary.from_values(*distinct, *more, column=column)
    codes, step = np.empty(len(ids), np.int32), max(_AT_ONCE, len(vocabulary))
    for start in range(0, len(ids), step):
        codes[start : start + step] = vocabulary.encode(ids.slice(start, step))
    return vocabulary, codes


def _check_columns(frame: Table, wanted: Sequence[str], name: str) -> None:
    missing = [c for c in wanted if c not in frame.columns]
    if not missing:
        return
    message = (
        f"{name}: no column {', '.join(map(repr, missing))}; there are: {', '.join(map(repr, frame.columns))}"
    )
    if len(frame.columns) == 1:
        found = [s for s in (";", "\t", "|", ",", "::") if s in frame.columns[0]]
        message += (
            f". Only one column was found; is the separator {found[0]!r}?"
            if found
            else ". Is the separator right?"
        )
    raise DataError(message)


def _check_rows(frame: Table, column: str, bad: pl.Series, what: str, name: str) -> None:
    """Raise a DataError that names the column, the count and the first rows (counted from 1) where ``bad`` is true."""
    rows = bad.fill_null(True).arg_true()
    if len(rows):
        shown = ", ".join(f"row {r + 1}: {frame[column][int(r)]!r}" for r in rows[:_SHOWN])
        raise DataError(
            f"{name}, column {column!r}: {len(rows):,} {what}; {shown}{' …' if len(rows) > _SHOWN else ''}"
        )


def _numbers(frame: Table, column: str | None, name: str) -> np.ndarray:
    """float32[n] of a numeric column, all finite; ones without a column."""
    if column is None:
        return constant(np.float32(1), frame.height)
    series = frame[column]
    if series.dtype == pl.String:
        series = series.str.strip_chars().cast(pl.Float64, strict=False)
        _check_rows(
            frame, column, series.is_null() & frame[column].is_not_null(), "values are not numbers", name
        )
    elif not (series.dtype.is_numeric() or series.dtype == pl.Boolean or series.dtype == pl.Null):
        raise DataError(f"{name}, column {column!r}: expected numbers, got {series.dtype}")
    series = series.cast(pl.Float32)
    _check_rows(
        frame, column, series.is_null() | ~series.is_finite(), "values are missing, NaN or infinite", name
    )
    return series.to_numpy().copy()


def _check_scale(
    frame: Table, rating: str | None, value: np.ndarray, scale: tuple[float, float] | None, name: str
) -> tuple[float, float] | None:
    if rating is None:
        if scale is not None:
            raise DataError(f"{name}: a scale {scale} was declared, but no rating column")
        return None
    if scale is None:
        return float(value.min()), float(value.max())
    low, high = scale
    if not low < high:
        raise DataError(f"{name}: the scale's low end must be below its high end, got {scale}")
    outside = pl.Series((value < low) | (value > high))
    _check_rows(frame, rating, outside, f"ratings are outside the declared scale {low:g}–{high:g}", name)
    return float(low), float(high)


def _rescaled(data: Dataset, scale: tuple[float, float] | None) -> Dataset:
    """Summed ratings with the scale on which the sums are."""
    low, high = float(data.value.min()), float(data.value.max())
    if scale is not None and not scale[0] <= low <= high <= scale[1]:
        raise DataError(
            f"{data.schema.name}: sums of ratings go from {low:g} to {high:g}, outside the declared scale "
            f"{scale[0]:g}–{scale[1]:g}; declare the scale of the sums or choose another rule for duplicates"
        )
    return data if scale else data.with_columns(schema=replace(data.schema, scale=(low, high)))


def _microseconds(frame: Table, column: str | None, unit: str, name: str) -> np.ndarray:
    """int64[n] microseconds since 1970 of a column of dates, numbers or ISO text; zeros without a column."""
    if column is None:
        return constant(np.int64(0), frame.height)
    series = frame[column]
    if series.dtype == pl.String:
        series = _times_in_text(series)
    per = _PER_SECOND[unit]
    if series.dtype.is_integer() or series.dtype.is_float():
        series = series.cast(pl.Int64, strict=False) if series.dtype.is_integer() else series.fill_nan(None)
        last = min(_YEAR_10000 * per, 2**63 - 1)
        far = ~series.is_between(-last, last)
        what = f"times are after the year 9999; is timestamp_unit={unit!r} right"
        _check_rows(frame, column, far.fill_null(False), what, name)
    if isinstance(series.dtype, pl.Date | pl.Datetime):
        series = series.cast(pl.Datetime("us")).cast(pl.Int64)
    elif series.dtype.is_integer():
        series = series * (1_000_000 // per) if per <= 1_000_000 else series // (per // 1_000_000)
    elif series.dtype.is_float():
        series = (series * (1_000_000 / per)).round(0)
    else:
        raise DataError(f"{name}, column {column!r}: expected times, got {frame[column].dtype}")
    _check_rows(frame, column, series.is_null(), "times are missing or unreadable", name)
    return series.cast(pl.Int64).to_numpy().copy()


def _times_in_text(text: pl.Series) -> pl.Series:
    """Text as integers, numbers or dates, whichever all of it is; null where it is no date."""
    for kind in (pl.Int64, pl.Float64):
        numbers = text.cast(kind, strict=False)
        if numbers.null_count() == text.null_count():
            return numbers
    try:
        return text.str.to_datetime(strict=False)
    except pl.exceptions.ComputeError:  # no common form was recognised
        return pl.Series(text.name, [None] * len(text), dtype=pl.Datetime("us"))


def _features(source: Any, column: str, name: str) -> pl.DataFrame | None:
    if source is None:
        return None
    table = read_table(source, ids=(column,), name=name)
    _check_columns(table, [column], name)
    ids = id_series(table[column], column)
    _check_rows(table, column, ids.is_null(), "ids are missing", name)
    _check_rows(table, column, ~ids.is_first_distinct(), "ids appear more than once", name)
    return table


def _ids(table: pl.DataFrame | None, column: str) -> list[pl.Series]:
    return [] if table is None else [table[column]]


def _align(table: pl.DataFrame | None, column: str, vocabulary: Vocabulary) -> pl.DataFrame:
    """The feature table in the order of the codes, without its id column; nulls for ids that it does not have."""
    if table is None:
        return pl.DataFrame()
    rows = np.full(len(vocabulary), table.height)
    rows[vocabulary.encode(table[column])] = np.arange(table.height)
    return pl.concat([table, table.clear(1)])[rows].drop(column)
