"""Ragged lists of interactions, row after row, in one set of contiguous columns (compressed sparse rows)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import group_order, sort_groups
from tastemaker._native.insertion import Entries, find_columns, find_entries, insert_entries, take_rows
from tastemaker.data.columns import constant, gather, is_constant

__all__ = ["COLUMNS", "History"]

COLUMNS = ("value", "weight", "timestamp")
"""What a history says of an entry, beside its row and its index."""


@dataclass(frozen=True, eq=False)
class History:
    """Interactions grouped by row: who did what, oldest first.

    Attributes:
        indptr: int64[rows + 1]; row ``r`` holds the entries ``indptr[r]:indptr[r + 1]``.
        indices: int32[entries], the item (or user) codes.
        value: float32[entries], the rating, or 1 for implicit feedback.
        weight: float32[entries], how much the interaction counts.
        timestamp: int64[entries], microseconds since 1970; zeros where there is none.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    timestamp: NDArray[np.int64]

    @classmethod
    def empty(cls, rows: int) -> "History":
        """``rows`` rows with nothing in them."""
        return cls.of_lengths(np.zeros(rows, np.int64), np.empty(0, np.int32))

    @classmethod
    def of_lengths(
        cls,
        lengths: NDArray[np.integer],
        indices: NDArray[np.int32],
        value: NDArray[np.float32] | None = None,
        weight: NDArray[np.float32] | None = None,
        timestamp: NDArray[np.int64] | None = None,
    ) -> "History":
        """Rows of the given lengths; values and weights are 1 and times 0 unless given."""
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        ones = constant(np.float32(1), len(indices))
        return cls(
            indptr,
            indices,
            ones if value is None else value,
            ones if weight is None else weight,
            constant(np.int64(0), len(indices)) if timestamp is None else timestamp,
        )

    @classmethod
    def group(
        cls,
        rows: NDArray[np.int32],
        indices: NDArray[np.int32],
        value: NDArray[np.float32],
        weight: NDArray[np.float32],
        timestamp: NDArray[np.int64],
        n_rows: int,
        by_time: bool = True,
    ) -> "History":
        """Group columns of interactions by ``rows``: oldest first, equal times in the order given (a stable sort)."""
        order, indptr = group_order(rows, n_rows)
        if by_time and not is_constant(timestamp):
            sort_groups(order, indptr, timestamp)
        return cls(
            indptr, indices[order], gather(value, order), gather(weight, order), gather(timestamp, order)
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64[rows]: how many entries each row has."""
        return np.diff(self.indptr)

    def take(self, rows: NDArray[np.integer]) -> "History":
        """These rows, in this order (repeats allowed)."""
        same = self._constants()
        return _with_constants(take_rows(self._entries(same), rows), same)

    def grown(self, rows: int) -> "History":
        """With empty rows after the others, up to so many; the columns are shared."""
        ends = np.full(rows - len(self), self.indptr[-1])
        return replace(self, indptr=np.concatenate([self.indptr, ends]))

    def timeless(self) -> "History":
        """The same entries without their times, which are most of what a copy of rows moves."""
        return replace(self, timestamp=constant(np.int64(0), len(self.indices)))

    def where(self, kept: NDArray[np.bool_]) -> "History":
        """The same rows with some of their entries: bool[entries]."""
        indptr = np.concatenate([[0], np.cumsum(kept)])[self.indptr]
        return History(indptr, self.indices[kept], *(gather(getattr(self, name), kept) for name in COLUMNS))

    def find(self, other: "History", columns: int) -> NDArray[np.int64]:
        """int64[entries of other]: where the entry of the same row and index stands here, −1 if there is none.

        Args:
            other: with as many rows or more; no index twice in a row.
            columns: all indices are below it.
        """
        return find_entries(self._entries(COLUMNS), other._entries(COLUMNS), columns)

    def overlaid(self, top: "History", columns: int) -> "History":
        """The entries of both, oldest first, at about the cost of a copy; what both have stands as ``top`` has it.

        The rest keeps its order; entries of ``top`` stand after others of the same time.

        Args:
            top, columns: as for :meth:`find`.
        """
        found = self.find(top, columns)
        same = {name: one for name, one in self._constants().items() if (getattr(top, name) == one).all()}
        both = insert_entries(self._entries(same), np.sort(found[found >= 0]), top._entries(same))
        return _with_constants(both, same)

    def _constants(self) -> dict[str, Any]:
        """The columns that are a single number."""
        return {name: getattr(self, name)[0] for name in COLUMNS if is_constant(getattr(self, name))}

    def _entries(self, without: Collection[str]) -> Entries:
        columns = {name: np.ascontiguousarray(getattr(self, name)) for name in COLUMNS if name not in without}
        return Entries(self.indptr, self.indices, **columns)

    def __getitem__(self, rows: slice) -> "History":
        """A contiguous range of rows, without a copy of their entries."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"a history is sliced with step 1, got {step}")
        stop = max(start, stop)
        low, high = self.indptr[start], self.indptr[stop]
        return History(
            self.indptr[start : stop + 1] - low,
            self.indices[low:high],
            self.value[low:high],
            self.weight[low:high],
            self.timestamp[low:high],
        )

    def columns(self, which: NDArray[np.integer], n_columns: int) -> "History":
        """One row for each of these indices, in this order; its own indices are the rows here, ascending.

        Args:
            which: distinct.
            n_columns: all indices are below it.
        """
        place = np.full(n_columns, len(which), np.int32)
        place[which] = np.arange(len(which), dtype=np.int32)
        at = find_columns(self.indices, place < len(which))
        lengths = np.diff(np.searchsorted(at, self.indptr))
        return History.group(
            place[self.indices[at]],
            np.repeat(np.arange(len(self), dtype=np.int32), lengths),
            gather(self.value, at),
            gather(self.weight, at),
            gather(self.timestamp, at),
            n_rows=len(which),
            by_time=False,
        )

    def rows(self) -> NDArray[np.int32]:
        """int32[entries]: the row of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def counts(self, which: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64[rows]: how many entries of each row are among ``which``, bool[entries].

        >>> history = History.of_lengths(np.array([2, 1]), np.array([3, 4, 3], np.int32))
        >>> history.counts(history.indices == 4).tolist()
        [1, 0]
        """
        return np.bincount(self.rows()[which], minlength=len(self))


def _with_constants(entries: Entries, same: Mapping[str, Any]) -> History:
    """The entries with the columns that were left out."""
    left_out = {name: constant(one, len(entries.indices)) for name, one in same.items()}
    return History(**{**entries._asdict(), **left_out})
