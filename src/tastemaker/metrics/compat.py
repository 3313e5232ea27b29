"""The ranking metrics as other libraries compute them, to compare with figures made by those.

The same lists give MAP@5 from .246 to .444 across libraries. Each function here says how its library departs from this package's
definitions (`tastemaker.metrics.table`), and is tested against what the library's own function answers (tests/metrics/golden).
Users with nothing relevant are left out everywhere except under scikit-learn, and a test row that comes twice counts once.

Read in: implicit 0.7.3, LensKit 2025.8, RecTools 0.19, scikit-learn 1.9.
"""

from collections.abc import Callable

import numpy as np

from tastemaker.metrics import ranking
from tastemaker.metrics.arrays import Bools, Floats, divide, row_sums
from tastemaker.metrics.lists import RankedLists
from tastemaker.metrics.measurement import Measurement, mean_over_users, ratio_over_users
from tastemaker.metrics.metric import Evidence, Family, given
from tastemaker.metrics.table import of_lists

__all__ = ["PEERS"]


def implicit_precision(lists: RankedLists, k: int) -> Measurement:
    """Hits of all users / sum over users of min(k, relevant): pooled, and a recall where few items are relevant."""
    possible = _nan_without_relevant(lists, np.minimum(k, lists.relevant.counts).astype(np.float64))
    return ratio_over_users(_hit_counts(lists, k), possible)


def implicit_auc(lists: RankedLists, k: int, n_items: int) -> Floats:
    """AUC over the whole catalogue where what the first k do not hold shares one last place (ties half).

    An empty slot counts as an irrelevant item, and so do training items.
    """
    return _list_auc(lists, k, n_items, misses=~lists.first_hits(k))


def lenskit_precision(lists: RankedLists, k: int) -> Floats:
    """Hits / items in the list, so a short list is not punished; an empty list is 0."""
    return _zero_when_empty(lists, divide(_hit_counts(lists, k), np.minimum(k, lists.lengths)))


def lenskit_recall(lists: RankedLists, k: int) -> Floats:
    """Hits / min(k, relevant)."""
    return divide(_hit_counts(lists, k), np.minimum(k, lists.relevant.counts))


def lenskit_average_precision(lists: RankedLists, k: int) -> Floats:
    """Divided by min(relevant, items in the list), so a short list scores higher; an empty list is 0."""
    reached = ranking.average_precision_at_k(lists, k) * k
    return _zero_when_empty(
        lists, divide(reached, np.minimum(lists.relevant.counts, np.minimum(k, lists.lengths)))
    )


def lenskit_ndcg(lists: RankedLists, k: int) -> Floats:
    """Discount 1 / max(1, log2(rank)): ranks 1 and 2 weigh the same."""
    weights = _clipped_discounts(k)
    ideal = np.cumsum(weights)[np.clip(lists.relevant.counts, 1, k) - 1]
    return _nan_without_relevant(lists, lists.first_hits(k) @ weights / ideal)


def rectools_average_precision(lists: RankedLists, k: int) -> Floats:
    """Divided by the number of relevant items, even where it is larger than k."""
    return divide(ranking.average_precision_at_k(lists, k) * k, lists.relevant.counts)


def rectools_ndcg(lists: RankedLists, k: int) -> Floats:
    """The ideal list has k hits, even for users with fewer relevant items, who then cannot reach 1."""
    weights = ranking.discounts(k)
    return _nan_without_relevant(lists, lists.first_hits(k) @ weights / weights.sum())


def rectools_partial_auc(lists: RankedLists, k: int) -> Floats:
    """RecTools' PartialAUC: share of (relevant, one of the first k irrelevant) pairs in the right order, over the whole list."""
    before = np.cumsum((lists.items >= 0) & ~lists.hits, axis=1)
    won = row_sums(np.where(lists.hits, np.maximum(k - before, 0), 0))
    return divide(won, lists.relevant.counts * k)


def sklearn_ndcg(lists: RankedLists, k: int, n_items: int) -> Floats:
    """``ndcg_score`` of -rank, all unlisted items tied last: empty slots of a short list earn the tie's average gain.

    A user with nothing relevant scores 0 and stays in the mean.
    """
    weights, counts = ranking.discounts(k), lists.relevant.counts
    length = np.minimum(lists.lengths, k)
    unlisted_gain = (counts - _hit_counts(lists, k)) / np.maximum(n_items - length, 1)
    reach = np.concatenate(([0.0], np.cumsum(weights)))
    empty_slots = np.where(length < k, reach[min(k, n_items)] - reach[length], 0.0)
    reached = lists.first_hits(k) @ weights + unlisted_gain * empty_slots
    return np.where(counts > 0, reached / reach[np.clip(counts, 1, k)], 0.0)


def sklearn_average_precision(lists: RankedLists, k: int, n_items: int) -> Floats:
    """``average_precision_score`` over the whole catalogue, all items outside the first k tied last.

    The tie reaches full recall at precision relevant / n_items, so the value is above 0 even without a hit.
    A user with nothing relevant scores 0 and stays in the mean.
    """
    counts = lists.relevant.counts
    missed = counts - _hit_counts(lists, k)
    reached = np.nan_to_num(ranking.average_precision_at_k(lists, k)) * k + missed * counts / n_items
    return reached / np.maximum(counts, 1)


