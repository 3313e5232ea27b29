"""One number from several folds, with what each user contributed to it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tastemaker.metrics.measurement import Measurement

__all__ = ["POOLING", "pool"]

POOLING = (
    "Folds are measured one by one and their values averaged; a user's value is the mean over the folds that measured the "
    "user, and the interval takes users as clusters over all folds."
)


def pool(
    users: Sequence[NDArray[np.int32]], folds: Sequence[Measurement]
) -> tuple[NDArray[np.int32], Measurement]:
    """Average a metric over folds.

    The value is the mean of the folds' values (the "5-fold mean RMSE" of the literature), over the folds that could be
    measured. The influence of user u on it is the sum over folds f of n / (F n_f) times the centred contribution of u in f
    (0 where u was not tested), with n users in all and n_f in fold f: then std(influence) / sqrt(n) is the standard error.

    Args:
        users: the tested users of each fold, rising.
        folds: the metric in each fold, values per user in the order of ``users``.

    Returns:
        All tested users, rising, and the metric with its values in that order.

    >>> from tastemaker.metrics.measurement import mean_over_users
    >>> first, second = mean_over_users(np.array([1.0, 0.0])), mean_over_users(np.array([0.5]))
    >>> codes, pooled = pool([np.array([3, 8]), np.array([8])], [first, second])
    >>> codes.tolist(), pooled.value, pooled.per_user.tolist()
    ([3, 8], 0.5, [1.0, 0.25])
    """
    if len(folds) == 1:
        return users[0], folds[0]
    everyone = np.unique(np.concatenate(users))
    measured = [(codes, fold) for codes, fold in zip(users, folds, strict=True) if not np.isnan(fold.value)]
    if not measured or any(fold.per_user is None for _, fold in measured):
        values = [fold.value for _, fold in measured]
        return everyone, Measurement(float(np.mean(values)) if values else float("nan"), None)
    value = float(np.mean([fold.value for _, fold in measured]))
    return everyone, Measurement(value, _user_values(everyone, measured), _influence(everyone, measured))


_Folds = list[tuple[NDArray[np.int32], Measurement]]


def _user_values(everyone: NDArray[np.int32], folds: _Folds) -> NDArray[np.float64]:
    """float64[n]: the mean of each user's values over the folds, NaN for a user whom none measured."""
    total, count = np.zeros(len(everyone)), np.zeros(len(everyone))
    for codes, fold in folds:
        if fold.per_user is not None:
            at, there = np.searchsorted(everyone, codes), ~np.isnan(fold.per_user)
            total[at[there]] += fold.per_user[there]
            count[at[there]] += 1
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean


def _influence(everyone: NDArray[np.int32], folds: _Folds) -> NDArray[np.float64]:
    total, anywhere = np.zeros(len(everyone)), np.zeros(len(everyone), np.bool_)
    for codes, fold in folds:
        if fold.contributions is not None:
            there = ~np.isnan(fold.contributions)
            at, own = np.searchsorted(everyone, codes[there]), fold.contributions[there]
            total[at] += (own - own.mean()) / (len(folds) * len(own))
            anywhere[at] = True
    return np.where(anywhere, total * anywhere.sum(), np.nan)
