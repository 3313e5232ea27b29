"""How much a user liked each item of a history: positive draws the user's profile near, negative pushes it away.

Of implicit feedback, the liking is the interaction's weight times its value. Of ratings it is weight · (rating − center),
where the center is the middle of the scale, or the user's own mean, with the middle of the scale counted in as one
more rating, so that someone who gives 5 stars to everything still likes it all:

    center = (middle + Σ weight · rating) / (1 + Σ weight)

Either fades with age: times 2^(−age / half-life), age before the newest interaction of the history. (Before any later
moment, all of a user's likings would shrink alike, which changes no cosine.)
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tastemaker.data.history import History

__all__ = ["MICROSECONDS_PER_DAY", "Center", "liking", "liking_matrix"]

Center = Literal["user", "scale"]
MICROSECONDS_PER_DAY = 86_400_000_000


def liking(
    history: History, scale: tuple[float, float] | None, center: Center, half_life_days: float | None
) -> NDArray[np.float32]:
    """float32[entries]: how much each entry was liked.

    Args:
        history: one row a query.
        scale: lowest and highest rating; None when the values are no ratings.
        center: the rating that is neither like nor dislike.
        half_life_days: after how many days a liking counts half; None for never.

    Example:
        >>> history = History.of_lengths(np.array([2]), np.array([0, 1], np.int32), np.array([5, 1], np.float32))
        >>> liking(history, (1.0, 5.0), "user", None)
        array([ 2., -2.], dtype=float32)
    """
    weight = history.weight.astype(np.float64)
    value = history.value.astype(np.float64)
    if scale is not None:
        middle = (scale[0] + scale[1]) / 2
        value = value - (middle if center == "scale" else _user_means(history, weight, value, middle))
    if half_life_days is not None:
        weight = weight * _decay(history, half_life_days)
    return (weight * value).astype(np.float32)


def _user_means(
    history: History, weight: NDArray[np.float64], value: NDArray[np.float64], middle: float
) -> NDArray[np.float64]:
    rows = history.rows()
    total = np.bincount(rows, weight * value, len(history))
    means: NDArray[np.float64] = (middle + total) / (1 + np.bincount(rows, weight, len(history)))
    return means[rows]


def _decay(history: History, half_life_days: float) -> NDArray[np.float64]:
    rows = history.rows()
    newest = np.full(len(history), np.iinfo(np.int64).min)
    np.maximum.at(newest, rows, history.timestamp)
    age_days = (newest[rows] - history.timestamp) / MICROSECONDS_PER_DAY
    return np.exp2(-age_days / half_life_days)


def liking_matrix(history: History, liked: NDArray[np.float32], n_items: int) -> csr_array:
    """The liking of each entry as a matrix, queries x items, entries in the order of the history."""
    return csr_array((liked, history.indices, history.indptr), shape=(len(history), n_items))
