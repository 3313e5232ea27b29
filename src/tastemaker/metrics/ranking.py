"""What a ranked list is worth: one number per user, NaN for a user with nothing relevant.

All read a `RankedLists` and look at its first ``k`` slots. Empty slots of a short list are misses. A user with nothing relevant
cannot be served well or badly, so the mean leaves such users out and reports how many they are.
"""

import numpy as np

from tastemaker.metrics.arrays import Floats, Ints, divide, group_sums, row_sums
from tastemaker.metrics.lists import RankedLists

__all__ = [
    "average_precision_at_k",
    "average_precision_min_at_k",
    "discounts",
    "hit_rate_at_k",
    "ndcg_at_k",
    "ndcg_graded_at_k",
    "precision_at_k",
    "recall_at_k",
    "reciprocal_rank_at_k",
]


def discounts(k: int) -> Floats:
    """float64[k], the weight 1 / log2(rank + 1) of the ranks 1..k.

    >>> discounts(3).round(4)
    array([1.    , 0.6309, 0.5   ])
    """
    weights: Floats = 1.0 / np.log2(np.arange(2, k + 2))
    return weights


def precision_at_k(lists: RankedLists, k: int) -> Floats:
    """Return |hits in the first k| / k for each user: float64[q].

    >>> precision_at_k(RankedLists.from_lists([[4, 5, 6]], [{5, 9}]), 3)
    array([0.33333333])
    """
    return _measured(lists, _count_hits(lists, k) / k)


def recall_at_k(lists: RankedLists, k: int) -> Floats:
    """Return |hits in the first k| / |relevant| for each user: float64[q]."""
    return _measured(lists, _count_hits(lists, k) / _at_least_one(lists.relevant.counts))


def hit_rate_at_k(lists: RankedLists, k: int) -> Floats:
    """Return 1 where the first k hold at least one relevant item, else 0: float64[q]."""
    return _measured(lists, (_count_hits(lists, k) > 0).astype(np.float64))


def reciprocal_rank_at_k(lists: RankedLists, k: int) -> Floats:
    """Return 1 / rank of the first hit, 0 when the first k hold none: float64[q]."""
    hits = lists.first_hits(k)
    return _measured(lists, np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0))


def average_precision_at_k(lists: RankedLists, k: int) -> Floats:
    """Return (sum over the hits in the first k of precision at the hit's rank) / k: float64[q].

    Dividing by k even when fewer than k items are relevant is the textbook's AP@N.

    >>> average_precision_at_k(RankedLists.from_lists([[9, 1, 2]], [{1, 2}]), 3)  # (1/2 + 2/3) / 3
    array([0.38888889])
    """
    return _measured(lists, _precision_at_hits(lists, k) / k)


def average_precision_min_at_k(lists: RankedLists, k: int) -> Floats:
    """Return (sum over the hits in the first k of precision at the hit's rank) / min(k, |relevant|): float64[q].

    A perfect list scores 1 however few items are relevant.
    """
    return _measured(
        lists, _precision_at_hits(lists, k) / _at_least_one(np.minimum(k, lists.relevant.counts))
    )


def ndcg_at_k(lists: RankedLists, k: int) -> Floats:
    """Return normalised discounted cumulative gain with gain 1 for each hit: float64[q].

    DCG = sum over hits in the first k of 1 / log2(rank + 1), divided by the DCG of the ideal list, whose first
    min(k, |relevant|) slots are all hits (Järvelin and Kekäläinen, 2002, with the discount of Burges et al., 2005).

    >>> ndcg_at_k(RankedLists.from_lists([[9, 1, 2]], [{1, 2}]), 3).round(4)  # (.6309 + .5) / (1 + .6309)
    array([0.6934])
    """
    hits, weights = lists.first_hits(k), discounts(k)
    ideal = np.cumsum(weights)[np.clip(lists.relevant.counts, 1, k) - 1]
    return _measured(lists, hits @ weights / ideal)


def ndcg_graded_at_k(lists: RankedLists, k: int) -> Floats:
    """Return NDCG with the gains of `RelevantItems` taken as they are: float64[q].

    The ideal list holds the user's k largest gains, largest first. For the exponential form, give 2**rating - 1 as gains.
    A user whose gains are all 0 counts as one with nothing relevant.
    """
    reached = lists.first_gains(k) @ discounts(k)
    relevant, weights = lists.relevant, discounts(k)
    gains = np.ones(relevant.indices.size) if relevant.gains is None else relevant.gains
    best_first = gains[np.lexsort((-gains, relevant.rows))]
    rank = np.arange(gains.size) - relevant.indptr[relevant.rows]
    top = rank < k
    ideal = group_sums(relevant.rows[top], best_first[top] * weights[rank[top]], len(lists))
    return divide(reached, ideal)


def _count_hits(lists: RankedLists, k: int) -> Floats:
    return row_sums(lists.first_hits(k))


def _precision_at_hits(lists: RankedLists, k: int) -> Floats:
    hits = lists.first_hits(k)
    return row_sums(hits * (np.cumsum(hits, axis=1) / np.arange(1, k + 1)))


def _at_least_one(counts: Ints) -> Ints:
    return np.maximum(counts, 1)


def _measured(lists: RankedLists, values: Floats) -> Floats:
    return np.where(lists.relevant.counts > 0, values, np.nan)
