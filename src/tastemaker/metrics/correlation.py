"""Whether scores order a user's items as the real ratings do: Spearman's rho and Kendall's tau-b."""

import numpy as np
import numpy.typing as npt

from tastemaker.metrics.arrays import Floats, divide, group_sums
from tastemaker.metrics.grouped import average_ranks, discordant_pairs, tied_pairs
from tastemaker.metrics.predictions import Predictions

__all__ = ["kendall", "kendall_global", "spearman", "spearman_global"]

Groups = npt.NDArray[np.intp]


def spearman(pairs: Predictions) -> Floats:
    """Return Spearman's rho for each user: float64[q], NaN where ratings or scores of the user are all equal.

    rho is Pearson's correlation of the ranks; equal values share their mean rank.

    >>> spearman(Predictions.of(users=[0, 0, 0], actual=[1, 2, 3], predicted=[1, 3, 2]))
    array([0.5])
    """
    return _rho(pairs.group, pairs.actual, pairs.predicted)


def spearman_global(pairs: Predictions) -> float:
    """Return Spearman's rho over all pairs of all users together."""
    return float(_rho(np.zeros(pairs.users.size, dtype=np.intp), pairs.actual, pairs.predicted)[0])


def kendall(pairs: Predictions) -> Floats:
    """Return Kendall's tau-b for each user: float64[q], NaN where ratings or scores of the user are all equal.

    tau-b = (concordant - discordant) / sqrt((pairs - ties in ratings) (pairs - ties in scores))  (Kendall, 1945).

    >>> kendall(Predictions.of(users=[0, 0, 0], actual=[1, 2, 3], predicted=[1, 3, 2])).round(4)
    array([0.3333])
    """
    return _tau(pairs.group, pairs.actual, pairs.predicted)


def kendall_global(pairs: Predictions) -> float:
    """Return Kendall's tau-b over all pairs of all users together."""
    return float(_tau(np.zeros(pairs.users.size, dtype=np.intp), pairs.actual, pairs.predicted)[0])


def _rho(group: Groups, actual: Floats, predicted: Floats) -> Floats:
    middle = ((np.bincount(group) + 1) / 2.0)[group]
    x, y = average_ranks(group, actual) - middle, average_ranks(group, predicted) - middle
    spread = np.sqrt(group_sums(group, x * x) * group_sums(group, y * y))
    return divide(group_sums(group, x * y), spread)


def _tau(group: Groups, actual: Floats, predicted: Floats) -> Floats:
    sizes = np.bincount(group).astype(np.float64)
    every = sizes * (sizes - 1) / 2
    x_ties, y_ties = tied_pairs(group, actual), tied_pairs(group, predicted)
    both = tied_pairs(group, actual, predicted)
    balance = every - x_ties - y_ties + both - 2 * discordant_pairs(group, actual, predicted)
    return divide(balance, np.sqrt(every - x_ties) * np.sqrt(every - y_ties))
