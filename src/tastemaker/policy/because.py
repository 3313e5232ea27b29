"""Why an item is in a list: the item of the user's own that it has most to do with."""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.topk import TopK
from tastemaker.policy.pool import unit_rows

__all__ = ["because", "by_neighbors", "by_vectors"]

_ALIKE = 0.25  # cosine from which an item of the user's own is a reason


def by_vectors(own: NDArray[np.float32], items: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[list, own]: the cosines of vectors, 0 where they are too low to speak of.

    >>> by_vectors(np.eye(2, dtype=np.float32), np.array([[3, 4], [1, 0.1]], np.float32)).round(2)
    array([[0.6, 0.8],
           [1. , 0. ]], dtype=float32)
    """
    cosine: NDArray[np.float32] = unit_rows(items) @ unit_rows(own).T
    return np.where(cosine > _ALIKE, cosine, np.float32(0))


def by_neighbors(related: TopK, items: NDArray[np.int32]) -> NDArray[np.float32]:
    """float32[list, own]: how closely an item goes with each of the user's own, 0 where it is not among its neighbors."""
    there = related.items == items[:, None, None]
    strength: NDArray[np.float32] = (there * np.fmax(related.scores, 0)).max(axis=2, initial=0)
    return strength


def because(strength: NDArray[np.float32]) -> list[int]:
    """For each item of the list which of the user's own it is there for, -1 for none.

    One that was named already counts half, then a third, and so on, so that not every item of a list says the same.

    >>> because(np.array([[0.9, 0.8], [0.9, 0.8], [0.9, 0.1], [0, 0]], np.float32))
    [0, 1, 0, -1]
    """
    used = np.ones(strength.shape[1], np.float32)
    found: list[int] = []
    for row in strength:
        shares = row / used
        best = int(shares.argmax()) if len(row) else -1
        if best >= 0 and row[best] > 0:
            used[best] += 1
            found.append(best)
        else:
            found.append(-1)
    return found
