"""Scores as classifiers of relevant pairs: precision, recall, area under the ROC curve, log loss."""

import numpy as np

from tastemaker.metrics.arrays import divide
from tastemaker.metrics.grouped import average_ranks
from tastemaker.metrics.measurement import Measurement, mean_over_users, ratio_over_users
from tastemaker.metrics.predictions import Predictions

__all__ = [
    "auc",
    "auc_global",
    "auc_grouped",
    "log_loss",
    "precision",
    "precision_global",
    "recall",
    "recall_global",
    "refuse_other_than_probabilities",
]


def precision(pairs: Predictions) -> Measurement:
    """Measure |relevant and chosen| / |chosen| per user, then the mean over users; users with nothing chosen are left out."""
    return mean_over_users(divide(pairs.total(pairs.relevant & pairs.chosen), pairs.total(pairs.chosen)))


def precision_global(pairs: Predictions) -> Measurement:
    """Measure |relevant and chosen| / |chosen| over all pairs together."""
    return ratio_over_users(pairs.total(pairs.relevant & pairs.chosen), pairs.total(pairs.chosen))


def recall(pairs: Predictions) -> Measurement:
    """Measure |relevant and chosen| / |relevant| per user, then the mean over users; users with nothing relevant are left out."""
    return mean_over_users(divide(pairs.total(pairs.relevant & pairs.chosen), pairs.total(pairs.relevant)))


def recall_global(pairs: Predictions) -> Measurement:
    """Measure |relevant and chosen| / |relevant| over all pairs together."""
    return ratio_over_users(pairs.total(pairs.relevant & pairs.chosen), pairs.total(pairs.relevant))


def auc(pairs: Predictions) -> Measurement:
    """Measure, per user, how often a relevant pair scores above one that is not, ties half; then the mean over users.

    By the Mann-Whitney identity: (sum of the ranks of the relevant - P(P + 1)/2) / (P N). Users whose pairs are all relevant,
    or none, are left out.

    >>> auc(Predictions.of(users=[0, 0, 0], actual=[1, 0, 0], predicted=[.7, .9, .1], relevant_from=1)).value
    0.5
    """
    ranks = average_ranks(pairs.group, pairs.predicted)
    positive = pairs.total(pairs.relevant)
    negative = pairs.total(~pairs.relevant)
    won = pairs.total(np.where(pairs.relevant, ranks, 0.0)) - positive * (positive + 1) / 2
    return mean_over_users(divide(won, positive * negative))


def auc_global(pairs: Predictions) -> Measurement:
    """Measure how often a relevant pair scores above one that is not, over all users together, ties half.

    Scores of different users are compared, so it also rewards knowing which users like more. Values per user are their own AUC.
    The interval takes users as clusters (Obuchowski, 1997): a relevant pair contributes the share of others that it beats, an
    irrelevant one the share of relevant pairs that beat it.
    """
    together = np.zeros(pairs.users.size, dtype=np.intp)
    relevant = pairs.relevant
    positive, negative = int(relevant.sum()), int((~relevant).sum())
    if not positive or not negative:
        nothing = np.full(pairs.n_users, np.nan)
        return Measurement(float("nan"), nothing, nothing)
    ranks = average_ranks(together, pairs.predicted)
    beaten = ranks - average_ranks(relevant.astype(np.intp), pairs.predicted)
    win_share = np.where(relevant, beaten / negative, 1 - beaten / positive)
    value = float(win_share[relevant].mean())
    pull = (win_share - value) / np.where(relevant, positive, negative)
    return Measurement(value, auc(pairs).per_user, pairs.n_users * pairs.total(pull))


def auc_grouped(pairs: Predictions) -> Measurement:
    """Measure, per user, how often a relevant pair scores above one that is not; then the mean weighted by the users' pairs.

    The GAUC of click-through papers (Zhu et al., KDD 2017; Zhou et al., KDD 2018). Users whose pairs are all relevant, or none,
    are left out, with their weight.
    """
    counts = pairs.total(np.ones(pairs.users.size))
    return ratio_over_users(counts * np.asarray(auc(pairs).per_user), counts)


def log_loss(pairs: Predictions) -> Measurement:
    """Measure the mean over all pairs of -log p for relevant pairs and -log(1 - p) for others (natural logarithm).

    Probabilities are kept away from 0 and 1 by the float64 epsilon, 2.2e-16, as scikit-learn does.

    Raises:
        ValueError: if a predicted score is not a probability.
    """
    refuse_other_than_probabilities(pairs, "log loss")
    tiny = np.finfo(np.float64).eps
    probability = np.clip(pairs.predicted, tiny, 1 - tiny)
    loss = -np.log(np.where(pairs.relevant, probability, 1 - probability))
    return ratio_over_users(pairs.total(loss), pairs.total(np.ones(loss.size)))


def refuse_other_than_probabilities(pairs: Predictions, what: str) -> None:
    """Refuse scores outside 0 to 1."""
    outside = np.flatnonzero((pairs.predicted < 0) | (pairs.predicted > 1))
    if outside.size:
        raise ValueError(
            f"{what} needs probabilities from 0 to 1; {outside.size} scores are not, "
            f"the first is {pairs.predicted[outside[0]]:g} at row {outside[0]}"
        )
