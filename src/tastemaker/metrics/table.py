"""The table of metrics: every name, its definition in words, and the function behind it."""

import math
from collections.abc import Callable
from typing import cast

from tastemaker.metrics import beyond, calibration, classification, correlation, ranking, ratings
from tastemaker.metrics.arrays import Floats
from tastemaker.metrics.beyond import Vectors
from tastemaker.metrics.lists import RankedLists
from tastemaker.metrics.measurement import Measurement, mean_over_users, whole
from tastemaker.metrics.metric import Evidence, Family, given
from tastemaker.metrics.predictions import Predictions

__all__ = ["PREDICTION_METRICS", "RANKING_METRICS", "of_lists", "of_predictions"]

Compute = Callable[[Evidence, int], Measurement]

LEFT_OUT = "Mean over users; users with nothing relevant are left out and counted."
EACH_LIST = "Mean over users with a list of at least one item."
PAIRS = "over all held-out pairs together"


def of_lists(function: Callable[[RankedLists, int], Floats]) -> Compute:
    """Turn values per user from lists into a mean over users."""
    return lambda evidence, k: mean_over_users(function(given(evidence.lists, "lists"), k))


def of_predictions(function: Callable[[Predictions], Measurement]) -> Compute:
    """Turn a measurement of predictions into a metric without a cut-off."""
    return lambda evidence, _: function(given(evidence.predictions, "predictions"))


def _mean_of_predictions(function: Callable[[Predictions], Floats]) -> Compute:
    return of_predictions(lambda pairs: mean_over_users(function(pairs)))


def _whole_of_predictions(function: Callable[[Predictions], float]) -> Compute:
    return of_predictions(lambda pairs: whole(function(pairs)))


def _coverage(evidence: Evidence, k: int) -> Measurement:
    return whole(beyond.coverage_at_k(given(evidence.lists, "lists"), k, given(evidence.n_items, "n_items")))


def _gini(evidence: Evidence, k: int) -> Measurement:
    return whole(beyond.gini_at_k(given(evidence.lists, "lists"), k, given(evidence.n_items, "n_items")))


def _novelty(evidence: Evidence, k: int) -> Measurement:
    popularity = given(evidence.popularity, "popularity")
    users = given(evidence.n_training_users, "n_training_users")
    return mean_over_users(beyond.novelty_at_k(given(evidence.lists, "lists"), k, popularity, users))


def _popularity_lift(evidence: Evidence, k: int) -> Measurement:
    popularity, consumed = given(evidence.popularity, "popularity"), given(evidence.consumed, "consumed")
    return beyond.popularity_lift_at_k(given(evidence.lists, "lists"), k, popularity, consumed)


def _serendipity(evidence: Evidence, k: int) -> Measurement:
    baseline = given(evidence.baseline, "baseline")
    return mean_over_users(beyond.serendipity_at_k(given(evidence.lists, "lists"), k, baseline))


def _diversity(evidence: Evidence, k: int) -> Measurement:
    vectors = cast(Vectors, given(evidence.vectors, "vectors"))
    return mean_over_users(beyond.diversity_at_k(given(evidence.lists, "lists"), k, vectors))


RANKING_METRICS: dict[str, Family] = {
    "precision": Family(
        f"Hits in the first {{k}} / {{k}}; a short list is divided by {{k}} too. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.precision_at_k),
    ),
    "recall": Family(
        f"Hits in the first {{k}} / number of relevant items. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.recall_at_k),
    ),
    "hit_rate": Family(
        f"1 when the first {{k}} hold a relevant item, else 0. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.hit_rate_at_k),
    ),
    "mrr": Family(
        f"1 / rank of the first hit, 0 when the first {{k}} hold none. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.reciprocal_rank_at_k),
    ),
    "ndcg": Family(
        "Sum over hits in the first {k} of 1 / log2(rank + 1), divided by that sum for a list whose first "
        f"min({{k}}, relevant) slots are all hits. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.ndcg_at_k),
    ),
    "ndcg_graded": Family(
        "Sum over the first {k} of gain / log2(rank + 1), divided by that sum for the user's {k} largest gains, "
        f"largest first; gains as given. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.ndcg_graded_at_k),
    ),
    "map": Family(
        f"Sum over hits in the first {{k}} of precision at the hit's rank, divided by {{k}}. {LEFT_OUT}",
        ("lists",),
        of_lists(ranking.average_precision_at_k),
    ),
    "map_min": Family(
        "Sum over hits in the first {k} of precision at the hit's rank, divided by min({k}, relevant). "
        + LEFT_OUT,
        ("lists",),
        of_lists(ranking.average_precision_min_at_k),
    ),
    "coverage": Family(
        "Share of the catalogue that stands in the first {k} of at least one list.",
        ("lists", "n_items"),
        _coverage,
    ),
    "gini": Family(
        "Gini index of how often each item of the catalogue stands in the first {k}: 0 all equally often, "
        "towards 1 always the same few.",
        ("lists", "n_items"),
        _gini,
        higher_is_better=False,
    ),
    "novelty": Family(
        "Mean over the first {k} of -log2(share of training users who had the item), in bits; an item that nobody "
        f"had counts as having had one user. {EACH_LIST}",
        ("lists", "popularity", "n_training_users"),
        _novelty,
        high=math.inf,
    ),
    "serendipity": Family(
        "Relevant items in the first {k} that are not in the first {k} of the most-popular list, divided by {k}. "
        + LEFT_OUT,
        ("lists", "baseline"),
        _serendipity,
    ),
    "diversity": Family(
        "Intra-list diversity: mean of 1 - cosine of the item vectors over all pairs in the first {k}. "
        "Mean over users with at least two items.",
        ("lists", "vectors"),
        _diversity,
        high=2.0,
    ),
    "popularity_lift": Family(
        "Mean popularity (training users) of the first {k}, divided by the mean popularity of the same users' "
        "training items; both averaged over users first. 1: as popular as their own taste.",
        ("lists", "popularity", "consumed"),
        _popularity_lift,
        high=math.inf,
        higher_is_better=False,
    ),
}

