"""Columns of any table as what a field reads: value lists, numbers, moments, vectors; or a DataError that names the column."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.errors import DataError
from tastemaker.models.neural.keys import as_keys

__all__ = ["as_lists", "as_moments", "as_numbers", "as_vectors"]

_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 0.001}
_YEAR_10000 = 253_402_300_800_000_000  # in microseconds


def as_lists(column: pl.Series, separator: str | None) -> tuple[NDArray[np.int32], pl.Series]:
    """Lists, or text cut at ``separator``, as the row and the key of each value; empty text is no value.

    Raises:
        DataError: for other types, or text without a separator.
    """
    if column.dtype == pl.Null:
        return np.empty(0, np.int32), column.clear()
    if column.dtype == pl.String:
        if separator is None:
            raise DataError(
                f"feature {column.name!r}: a Bag is of lists, or of text with separator=; got text such as "
                f"{column.drop_nulls()[:1].to_list()}"
            )
        column = column.str.split(separator)
    elif isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List):
        raise DataError(f"feature {column.name!r}: a Bag is of lists, got {column.dtype}")
    long = pl.DataFrame({"row": np.arange(len(column), dtype=np.int32), "value": column})
    long = long.explode("value").drop_nulls("value")
    if long["value"].dtype == pl.String:
        long = long.with_columns(pl.col("value").str.strip_chars()).filter(pl.col("value") != "")
    return long["row"].to_numpy(), as_keys(long["value"].alias(column.name), column.name)


def as_numbers(column: pl.Series) -> NDArray[np.float64]:
    """float64[n], NaN where missing.

    Raises:
        DataError: for text and other types that are no numbers, and for infinities.
    """
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise DataError(f"feature {column.name!r}: expected numbers, got {column.dtype}")
    numbers = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if np.isinf(numbers).any():
        raise DataError(f"feature {column.name!r}: {int(np.isinf(numbers).sum())} numbers are infinite")
    return np.ascontiguousarray(numbers)


def as_moments(column: pl.Series, unit: str) -> pl.Series:
    """Datetimes in microseconds (of a time zone, as its clocks show them), null where missing.

    Raises:
        DataError: for types that are no times, and for numbers that are none in ``unit``.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Date | pl.Datetime) or dtype == pl.Null:
        return column.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
    if not dtype.is_numeric():
        raise DataError(
            f"feature {column.name!r}: expected dates, or numbers since 1970, got {dtype}; "
            "text becomes dates by str.to_datetime()"
        )
    numbers = column.cast(pl.Int64) if dtype.is_integer() else column.cast(pl.Float64).fill_nan(None)
    far = numbers.cast(pl.Float64).abs() * _PER_MICROSECOND[unit] > _YEAR_10000
    if far.any():
        raise DataError(f"feature {column.name!r}: times are after the year 9999; is unit={unit!r} right?")
    micros = numbers // 1_000 if unit == "ns" else numbers * _PER_MICROSECOND[unit]
    return micros.cast(pl.Int64).cast(pl.Datetime("us"))


def as_vectors(column: pl.Series, width: int | None = None) -> NDArray[np.float32]:
    """float32[n, width], zeros where missing; without ``width``, that of the first vector.

    Raises:
        DataError: for vectors of another length, or with numbers that are missing or not finite.
    """
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if column.dtype == pl.Null:
        column = pl.Series(column.name, [None] * len(column), dtype=pl.List(pl.Float32))
    inner = column.dtype.inner if isinstance(column.dtype, pl.List) else pl.Object()
    if not (inner.is_numeric() or inner in (pl.Boolean, pl.Null)):
        raise DataError(f"feature {column.name!r}: expected vectors (lists of numbers), got {column.dtype}")
    lengths = column.list.len().fill_null(0).to_numpy()
    there = lengths > 0
    if width is None:
        if not there.any():
            raise DataError(f"feature {column.name!r}: there are no vectors")
        width = int(lengths[there][0])
    if (lengths[there] != width).any():
        other = lengths[there][lengths[there] != width][0]
        raise DataError(f"feature {column.name!r}: expected vectors of {width} numbers, got one of {other}")
    vectors = np.zeros((len(column), width), np.float32)
    if there.any():
        numbers = column.filter(pl.Series(there)).explode().cast(pl.Float32)
        if numbers.has_nulls() or not numbers.is_finite().all():
            raise DataError(f"feature {column.name!r}: some numbers are missing or not finite")
        vectors[there] = numbers.to_numpy().reshape(-1, width)
    return vectors
