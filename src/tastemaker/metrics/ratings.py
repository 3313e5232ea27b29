"""How far predicted ratings are from the real ones."""

import numpy as np

from tastemaker.metrics.measurement import Measurement, ratio_over_users
from tastemaker.metrics.predictions import Predictions

__all__ = ["mae", "rmse"]


def rmse(pairs: Predictions) -> Measurement:
    """Measure sqrt(mean over all pairs of (predicted - actual)^2). Per user: the same over that user's pairs.

    >>> rmse(Predictions.of(users=[0, 0, 1], actual=[4, 2, 5], predicted=[3, 2, 3])).value.__round__(4)
    1.291
    """
    error = pairs.predicted - pairs.actual
    return ratio_over_users(pairs.total(error * error), _counts(pairs), transform="sqrt")


def mae(pairs: Predictions) -> Measurement:
    """Measure the mean over all pairs of |predicted - actual|. Per user: the same over that user's pairs."""
    return ratio_over_users(pairs.total(np.abs(pairs.predicted - pairs.actual)), _counts(pairs))


def _counts(pairs: Predictions) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return pairs.total(np.ones(pairs.users.size))