PREDICTION_METRICS: dict[str, Family] = {
    "rmse": Family(
        f"Square root of the mean of (predicted - actual)^2 {PAIRS}.",
        ("predictions",),
        of_predictions(ratings.rmse),
        high=math.inf,
        higher_is_better=False,
    ),
    "mae": Family(
        f"Mean of |predicted - actual| {PAIRS}.",
        ("predictions",),
        of_predictions(ratings.mae),
        high=math.inf,
        higher_is_better=False,
    ),
    "spearman": Family(
        "Spearman's rho of a user's ratings and scores, ties sharing their mean rank; mean over users, leaving out "
        "and counting those whose ratings or scores are all equal.",
        ("predictions",),
        _mean_of_predictions(correlation.spearman),
        low=-1.0,
    ),
    "spearman_global": Family(
        f"Spearman's rho of ratings and scores {PAIRS}, ties sharing their mean rank.",
        ("predictions",),
        _whole_of_predictions(correlation.spearman_global),
        low=-1.0,
    ),
    "kendall": Family(
        "Kendall's tau-b of a user's ratings and scores; mean over users, leaving out and counting those whose "
        "ratings or scores are all equal.",
        ("predictions",),
        _mean_of_predictions(correlation.kendall),
        low=-1.0,
    ),
    "kendall_global": Family(
        f"Kendall's tau-b of ratings and scores {PAIRS}.",
        ("predictions",),
        _whole_of_predictions(correlation.kendall_global),
        low=-1.0,
    ),
    "precision": Family(
        "Relevant and chosen pairs / chosen pairs of a user (chosen: score at or above the threshold); mean over "
        "users, leaving out and counting those with nothing chosen.",
        ("predictions",),
        of_predictions(classification.precision),
    ),
    "precision_global": Family(
        f"Relevant and chosen pairs / chosen pairs (score at or above the threshold) {PAIRS}.",
        ("predictions",),
        of_predictions(classification.precision_global),
    ),
    "recall": Family(
        "Relevant and chosen pairs / relevant pairs of a user (chosen: score at or above the threshold); mean over "
        "users, leaving out and counting those with nothing relevant.",
        ("predictions",),
        of_predictions(classification.recall),
    ),
    "recall_global": Family(
        f"Relevant and chosen pairs (score at or above the threshold) / relevant pairs {PAIRS}.",
        ("predictions",),
        of_predictions(classification.recall_global),
    ),
    "auc": Family(
        "How often a user's relevant pair scores above one that is not, ties half (area under the ROC curve); mean "
        "over users, leaving out and counting those with only one kind.",
        ("predictions",),
        of_predictions(classification.auc),
    ),
    "auc_global": Family(
        f"How often a relevant pair scores above one that is not, ties half (area under the ROC curve), {PAIRS}, "
        "so scores of different users are compared.",
        ("predictions",),
        of_predictions(classification.auc_global),
    ),
    "auc_grouped": Family(
        "How often a user's relevant pair scores above one that is not, ties half; mean over users weighted by their pairs "
        "(GAUC), leaving out and counting those with only one kind.",
        ("predictions",),
        of_predictions(classification.auc_grouped),
    ),
    "log_loss": Family(
        "Mean of -log(p) for relevant pairs and -log(1 - p) for others, natural logarithm, p kept within "
        f"2.2e-16 of 0 and 1, {PAIRS}.",
        ("predictions",),
        of_predictions(classification.log_loss),
        high=math.inf,
        higher_is_better=False,
    ),
    "calibration_error": Family(
        f"Expected calibration error: pairs ordered by p and parted into {calibration.BINS} bins of equally many, equal p in one "
        "bin; mean over bins, weighted by their pairs, of |share of relevant pairs - mean p|. No interval: chance alone keeps it "
        "above 0.",
        ("predictions",),
        of_predictions(calibration.calibration_error),
        higher_is_better=False,
    ),
}
