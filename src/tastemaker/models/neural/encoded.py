"""Features as numbers: rows of one embedding table, bags of such rows, and plain numbers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import group_order
from tastemaker._native.insertion import Entries, take_rows
from tastemaker.models.neural.specs import Pooling

__all__ = ["Encoded", "Ragged", "side_by_side"]


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sets of ids, one a row (compressed sparse rows).

    Attributes:
        indptr: int64[n + 1]; row ``r`` has ``ids[indptr[r]:indptr[r + 1]]``.
        ids: int32[entries], ascending within a row, none twice.
        pooling: what a model takes of the vectors of a row, their ``"mean"`` or ``"sum"``; zeros for an empty row.

    >>> Ragged.of_sets(np.array([0, 2, 0, 0]), np.array([5, 7, 3, 5]), 3).indptr.tolist()
    [0, 2, 2, 3]
    """

    indptr: NDArray[np.int64]
    ids: NDArray[np.int32]
    pooling: Pooling = "mean"

    @classmethod
    def of_sets(
        cls, rows: NDArray[np.integer], ids: NDArray[np.integer], n: int, pooling: Pooling = "mean"
    ) -> "Ragged":
        """Entries in any order, repeats counted once, as ``n`` rows; ids from 0 on."""
        width = np.int64(ids.max() + 1) if len(ids) else np.int64(1)
        pairs = np.unique(rows.astype(np.int64) * width + ids)
        lengths = np.bincount(pairs // width, minlength=n)
        return cls(_indptr(lengths), (pairs % width).astype(np.int32), pooling)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64[n]: how many ids each row has."""
        return np.diff(self.indptr)

    def rows(self) -> NDArray[np.int32]:
        """int32[entries]: the row of each id."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths)

    def take(self, rows: NDArray[np.integer]) -> "Ragged":
        """These rows, in this order (repeats allowed)."""
        taken = take_rows(Entries(self.indptr, self.ids), rows)
        return replace(self, indptr=taken.indptr, ids=taken.indices)

    def shifted(self, offset: int) -> "Ragged":
        """The same with ``offset`` added to each id."""
        return replace(self, ids=self.ids + np.int32(offset))

    def without(self, ids: NDArray[np.integer]) -> "Ragged":
        """Row ``r`` without ``ids[r]``, where it has it."""
        keep = self.ids != np.repeat(ids, self.lengths)
        lengths = np.bincount(self.rows()[keep], minlength=len(self))
        return replace(self, indptr=_indptr(lengths), ids=self.ids[keep])


@dataclass(frozen=True, eq=False)
class Encoded:
    """The features of n users, items or contexts.

    Attributes:
        ids: int32[n, fields], rows of the one embedding table of all sides.
        bags: one for each feature with several values; their ids are rows of the same table.
        dense: float32[n, d].
    """

    ids: NDArray[np.int32]
    bags: tuple[Ragged, ...]
    dense: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all numbers: equal features, equal fingerprint."""
        bags = [array for bag in self.bags for array in (bag.indptr, bag.ids)]
        digest = hashlib.sha256(repr([bag.pooling for bag in self.bags]).encode())
        for array in (self.ids, self.dense, *bags):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def take(self, rows: NDArray[np.integer]) -> "Encoded":
        """These rows, in this order (repeats allowed)."""
        return Encoded(self.ids[rows], tuple(bag.take(rows) for bag in self.bags), self.dense[rows])

    def without(self, bag: int, ids: NDArray[np.integer]) -> "Encoded":
        """The same with ``ids[r]`` taken out of row ``r`` of a bag: the item to be predicted, out of the user's history."""
        bags = list(self.bags)
        bags[bag] = bags[bag].without(ids)
        return replace(self, bags=tuple(bags))


def side_by_side(parts: Sequence[Ragged], n: int) -> Ragged:
    """The ids of all parts, row by row, those of the first part first; their ids must not overlap."""
    if not parts:
        return Ragged(np.zeros(n + 1, np.int64), np.empty(0, np.int32), "sum")
    order, indptr = group_order(np.concatenate([part.rows() for part in parts]), n)
    return Ragged(indptr, np.concatenate([part.ids for part in parts])[order], "sum")


def _indptr(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
