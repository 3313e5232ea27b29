"""Items that a model has learned nothing of: each stands for the known items most like it by content.

Its score is the weighted mean of theirs; for a model of inner products, that of the mean of their vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems
from tastemaker.models.base import DotProduct
from tastemaker.policy.content import Nearest

__all__ = ["Arrivals"]

Codes = NDArray[np.int32]
Scores = NDArray[np.float32]

_ASKED = 5  # of the items like a new one, how many are asked about where scores are not vectors


@dataclass(frozen=True, eq=False)
class Arrivals:
    """The new items of a shelf.

    Attributes:
        first: how many items the models were fitted on; the codes from there on came later.
        row: int32[items], the row of each item in ``like``; -1 for those of which the models have learned something.
        like: the known items most like each.
        memo: vectors by model, made on demand.
        packed_memo: by model the array of new items that was asked for last, and their vectors.
    """

    first: int
    row: Codes
    like: Nearest
    memo: dict[int, Scores] = field(default_factory=dict)
    packed_memo: dict[int, tuple[Codes, PackedItems]] = field(default_factory=dict)

    @classmethod
    def among(cls, n_items: int, cold: Codes, like: Nearest) -> "Arrivals":
        """Those of the fitted items that nobody has had."""
        row = np.full(n_items, -1, np.int32)
        row[cold] = np.arange(len(cold), dtype=np.int32)
        return cls(n_items, row, like)

    def __len__(self) -> int:
        """How many came after the fit."""
        return len(self.row) - self.first

    def extended(self, like: Nearest) -> "Arrivals":
        """With more items, whose codes follow."""
        start = len(self.like.codes)
        more = np.arange(start, start + len(like.codes), dtype=np.int32)
        joined = Nearest(*(np.concatenate(pair) for pair in zip(self.like, like, strict=True)))
        return Arrivals(self.first, np.concatenate([self.row, more]), joined)

    def replaced(self, codes: Codes, like: Nearest) -> "Arrivals":
        """With other likenesses of some new items."""
        own = Nearest(self.like.codes.copy(), self.like.weights.copy())
        own.codes[self.row[codes]], own.weights[self.row[codes]] = like
        return Arrivals(self.first, self.row, own)

    def vectors_of(self, model: DotProduct[Any], items: Codes) -> Scores:
        """float32[n, f]: the vectors by which a model scores items; NaN where there is no evidence."""
        known = model.packed_items(model._fitted).items
        return self.mean_rows(known, items, id(model))

    def packed(self, model: DotProduct[Any], items: Codes) -> PackedItems:
        """The vectors of items as kernels take them, kept as long as the same array is asked for."""
        there = self.packed_memo.get(id(model))
        if there is None or there[0] is not items:
            there = self.packed_memo[id(model)] = (items, PackedItems(self.vectors_of(model, items)))
        return there[1]

    def mean_rows(self, known: Scores, items: Codes, key: int | None = None) -> Scores:
        """float32[n, f]: the rows of items, of new ones the mean over the items like them, kept under ``key``."""
        row = self.row[items]
        late = np.flatnonzero(row >= 0)
        if not len(late):
            return np.ascontiguousarray(known[items])
        found: Scores = known[np.minimum(items, self.first - 1)]
        if key is None:
            found[late] = _means(known, Nearest(self.like.codes[row[late]], self.like.weights[row[late]]))
            return found
        if key not in self.memo:
            self.memo[key] = _means(known, self.like)
        found[late] = self.memo[key][row[late]]
        return found

    def scores(self, items: Codes, score: Callable[[Codes], Scores], had: Codes) -> Scores:
        """float32[n]: the scores of items, of new ones the weighted mean over the five most like them, but for what is had.

        What a user has had would speak for a new item twice: it is in the history already, and models score it above others.

        Args:
            items: codes.
            score: from int32[m], codes of known items, to float32[m].
            had: the user's history.
        """
        row = self.row[items]
        late, known = np.flatnonzero(row >= 0), np.flatnonzero(row < 0)
        if not len(late):
            return score(items)
        like, weights = self.like.codes[row[late]], self.like.weights[row[late]]
        asked = (like >= 0) & ~np.isin(like, had)
        asked &= asked.cumsum(axis=1) <= _ASKED
        scores = score(np.concatenate([items[known], like[asked]]))
        parts, entry = scores[len(known) :], np.nonzero(asked)[0]
        shares = np.where(np.isnan(parts), 0, weights[asked])
        total = np.bincount(entry, shares, len(late))
        summed = np.bincount(entry, shares * np.nan_to_num(parts), len(late))
        out = np.empty(len(items), np.float32)
        out[known] = scores[: len(known)]
        out[late] = np.divide(summed, total, out=np.full(len(late), np.nan), where=total > 0)
        return out


def _means(known: Scores, like: Nearest) -> Scores:
    """float32[m, f]: weighted means of known rows; NaN where nothing is like an item."""
    found: Scores = np.einsum("mp,mpf->mf", like.weights, np.nan_to_num(known[np.maximum(like.codes, 0)]))
    found[like.codes[:, 0] < 0] = np.nan
    return found
