"""The area under the ROC curve over the whole catalogue, user by user.

A pair metric such as ``auc`` needs held-out pairs of both kinds, which only ratings have. Here the relevant items of a user
stand against everything that the user has not had, which works for every feedback. It is computed from one block of scores
at a time: the matrix of all scores is never held.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.history import History
from tastemaker.metrics.lists import RelevantItems
from tastemaker.metrics.measurement import Measurement, mean_over_users
from tastemaker.metrics.metric import Evidence, Metric
from tastemaker.metrics.roc import RocCurve

__all__ = ["AREA", "FoldEvidence", "area_curve", "miss_rates"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FoldEvidence(Evidence):
    """What one model showed on one split.

    Attributes:
        relevant: the relevant items of each user.
        misses: float64[relevant items], what :func:`miss_rates` gives, in the order of ``relevant``.
    """

    relevant: RelevantItems | None = None
    misses: Floats | None = None


def miss_rates(scores: NDArray[np.float32], seen: History, relevant: RelevantItems) -> Floats:
    """How much of what a user does not want stands above each item that the user wants.

    Args:
        scores: float32[q, n_items], NaN where the model has no evidence: below everything else, all equal.
        seen: q rows, the training items, which take no part.
        relevant: q rows.

    Returns:
        float64[relevant items]: the share of the user's other unseen items that score higher, ties half. NaN where the
        user has no others.

    >>> relevant = RelevantItems.from_sets([{0, 3}])
    >>> miss_rates(np.array([[.9, .5, .7, .5, .1]], np.float32), History.empty(1), relevant).round(4)
    array([0. , 0.5])
    """
    others = np.where(np.isnan(scores), np.float32(-np.inf), scores)
    wanted = others[relevant.rows, relevant.indices]
    others[seen.rows(), seen.indices] = np.nan  # greater than nothing, equal to nothing
    others[relevant.rows, relevant.indices] = np.nan
    count = scores.shape[1] - np.isnan(others).sum(axis=1)
    above = np.empty(len(wanted), np.float64)
    for j, (row, score) in enumerate(zip(relevant.rows, wanted, strict=True)):
        above[j] = np.count_nonzero(others[row] > score) + np.count_nonzero(others[row] >= score)
    all_pairs = 2 * count[relevant.rows]
    misses: Floats = np.divide(above, all_pairs, out=np.full(len(above), np.nan), where=all_pairs > 0)
    return misses


def _area(evidence: Evidence) -> Measurement:
    if not isinstance(evidence, FoldEvidence) or evidence.relevant is None or evidence.misses is None:
        raise ValueError("auc_catalogue needs `relevant` and `misses` in its FoldEvidence")
    return mean_over_users(_user_means(1 - evidence.misses, evidence.relevant))


def _user_means(values: Floats, relevant: RelevantItems) -> Floats:
    """float64[q]: the mean over each user's relevant items, NaN for a user without."""
    sums = np.bincount(relevant.rows, values, minlength=len(relevant)).astype(np.float64)
    means: Floats = np.divide(
        sums, relevant.counts, out=np.full(len(relevant), np.nan), where=relevant.counts > 0
    )
    return means


AREA = Metric(
    name="auc_catalogue",
    definition=(
        "How often a relevant item of a user scores above another item that the user has not had in training, ties half, "
        "items without a score below all others; over the whole catalogue. Mean over users; users with nothing relevant are "
        "left out and counted."
    ),
    low=0.0,
    high=1.0,
    higher_is_better=True,
    needs=(),
    k=None,
    measure=_area,
)


def area_curve(misses: Floats, relevant: RelevantItems) -> RocCurve:
    """The mean of the users' ROC curves over the catalogue; its area is ``auc_catalogue``.

    >>> area_curve(np.array([0.0, 0.5]), RelevantItems.from_sets([{0, 3}])).area
    0.75
    """
    rate = _user_means(misses, relevant)
    measured = ~np.isnan(rate)
    share = np.where(measured, 1 / np.maximum(relevant.counts, 1), 0)[relevant.rows] / max(1, measured.sum())
    use = measured[relevant.rows]
    order = np.argsort(misses[use])
    x, y = misses[use][order], np.cumsum(share[use][order])
    # Along at the height reached so far, then up.
    along = np.concatenate([[0.0], np.repeat(x, 2), [1.0]])
    up = np.repeat(np.append(0.0, y), 2)
    return RocCurve(along, up, np.full(len(up), np.nan))
