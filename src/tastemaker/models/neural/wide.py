"""The weights of crosses, summed for many queries and all items at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tastemaker.models.neural.crosses import Codes, FittedCross, joined
from tastemaker.models.neural.encoded import Encoded

__all__ = ["CrossScorer"]

Float64 = NDArray[np.float64]


class CrossScorer:
    """Σ of the weights of all crosses, for queries and every item; a query's row is bit-identical alone or in any batch."""

    def __init__(self, crosses: Sequence[FittedCross], weights: NDArray[np.float32], item: Encoded) -> None:
        """Prepare the item's part.

        Args:
            crosses: as fitted.
            weights: float32[n_cross_rows].
            item: all items.
        """
        offsets = np.cumsum([0, *(cross.size for cross in crosses)])
        parts = np.split(np.asarray(weights, np.float64), offsets[1:-1])
        self.n_items = len(item)
        self.each: list[_Learned | _Hashed] = [
            (_Learned if cross.spec.buckets is None else _Hashed)(cross, own, item)
            for cross, own in zip(crosses, parts, strict=False)
        ]

    def scores(self, user: Encoded, context: Encoded) -> Float64:
        """float64[queries, items]."""
        total = np.zeros((len(user), self.n_items))
        for one in self.each:
            one.add(total, user, context)
        return total


class _Learned:
    """The sparse product Q W Iᵀ: the query's part of each combination, the weights of both together, the item's part.

    Weights of zero, most of what L1 leaves, cost nothing.
    """

    def __init__(self, cross: FittedCross, weights: Float64, item: Encoded) -> None:
        assert cross.item_radix is not None
        self.cross = cross
        part = cross.item_part(item)
        here = np.flatnonzero(weights)
        self.left, row = np.unique(cross.learned[here] // cross.item_radix, return_inverse=True)
        right, column = np.unique(cross.learned[here] % cross.item_radix, return_inverse=True)
        shape = (len(self.left), len(right))
        self.weights = csr_array((weights[here], (row, column)), shape=shape)
        self.items = csr_array(_incidence(part, right).T)

    def add(self, scores: Float64, user: Encoded, context: Encoded) -> None:
        queries = _incidence(self.cross.query_part(user, context), self.left)
        scores += (queries @ self.weights @ self.items).toarray()


class _Hashed:
    """Every combination of a query's part with every item's, hashed: one query after another."""

    def __init__(self, cross: FittedCross, weights: Float64, item: Encoded) -> None:
        self.cross = cross
        self.weights = weights
        part = cross.item_part(item)
        self.right = np.unique(part.codes)
        self.items = _incidence(part, self.right)

    def add(self, scores: Float64, user: Encoded, context: Encoded) -> None:
        part = self.cross.query_part(user, context)
        for query, code in zip(part.rows(), part.codes, strict=True):
            codes = joined(np.full(len(self.right), code), self.right, None)
            scores[query] += self.items @ self.weights[self.cross.found(codes)]


def _incidence(part: Codes, codes: NDArray[np.int64]) -> csr_array:
    """Rows × codes, 1 where a row has a code; ``codes`` ascending, others are left out."""
    at = np.searchsorted(codes, part.codes)
    hit = np.append(codes, np.int64(-1))[at] == part.codes
    there = Codes(part.indptr, at).where(hit)
    return csr_array(
        (np.ones(len(there.codes)), there.codes, there.indptr), shape=(len(part.indptr) - 1, len(codes))
    )
