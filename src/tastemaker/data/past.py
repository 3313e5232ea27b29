"""What users did: the columns that a model was fitted on, and beside them what has come since."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.history import COLUMNS, History

__all__ = ["Inserted", "Past"]

_MUCH = 1 / 8
"""The share of new entries, or of rows asked for, from which on all histories are put in one."""


class Past:
    """The histories of all users, which grow at the cost of what is new.

    New interactions stand in a history of their own, and are put among the old ones where rows are read: in those rows, or in
    all of them once somebody needs all. The columns below are shared with the past before, and never changed.

    >>> day = History.of_lengths(np.array([2, 0]), np.array([7, 4], np.int32))
    >>> past = Past(day).inserted(History.of_lengths(np.array([0, 1]), np.array([5], np.int32)), columns=8, add_weights=True).past
    >>> past.take(np.array([1, 0])).indices, past.whole.indptr
    (array([5, 7, 4], dtype=int32), array([0, 2, 3]))
    """

    def __init__(self, base: History, later: History | None = None, columns: int = 0) -> None:
        """``later`` has as many rows as ``base``, and its entries take the place of those that have the same row and index;
        all indices are below ``columns``.
        """
        self._parts = base, later  # of which `whole` makes one; whoever reads them takes both at once
        self._columns = columns

    @property
    def whole(self) -> History:
        """All histories in one set of columns, from the first call on."""
        base, later = self._parts
        if later is not None:
            base = base.overlaid(later, self._columns)
            self._parts = base, None
        return base

    @property
    def timeless(self) -> History:
        """All histories in one set of columns without times, at a third of the cost of :attr:`whole`; within a row, what came
        later than the columns below stands last.
        """
        base, later = self._parts
        base = base.timeless()
        return base if later is None else base.overlaid(later.timeless(), self._columns)

    def take(self, rows: NDArray[np.integer]) -> History:
        """The histories of these users, in this order (repeats allowed)."""
        base, later = self._parts
        if later is None or len(rows) > _MUCH * len(base):
            return self.whole.take(rows)
        return base.take(rows).overlaid(later.take(rows), self._columns)

    def inserted(self, new: History, *, columns: int, add_weights: bool) -> "Inserted":
        """The past with new interactions, and what they change.

        Of an index that a row has already, the later interaction stands, for ratings as it is; with ``add_weights`` it
        carries the weight of both: what ``Dataset.from_interactions`` makes of duplicates by default. The rest keeps its
        order; what comes in stands after others of the same time.

        Args:
            new: with at least as many rows; no index twice in a row.
            columns: all indices are below it.
            add_weights: for implicit feedback.
        """
        base, later = self._parts
        known, old = _known((base,) if later is None else (base, later), new, columns)
        late = known & (old.timestamp > new.timestamp)  # the old one is the last
        gone, came = old.where(known), new
        if add_weights:
            came = _joined(old, new, late)
        elif late.any():
            gone, came = old.where(known & ~late), new.where(~late)
        later = came if later is None else later.overlaid(came, columns)
        past = Past(base.grown(len(new)), later, columns)
        if len(later.indices) > _MUCH * len(base.indices):
            past = Past(past.whole)
        return Inserted(past, gone, came)


class Inserted(NamedTuple):
    """A past after new interactions: what it was, less what is ``gone``, with what ``came``.

    Attributes:
        past: all of it.
        gone: what was replaced, row by row.
        came: what is new, and what took the place of what is gone.
    """

    past: Past
    gone: History
    came: History


def _known(parts: Iterable[History], new: History, columns: int) -> tuple[NDArray[np.bool_], History]:
    """Which entries of ``new`` there are already, and what the last of the parts that has them says of them."""
    known = np.zeros(len(new.indices), np.bool_)
    old = {name: np.zeros(len(known), getattr(new, name).dtype) for name in COLUMNS}
    for part in parts:
        at = part.find(new, columns)
        here = np.flatnonzero(at >= 0)
        known[here] = True
        for name, column in old.items():
            column[here] = getattr(part, name)[at[here]]
    return known, replace(new, **old)


def _joined(old: History, new: History, late: NDArray[np.bool_]) -> History:
    """The new entries with the weight of the old ones, and with the value and time of those that are later."""
    weight = new.weight + old.weight
    if not late.any():
        return replace(new, weight=weight)
    value, time = np.where(late, old.value, new.value), np.where(late, old.timestamp, new.timestamp)
    return History.group(new.rows(), new.indices, value, weight, time, n_rows=len(new))
