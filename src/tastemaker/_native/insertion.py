"""Rows of entries with more entries put in, and some of the rows taken out, about as fast as memory is copied.

Every function has its NumPy twin beside it, which says what it computes and is what the tests compare with.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = [
    "Entries",
    "find_columns",
    "find_columns_numpy",
    "find_entries",
    "find_entries_numpy",
    "insert_entries",
    "insert_entries_numpy",
    "take_rows",
    "take_rows_numpy",
]

_NONE = np.empty(0, np.float32)
_TIMELESS = np.empty(0, np.int64)


class Entries(NamedTuple):
    """Entries grouped by row, in columns; an empty column next to ``indices`` that are not: there is no such column.

    Attributes:
        indptr: int64[rows + 1].
        indices: int32[entries], none twice in a row.
        value, weight: float32[entries] or none.
        timestamp: int64[entries], ascending within a row, or none.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    value: NDArray[np.float32] = _NONE
    weight: NDArray[np.float32] = _NONE
    timestamp: NDArray[np.int64] = _TIMELESS

    def rows(self) -> NDArray[np.int64]:
        """int64[entries]: the row of each entry."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """All but ``indptr``."""
        return self[1:]

    def picked(self, indptr: NDArray[np.int64], at: NDArray[np.integer]) -> "Entries":
        """The entries at these positions, in rows that ``indptr`` cuts."""
        columns: list[Any] = [column[at] if len(column) else column for column in self.columns]
        return Entries(indptr, *columns)

    def like(self, indptr: NDArray[np.int64]) -> "Entries":
        """Room for other rows with the same columns."""
        columns: list[Any] = [
            np.empty(indptr[-1] if len(column) else 0, column.dtype) for column in self.columns
        ]
        return Entries(indptr, *columns)


def find_entries(old: Entries, new: Entries, columns: int) -> NDArray[np.int64]:
    """int64[new entries]: where the ``old`` entry of the same row and index stands, −1 if there is none.

    Args:
        old: may have fewer rows.
        new: what to look for.
        columns: all indices are below it.
    """
    found = np.empty(len(new.indices), np.int64)
    kernels.find_entries(old.indptr, old.indices, new.indptr, new.indices, columns, threads(), found)
    return found


def find_entries_numpy(old: Entries, new: Entries, columns: int) -> NDArray[np.int64]:
    """The specification of :func:`find_entries`."""
    place = {pair: at for at, pair in enumerate(zip(old.rows().tolist(), old.indices.tolist(), strict=True))}
    pairs = zip(new.rows().tolist(), new.indices.tolist(), strict=True)
    return np.array([place.get(pair, -1) for pair in pairs], np.int64)


def find_columns(indices: NDArray[np.int32], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The positions of the entries in ``wanted`` columns, ascending.

    Args:
        indices: int32[entries], from 0 to columns − 1.
        wanted: bool[columns].
    """
    found: NDArray[np.int64] = kernels.find_columns(indices, wanted.view(np.uint8), threads())
    return found


def find_columns_numpy(indices: NDArray[np.int32], wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The specification of :func:`find_columns`."""
    return np.flatnonzero(wanted[indices])


def insert_entries(old: Entries, dropped: NDArray[np.int64], new: Entries) -> Entries:
    """Every row's old entries but for the ``dropped`` ones, and its new ones, by time; equal times: the old ones first.

    Args:
        old: may have fewer rows than ``new``, and must have the same columns; without times the new ones come last.
        dropped: positions of old entries, ascending.
        new: what comes in.
    """
    lengths = np.diff(new.indptr)
    before = np.searchsorted(dropped, old.indptr)
    lengths[: len(old.indptr) - 1] += np.diff(old.indptr) - np.diff(before)
    out = (old if len(old.indices) else new).like(np.concatenate([[0], np.cumsum(lengths)]))
    kernels.insert_entries(*old, dropped, *new, threads(), *out)
    return out


def insert_entries_numpy(old: Entries, dropped: NDArray[np.int64], new: Entries) -> Entries:
    """The specification of :func:`insert_entries`."""
    kept = np.ones(len(old.indices), np.bool_)
    kept[dropped] = False
    rows = np.concatenate([old.rows()[kept], new.rows()])
    both = zip(old.columns, new.columns, strict=True)
    columns: list[Any] = [np.concatenate([a[kept] if len(a) else a, b]) for a, b in both]
    order = np.lexsort((columns[3] if len(columns[3]) else np.zeros(len(rows)), rows))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(new.indptr) - 1))])
    return Entries(indptr, *columns).picked(indptr, order)


def take_rows(entries: Entries, rows: NDArray[np.integer]) -> Entries:
    """These rows, in this order (repeats allowed)."""
    rows = np.ascontiguousarray(rows, np.int64)
    lengths = entries.indptr[rows + 1] - entries.indptr[rows]
    out = entries.like(np.concatenate([[0], np.cumsum(lengths)]))
    kernels.take_entries(*entries, rows, threads(), *out)
    return out


def take_rows_numpy(entries: Entries, rows: NDArray[np.integer]) -> Entries:
    """The specification of :func:`take_rows`."""
    at = np.concatenate([np.empty(0, np.int64), *(np.arange(*entries.indptr[row : row + 2]) for row in rows)])
    lengths = entries.indptr[rows + 1] - entries.indptr[rows]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return entries.picked(indptr, at)
