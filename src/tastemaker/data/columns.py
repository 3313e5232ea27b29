"""Columns that cost no memory where all rows have one value: views of a single number (stride 0)."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import count_keys

__all__ = ["constant", "gather", "is_constant", "tally"]

T = TypeVar("T", bound=np.generic)

_AT_ONCE = 1 << 18  # rows: what NumPy makes of them on the way stays in the cache


def constant(value: T | NDArray[T], rows: int) -> NDArray[T]:
    """A read-only column of ``rows`` times the same value (a NumPy scalar).

    >>> ones = constant(np.float32(1), 1_000_000_000)
    >>> ones[-1], is_constant(ones)
    (np.float32(1.0), True)
    """
    return np.broadcast_to(value, (rows,))


def is_constant(column: NDArray[Any]) -> bool:
    """Whether the column is a view of a single number (a full column of equal numbers is not looked through)."""
    return column.strides == (0,) and len(column) > 0


def gather(column: NDArray[T], rows: NDArray[np.bool_] | NDArray[np.integer[Any]]) -> NDArray[T]:
    """The column at these rows, given as a mask or as numbers; constant columns stay so."""
    if not is_constant(column):
        return column[rows]
    return constant(column[0], int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows))


def tally(
    codes: NDArray[np.int32], n: int, values: NDArray[np.float32] | None = None, power: int = 1
) -> NDArray[np.float64]:
    """float64[n]: for each code how often it occurs, or the sum of its values to a power; without large temporaries.

    >>> tally(np.array([0, 2, 2], np.int32), 3, np.array([1, 2, 3], np.float32), power=2)
    array([ 1.,  0., 13.])
    """
    if values is None or is_constant(values):
        each = 1.0 if values is None else float(values[0]) ** power
        return count_keys(codes, n).astype(np.float64) * each
    total = np.zeros(n)
    for start in range(0, len(codes), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        total += np.bincount(codes[part], values[part].astype(np.float64) ** power, n)
    return total
