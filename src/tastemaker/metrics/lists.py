"""Ranked lists beside what was relevant: the one thing every ranking metric reads."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.metrics.arrays import Bools, Floats, Ints

__all__ = ["PAD", "RankedLists", "RelevantItems"]

PAD = -1
"""What fills the slots behind the last item of a list shorter than the others."""


@dataclass(frozen=True, eq=False)
class RelevantItems:
    """Which items are relevant to each user: a set per user, in CSR form. Build it with one of the class methods.

    Args:
        indptr: int64[q + 1]; user ``u`` owns ``indices[indptr[u]:indptr[u + 1]]``.
        indices: int32[n], item codes, rising within a user, each at most once.
        gains: float64[n] or None, how relevant each is; None means 1 for all.
    """

    indptr: Ints
    indices: npt.NDArray[np.int32]
    gains: Floats | None = None

    @classmethod
    def from_pairs(
        cls, rows: npt.ArrayLike, items: npt.ArrayLike, n_rows: int, gains: npt.ArrayLike | None = None
    ) -> "RelevantItems":
        """Build from one (row, item) pair an interaction; a pair that comes twice counts once, with its largest gain.

        Args:
            rows: int[n], which list (user) the pair belongs to, 0..n_rows - 1.
            items: int[n], item codes.
            n_rows: the number of lists.
            gains: float[n], finite and not negative, or None.

        Raises:
            ValueError: if a row or item is out of range, lengths differ or a gain is negative or not finite.

        >>> RelevantItems.from_pairs([1, 0, 1, 1], [5, 2, 5, 3], n_rows=2).indices
        array([2, 3, 5], dtype=int32)
        """
        row, item = _codes(rows, "rows"), _codes(items, "items")
        gain = None if gains is None else np.asarray(gains, dtype=np.float64)
        if row.size != item.size or (gain is not None and gain.size != row.size):
            raise ValueError(
                f"rows, items and gains must be equally long; got {row.size} rows, {item.size} items"
            )
        if row.size and row.max() >= n_rows:
            raise ValueError(f"rows must be below n_rows={n_rows}; got {row.max()}")
        if gain is not None and not (np.isfinite(gain) & (gain >= 0)).all():
            raise ValueError("gains must be finite and not negative; map ratings to gains before")
        order = np.lexsort((item, row) if gain is None else (-gain, item, row))
        row, item = row[order], item[order]
        first = np.ones(row.size, dtype=bool)
        first[1:] = (row[1:] != row[:-1]) | (item[1:] != item[:-1])
        indptr = np.zeros(n_rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(row[first], minlength=n_rows), out=indptr[1:])
        return cls(indptr, item[first].astype(np.int32), None if gain is None else gain[order][first])

    @classmethod
    def from_csr(
        cls, indptr: npt.ArrayLike, indices: npt.ArrayLike, gains: npt.ArrayLike | None = None
    ) -> "RelevantItems":
        """Build from CSR arrays that may be unsorted and hold an item twice (see `from_pairs`)."""
        starts = np.asarray(indptr, dtype=np.int64)
        return cls.from_pairs(
            np.repeat(np.arange(starts.size - 1), np.diff(starts)), indices, starts.size - 1, gains
        )

    @classmethod
    def from_sets(cls, sets: Sequence[Collection[int]]) -> "RelevantItems":
        """Build from one collection of item codes per user.

        >>> RelevantItems.from_sets([{3, 1}, set(), [2, 2]]).counts
        array([2, 0, 1])
        """
        rows = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
        return cls.from_pairs(rows, [item for members in sets for item in members], len(sets))

    def __len__(self) -> int:
        return self.indptr.size - 1

    @cached_property
    def counts(self) -> Ints:
        """int64[q], how many items are relevant to each user."""
        counts: Ints = np.diff(self.indptr)
        return counts

    @cached_property
    def rows(self) -> Ints:
        """int64[n], the user of each entry of ``indices``."""
        rows: Ints = np.repeat(np.arange(len(self), dtype=np.int64), self.counts)
        return rows


@dataclass(frozen=True, eq=False)
class RankedLists:
    """Lists of recommended items, best first, beside the relevant items of the same users.

    Args:
        items: int32[q, w], item codes; a list shorter than ``w`` ends in `PAD` (-1).
        relevant: the relevant items of the same ``q`` users.

    Raises:
        ValueError: if shapes differ, a pad stands before an item, or a list holds an item twice.

    >>> lists = RankedLists.from_lists([[7, 8, 9], [1]], relevant=[{8, 9}, {2}])
    >>> lists.hits
    array([[False,  True,  True],
           [False, False, False]])
    """

    items: npt.NDArray[np.int32]
    relevant: RelevantItems

    def __post_init__(self) -> None:
        items = self.items
        if items.ndim != 2 or items.dtype != np.int32:
            raise ValueError(f"items must be int32[lists, slots]; got {items.dtype}{list(items.shape)}")
        if len(items) != len(self.relevant):
            raise ValueError(f"{len(items)} lists came with relevant items of {len(self.relevant)} users")
        _refuse((items[:, 1:] >= 0) & (items[:, :-1] < 0), "has an empty slot before an item")
        ordered = np.sort(items, axis=1)
        _refuse((ordered[:, 1:] >= 0) & (ordered[:, 1:] == ordered[:, :-1]), "holds an item twice")

    @classmethod
    def from_lists(
        cls, lists: Sequence[Sequence[int]], relevant: Sequence[Collection[int]], width: int | None = None
    ) -> "RankedLists":
        """Build from Python lists; short ones are padded to ``width`` (None: the longest)."""
        slots = max(map(len, lists), default=0) if width is None else width
        items = np.full((len(lists), slots), PAD, dtype=np.int32)
        for row, members in enumerate(lists):
            items[row, : len(members)] = members
        return cls(items, RelevantItems.from_sets(relevant))

    def __len__(self) -> int:
        return len(self.items)

    @cached_property
    def lengths(self) -> Ints:
        """int64[q], how many items each list really holds."""
        lengths: Ints = (self.items >= 0).sum(axis=1, dtype=np.int64)
        return lengths

    @cached_property
    def hits(self) -> Bools:
        """bool[q, w], whether the item in each slot is relevant."""
        return self._positions >= 0

    @cached_property
    def gains(self) -> Floats:
        """float64[q, w], the gain of the item in each slot: 0 where it is not relevant."""
        if self.relevant.gains is None:
            return self.hits.astype(np.float64)
        return np.where(self.hits, np.append(self.relevant.gains, 0.0)[self._positions], 0.0)

    @cached_property
    def _positions(self) -> Ints:
        """int64[q, w], where each listed item stands in ``relevant.indices``; -1 where it does not.

        One key per (row, item), so that one binary search over the sorted keys serves all users at once.
        """
        relevant = self.relevant
        if not relevant.indices.size:
            return np.full(self.items.shape, -1, dtype=np.int64)
        span = 1 + max(int(relevant.indices.max()), int(self.items.max(initial=0)))
        keys = relevant.rows * span + relevant.indices
        wanted = np.arange(len(self), dtype=np.int64)[:, None] * span + self.items
        found: Ints = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        found[(keys[found] != wanted) | (self.items < 0)] = -1
        return found

    def first(self, k: int) -> npt.NDArray[np.int32]:
        """int32[q, k], the items in the first k slots.

        Raises:
            ValueError: if ``k`` is not between 1 and the number of slots: these lists were not made for it.
        """
        slots = self.items.shape[1]
        if not 1 <= k <= slots:
            raise ValueError(f"k={k}, but the lists have {slots} slots; ask for a k from 1 to {slots}")
        return self.items[:, :k]

    def first_hits(self, k: int) -> Bools:
        """bool[q, k], the first k slots of ``hits``; refuses a ``k`` as `first` does."""
        return self.hits[:, : self.first(k).shape[1]]

    def first_gains(self, k: int) -> Floats:
        """float64[q, k], the first k slots of ``gains``; refuses a ``k`` as `first` does."""
        return self.gains[:, : self.first(k).shape[1]]


def _codes(values: npt.ArrayLike, name: str) -> Ints:
    codes: npt.NDArray[Any] = np.asarray(values)
    if codes.size and (
        codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() > np.iinfo(np.int32).max
    ):
        raise ValueError(
            f"{name} must be codes, whole numbers from 0 to 2**31 - 1; got {codes.dtype} from {codes.min()} to {codes.max()}"
        )
    return codes.astype(np.int64).ravel()


def _refuse(bad: Bools, what: str) -> None:
    rows = np.flatnonzero(bad.any(axis=1))
    if rows.size:
        raise ValueError(f"list {rows[0]} {what} ({rows.size} such lists)")
