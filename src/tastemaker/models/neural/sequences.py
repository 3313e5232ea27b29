"""Histories as sequences of rows of an item table, packed end to end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.history import History

__all__ = ["HeldOut", "Sequences", "hold_last_out"]

Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Ragged sequences, oldest first, without padding.

    Attributes:
        indptr: int64[n + 1]; sequence ``s`` is ``items[indptr[s]:indptr[s + 1]]``.
        items: int32[tokens], rows of an item table.
    """

    indptr: Int64
    items: NDArray[np.int32]

    @classmethod
    def of(cls, history: History, rows: NDArray[np.int32], length: int | None = None) -> "Sequences":
        """The histories, oldest first; what a model does not know, or has weight 0, is left out.

        Args:
            history: of anybody; equal times stay in its order.
            rows: int32[items], the row of each item code in the model's table, −1 for one that it does not know.
            length: so many of the most recent ones; None: all.

        >>> history = History.of_lengths(np.array([3, 1]), np.array([0, 1, 2, 1], np.int32))
        >>> found = Sequences.of(history, np.array([5, -1, 6], np.int32), length=1)
        >>> found.indptr.tolist(), found.items.tolist()
        ([0, 1, 1], [6])
        """
        found = rows[history.indices]
        keep = (found >= 0) & (history.weight > 0)
        before = np.concatenate([[0], np.cumsum(keep)])
        if length is not None:
            end = before[history.indptr[1:]]  # entry j stays if fewer than `length` known ones come after it
            keep &= np.repeat(end, history.lengths) - before[1:] < length
            before = np.concatenate([[0], np.cumsum(keep)])
        return cls(before[history.indptr], found[keep])

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def lengths(self) -> Int64:
        """int64[n]: how many items each has."""
        return np.diff(self.indptr)

    def take(self, which: NDArray[np.integer]) -> "Sequences":
        """These sequences, in this order."""
        return self.windows(self.indptr[which], self.indptr[np.asarray(which) + 1])

    def recent(self, length: int) -> "Sequences":
        """The last ``length`` items of each."""
        return self.windows(np.maximum(self.indptr[:-1], self.indptr[1:] - length), self.indptr[1:])

    def with_last(self, item: int) -> "Sequences":
        """Each with one more item at its end.

        >>> Sequences(np.array([0, 2, 3]), np.array([1, 2, 3], np.int32)).with_last(9).items.tolist()
        [1, 2, 9, 3, 9]
        """
        longer = np.insert(self.items, self.indptr[1:], item)
        return Sequences(self.indptr + np.arange(len(self.indptr)), longer)

    def windows(self, start: Int64, stop: Int64) -> "Sequences":
        """``items[start[j]:stop[j]]`` as sequence j."""
        lengths = stop - start
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        place = np.arange(indptr[-1]) + np.repeat(start - indptr[:-1], lengths)
        return Sequences(indptr, self.items[place])


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What tells the best epoch.

    Attributes:
        before: the sequences up to what is held out.
        target: int32[n], the row of the item that came next.
    """

    before: Sequences
    target: NDArray[np.int32]


def hold_last_out(sequences: Sequences, fraction: float, seed: int) -> tuple[Sequences, HeldOut]:
    """Hold the last item of a share of the sequences out, of those with three or more.

    Returns:
        The sequences to learn from, and what is held out.

    >>> all_of_it = Sequences(np.array([0, 3, 5]), np.array([7, 8, 9, 4, 5], np.int32))
    >>> learn, held = hold_last_out(all_of_it, fraction=1.0, seed=0)
    >>> learn.items.tolist(), held.before.items.tolist(), held.target.tolist()
    ([7, 8, 4, 5], [7, 8], [9])
    """
    able = np.flatnonzero(sequences.lengths >= 3)
    order = np.random.default_rng([seed, 1]).permutation(len(able))
    chosen = np.sort(able[order[: round(fraction * len(able))]])
    last = sequences.indptr[1:].copy()
    last[chosen] -= 1
    target = sequences.items[last[chosen]]
    return (
        sequences.windows(sequences.indptr[:-1], last),
        HeldOut(sequences.windows(sequences.indptr[chosen], last[chosen]), target),
    )
