"""Random walks over the graph of items and users: which items are near an item, by how often walks from it come by.

A walk goes from an item to one of its users and on to one of that user's items, each drawn alike, and before every such step it
starts anew with a certain probability. With P the steps from item to item, c that probability and e the item it starts from, the
share of the visits comes to

    π = c · e P (1 − (1 − c) P)⁻¹,

which is personalized PageRank, one step on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.draws import draw_bits, place_of

__all__ = ["Visits", "visits", "visits_numpy"]

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]


class Visits(NamedTuple):
    """The items that were visited most from each item.

    Attributes:
        items: int32[items, top], the most visited first, equals by code; −1 where there are fewer.
        counts: int32[items, top], how often.
    """

    items: Int32
    counts: Int32


def visits(
    item_indptr: Int64,
    item_users: Int32,
    user_indptr: Int64,
    user_items: Int32,
    *,
    key: int,
    steps: int,
    restart: float,
    top: int,
) -> Visits:
    """Walk from every item, and count the other items on the way.

    Args:
        item_indptr, item_users: the users of each item.
        user_indptr, user_items: the items of each user; the same pairs.
        key: below 2⁶⁴; equal keys, equal walks, with any number of threads.
        steps: from item to item, for each item.
        restart: the probability of going back to the start before a step, below 1.
        top: how many items to keep.
    """
    shape = (len(item_indptr) - 1, top)
    found = Visits(np.empty(shape, np.int32), np.empty(shape, np.int32))
    kernels.visits(
        item_indptr, item_users, user_indptr, user_items, key, steps, _threshold(restart), threads(), *found
    )
    return found


def visits_numpy(
    item_indptr: Int64,
    item_users: Int32,
    user_indptr: Int64,
    user_items: Int32,
    *,
    key: int,
    steps: int,
    restart: float,
    top: int,
) -> Visits:
    """What :func:`visits` computes."""
    n_items, least = len(item_indptr) - 1, _threshold(restart)
    found = Visits(np.full((n_items, top), -1, np.int32), np.zeros((n_items, top), np.int32))
    for start in np.flatnonzero(np.diff(item_indptr)).tolist():
        own, at, counts = draw_bits(key, start), start, np.zeros(n_items, np.int32)
        for step in range(steps):
            at = start if draw_bits(own, 3 * step) < least else at
            users = item_users[item_indptr[at] : item_indptr[at + 1]]
            user = users[place_of(draw_bits(own, 3 * step + 1), len(users))]
            items = user_items[user_indptr[user] : user_indptr[user + 1]]
            at = int(items[place_of(draw_bits(own, 3 * step + 2), len(items))])
            counts[at] += at != start
        best = np.argsort(-counts, kind="stable")[: min(top, np.count_nonzero(counts))]
        found.items[start, : len(best)], found.counts[start, : len(best)] = best, counts[best]
    return found


def _threshold(probability: float) -> int:
    """What 64 random bits are below with this probability."""
    return round(probability * 2**64)
