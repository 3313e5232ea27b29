"""Ragged lists of interactions, row after row, in one set of contiguous columns (compressed sparse rows)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import group_order, sort_groups
from tastemaker.data.columns import constant, gather, is_constant

__all__ = ["History", "ragged_take"]


def ragged_take(indptr: NDArray[np.int64], rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """The positions of all entries of ``rows``, one row after another.

    >>> ragged_take(np.array([0, 2, 2, 5]), np.array([2, 0]))
    array([2, 3, 4, 0, 1])
    """
    starts = indptr[rows]
    lengths = indptr[rows + 1] - starts
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    offsets: NDArray[np.int64] = np.repeat(starts - ends + lengths, lengths)
    return np.arange(total, dtype=np.int64) + offsets


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
        at = ragged_take(self.indptr, rows)
        return History.of_lengths(
            self.lengths[rows],
            self.indices[at],
            gather(self.value, at),
            gather(self.weight, at),
            gather(self.timestamp, at),
        )

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

    def rows(self) -> NDArray[np.int32]:
        """int32[entries]: the row of each entry."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)
