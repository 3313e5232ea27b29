"""What lists do beside being right: how much of the catalogue they show, how new, how varied, how popular."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from tastemaker.metrics.arrays import Floats, Ints, divide, row_sums
from tastemaker.metrics.lists import RankedLists, RelevantItems
from tastemaker.metrics.measurement import Measurement, ratio_over_users

__all__ = [
    "Vectors",
    "coverage_at_k",
    "diversity_at_k",
    "gini_at_k",
    "novelty_at_k",
    "popularity_lift_at_k",
    "serendipity_at_k",
]

Vectors: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64] | sp.csr_array
BLOCK = 8192
"""Lists whose vectors are summed together, to bound memory."""


def coverage_at_k(lists: RankedLists, k: int, n_items: int) -> float:
    """Return the share of the catalogue that stands in the first k of at least one list."""
    return float((_exposure(lists, k, n_items) > 0).mean())


def gini_at_k(lists: RankedLists, k: int, n_items: int) -> float:
    """Return the Gini index of how often each item of the catalogue is shown in the first k: 0 even, towards 1 on few items.

    G = sum_i (2 i - n - 1) x_i / (n sum x) with the counts x in rising order; items never shown count as 0.
    NaN when nothing is shown.

    >>> gini_at_k(RankedLists.from_lists([[0], [0]], [{0}, {1}]), 1, n_items=2)
    0.5
    """
    shown = np.sort(_exposure(lists, k, n_items)).astype(np.float64)
    total = n_items * shown.sum()
    weights = 2.0 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ shown / total) if total > 0 else float("nan")


def novelty_at_k(lists: RankedLists, k: int, popularity: npt.ArrayLike, n_training_users: int) -> Floats:
    """Return the mean self-information, in bits, of what each user is shown: float64[q], NaN for an empty list.

    -log2(popularity / users), averaged over the items in the first k (Zhou et al., 2010). An item
    that nobody had counts as having had one user.

    Args:
        lists: the recommendations.
        k: the list's length.
        popularity: int or float[n_items], training users who had the item.
        n_training_users: how many users the training part has.
    """
    share = np.maximum(_per_item(popularity, lists), 1.0) / n_training_users
    return _mean_shown(lists, k, -np.log2(share))


def popularity_lift_at_k(
    lists: RankedLists, k: int, popularity: npt.ArrayLike, consumed: npt.ArrayLike
) -> Measurement:
    """Measure how much more popular the items shown are than those the same users had chosen: a ratio of means over users.

    Mean popularity of the first k, averaged over users, divided by the mean popularity of the users' training items,
    averaged over the same users. 1: as popular as their own taste; 2: twice.
    (Group average popularity: Abdollahpouri et al., 2019.)

    Args:
        lists: the recommendations.
        k: the list's length.
        popularity: int or float[n_items], training users who had the item.
        consumed: float[q], mean popularity of the items in each user's training history, NaN for a user without one.
    """
    shown = _mean_shown(lists, k, _per_item(popularity, lists))
    return ratio_over_users(shown, np.asarray(consumed, dtype=np.float64))


def serendipity_at_k(lists: RankedLists, k: int, baseline: npt.NDArray[np.int32]) -> Floats:
    """Return the share of the k slots that are right and not obvious: float64[q], NaN for a user with nothing relevant.

    |relevant items in the first k that a popularity list would not have shown| / k  (Ge et al., 2010).

    Args:
        lists: the recommendations.
        k: the list's length.
        baseline: int32[q, w] or int32[1, w] with w >= k: what the most-popular list shows each user, or everyone.
    """
    if baseline.ndim != 2 or baseline.shape[0] not in (1, len(lists)) or baseline.shape[1] < k:
        raise ValueError(
            f"baseline must be int32[{len(lists)} or 1, at least {k}]; got {baseline.dtype}{list(baseline.shape)}"
        )
    obvious = RankedLists(lists.items, _as_sets(baseline[:, :k], len(lists))).first_hits(k)
    right = (lists.first_hits(k) & ~obvious).sum(axis=1)
    return np.where(lists.relevant.counts > 0, right / k, np.nan)


def diversity_at_k(lists: RankedLists, k: int, vectors: Vectors) -> Floats:
    """Return the mean of 1 - cosine over all pairs of items in the first k: float64[q], NaN for lists of fewer than two.

    With unit vectors v the sum of the cosines of all pairs is (|sum v|^2 - sum |v|^2) / 2, so no pair is formed. An item whose
    vector is zero is at distance 1 from everything. (Intra-list similarity: Ziegler et al., 2005.)

    Args:
        lists: the recommendations.
        k: the list's length.
        vectors: float[n_items, f], one row an item, dense or CSR.
    """
    unit, present = _unit_rows(vectors)
    answer = np.full(len(lists), np.nan)
    for begin in range(0, len(lists), BLOCK):
        items = lists.first(k)[begin : begin + BLOCK]
        picks = _picks(items, unit.shape[0])
        squared = _squared_norms(_sums(picks, unit))
        held = (items >= 0).sum(axis=1)
        n_pairs = held * (held - 1) / 2
        cosines = (squared - picks @ present) / 2
        answer[begin : begin + BLOCK] = divide(n_pairs - cosines, n_pairs)
    return answer


def _unit_rows(vectors: Vectors) -> tuple[Floats | sp.csr_array, Floats]:
    """Scale rows to length 1, zero rows staying zero; beside them 1.0 where a row is not zero."""
    doubles = vectors.astype(np.float64)
    norms = np.sqrt(_squared_norms(doubles))
    present = (norms > 0).astype(np.float64)
    scale = present / np.where(norms > 0, norms, 1.0)
    if isinstance(doubles, sp.csr_array):
        return sp.csr_array(sp.diags_array(scale) @ doubles), present
    return doubles * scale[:, None], present


def _sums(picks: sp.csr_array, unit: Floats | sp.csr_array) -> Floats | sp.csr_array:
    if isinstance(unit, sp.csr_array):
        return sp.csr_array(picks @ unit)
    return np.asarray(picks @ unit, dtype=np.float64)


def _squared_norms(rows: Floats | sp.csr_array) -> Floats:
    if isinstance(rows, sp.csr_array):
        return np.asarray(rows.power(2).sum(axis=1), dtype=np.float64).ravel()
    return row_sums(rows * rows)


def _picks(items: npt.NDArray[np.int32], n_items: int) -> sp.csr_array:
    """0/1 matrix of lists x items."""
    held = items >= 0
    indptr = np.concatenate(([0], np.cumsum(held.sum(axis=1))))
    return sp.csr_array((np.ones(indptr[-1]), items[held], indptr), shape=(len(items), n_items))


def _exposure(lists: RankedLists, k: int, n_items: int) -> Ints:
    shown = lists.first(k)
    shown = shown[shown >= 0]
    if shown.size and shown.max() >= n_items:
        raise ValueError(f"a list holds item {shown.max()}, but n_items is {n_items}")
    return np.bincount(shown, minlength=n_items)


def _mean_shown(lists: RankedLists, k: int, value_of_item: Floats) -> Floats:
    items = lists.first(k)
    held = items >= 0
    return divide(row_sums(np.where(held, value_of_item[items], 0.0)), held.sum(axis=1))


def _per_item(values: npt.ArrayLike, lists: RankedLists) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size <= lists.items.max(initial=-1):
        raise ValueError(
            f"popularity must have one value for each item of the catalogue; got shape {array.shape}"
        )
    return array


def _as_sets(baseline: npt.NDArray[np.int32], n_rows: int) -> RelevantItems:
    rows = np.broadcast_to(baseline, (n_rows, baseline.shape[1]))
    held = rows >= 0
    return RelevantItems.from_pairs(np.nonzero(held)[0], rows[held], n_rows)