def sklearn_auc(lists: RankedLists, k: int, n_items: int) -> Floats:
    """``roc_auc_score`` of -rank over the whole catalogue, all items outside the first k tied last."""
    return _list_auc(lists, k, n_items, misses=(lists.first(k) >= 0) & ~lists.first_hits(k))


def _list_auc(lists: RankedLists, k: int, n_items: int, misses: Bools) -> Floats:
    hits = lists.first_hits(k)
    relevant = lists.relevant.counts.astype(np.float64)
    irrelevant = n_items - relevant
    beaten_misses = row_sums(np.where(misses, np.cumsum(hits, axis=1), 0))
    beaten_others = (row_sums(hits) + relevant) / 2 * (irrelevant - row_sums(misses))
    return divide(beaten_misses + beaten_others, relevant * irrelevant)


def _clipped_discounts(k: int) -> Floats:
    weights: Floats = 1.0 / np.maximum(np.log2(np.arange(1, k + 1)), 1.0)
    return weights


def _hit_counts(lists: RankedLists, k: int) -> Floats:
    return row_sums(lists.first_hits(k))


def _nan_without_relevant(lists: RankedLists, values: Floats) -> Floats:
    return np.where(lists.relevant.counts > 0, values, np.nan)


def _zero_when_empty(lists: RankedLists, values: Floats) -> Floats:
    return _nan_without_relevant(lists, np.where(lists.lengths > 0, values, 0.0))


def _over_catalogue(
    function: Callable[[RankedLists, int, int], Floats],
) -> Callable[[Evidence, int], Measurement]:
    return lambda evidence, k: mean_over_users(
        function(given(evidence.lists, "lists"), k, given(evidence.n_items, "n_items"))
    )


def _of_lists(definition: str, function: Callable[[RankedLists, int], Floats]) -> Family:
    return Family(definition, ("lists",), of_lists(function))


def _of_catalogue(definition: str, function: Callable[[RankedLists, int, int], Floats]) -> Family:
    return Family(definition, ("lists", "n_items"), _over_catalogue(function))


PEERS: dict[str, dict[str, Family]] = {
    "implicit": {
        "precision": Family(
            "Hits of all users in the first {k} / sum over users of min({k}, relevant).",
            ("lists",),
            lambda evidence, k: implicit_precision(given(evidence.lists, "lists"), k),
        ),
        "map": _of_lists(
            "Sum of precision at the hits in the first {k}, divided by min({k}, relevant).",
            ranking.average_precision_min_at_k,
        ),
        "ndcg": _of_lists("Discount 1 / log2(rank + 1), ideal of min({k}, relevant).", ranking.ndcg_at_k),
        "auc": _of_catalogue("AUC over the catalogue, all outside the first {k} tied last.", implicit_auc),
    },
    "lenskit": {
        "precision": _of_lists("Hits in the first {k} / items in the first {k}.", lenskit_precision),
        "recall": _of_lists("Hits in the first {k} / min({k}, relevant).", lenskit_recall),
        "hit_rate": _of_lists("1 when the first {k} hold a relevant item.", ranking.hit_rate_at_k),
        "mrr": _of_lists("1 / rank of the first hit in the first {k}.", ranking.reciprocal_rank_at_k),
        "map": _of_lists(
            "Sum of precision at the hits in the first {k}, divided by min(relevant, items in the list).",
            lenskit_average_precision,
        ),
        "ndcg": _of_lists(
            "Discount 1 / max(1, log2(rank)), so ranks 1 and 2 weigh the same; ideal of min({k}, relevant).",
            lenskit_ndcg,
        ),
    },
    "rectools": {
        "precision": _of_lists("Hits in the first {k} / {k}.", ranking.precision_at_k),
        "recall": _of_lists("Hits in the first {k} / relevant.", ranking.recall_at_k),
        "hit_rate": _of_lists("1 when the first {k} hold a relevant item.", ranking.hit_rate_at_k),
        "mrr": _of_lists("1 / rank of the first hit in the first {k}.", ranking.reciprocal_rank_at_k),
        "map": _of_lists(
            "Sum of precision at the hits in the first {k}, divided by relevant.", rectools_average_precision
        ),
        "ndcg": _of_lists("Discount 1 / log2(rank + 1), ideal of {k} hits for everyone.", rectools_ndcg),
        "auc": _of_lists(
            "PartialAUC: over the whole list, relevant items against the first {k} irrelevant ones.",
            rectools_partial_auc,
        ),
    },
    "sklearn": {
        "map": _of_catalogue(
            "average_precision_score over the catalogue, all outside the first {k} tied last; 0 with nothing relevant.",
            sklearn_average_precision,
        ),
        "ndcg": _of_catalogue(
            "ndcg_score of -rank at {k}, unlisted items tied last; 0 with nothing relevant.", sklearn_ndcg
        ),
        "auc": _of_catalogue(
            "roc_auc_score of -rank over the catalogue, all outside the first {k} tied last.", sklearn_auc
        ),
    },
}
"""For each library, the metrics it has, under our names."""
