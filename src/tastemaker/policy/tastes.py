"""From what a user did, before and after the fit, to the one history that models are asked with."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.history import COLUMNS, History
from tastemaker.policy.shelf import Shelf
from tastemaker.policy.visitors import Visitor

__all__ = ["Taste", "taste"]

_STANDING = 3  # known items that stand for a new one in a history


class Taste(NamedTuple):
    """What is known of the one who asks.

    Attributes:
        history: one row of items that the models know.
        given: whether it differs from what the models were fitted on.
        recent: int32[n], the items of it and new ones, the latest last.
        seen: int32[n], what the user has had.
    """

    history: History
    given: bool
    recent: NDArray[np.int32]
    seen: NDArray[np.int32]


def taste(shelf: Shelf, user: int, visitor: Visitor, given: History | None) -> Taste:
    """What is known of a user.

    Args:
        shelf: with the histories that the models were fitted on.
        user: the code, -1 for one that they were not.
        visitor: what the user did since.
        given: a history that takes the place of both for scoring, in codes of the shelf.
    """
    stored = shelf.catalogue.history[user : user + 1] if user >= 0 else History.empty(1)
    live = _of_visitor(visitor, shelf)
    earlier = visitor.earlier[visitor.earlier < shelf.n_items]
    seen = np.concatenate([stored.indices, live.indices, earlier])
    if given is not None:
        return Taste(_known(given, shelf), True, given.indices, np.concatenate([seen, given.indices]))
    if not len(live.indices) and not visitor.dismissed:
        return Taste(stored, False, stored.indices, seen)
    joined = _joined(_without(stored, visitor.dismissed), live, explicit=shelf.catalogue.schema.explicit)
    return Taste(_known(joined, shelf), True, joined.indices, seen)


def _row(
    items: NDArray[np.int32], value: NDArray[np.float32], weight: NDArray[np.float32], when: NDArray[np.int64]
) -> History:
    return History(np.array([0, len(items)], np.int64), items, value, weight, when)


def _of_visitor(visitor: Visitor, shelf: Shelf) -> History:
    """What the user did since the fit: without a rating an item counts as liked."""
    there = [(item, one) for item, one in visitor.taken.items() if item < shelf.n_items]
    scale = shelf.catalogue.schema.scale
    liked = scale[1] if scale else 1.0
    ratings = [liked if one.rating is None or scale is None else one.rating for _, one in there]
    return _row(
        np.array([item for item, _ in there], np.int32),
        np.array(ratings, np.float32),
        np.array([one.weight for _, one in there], np.float32),
        np.array([one.time for _, one in there], np.int64),
    )


def _without(history: History, gone: frozenset[int]) -> History:
    if not gone:
        return history
    kept = ~np.isin(history.indices, np.fromiter(gone, np.int32, len(gone)))
    return _row(history.indices[kept], history.value[kept], history.weight[kept], history.timestamp[kept])


def _joined(first: History, second: History, explicit: bool) -> History:
    """Both rows, each item once, where it was last: of ratings the last stands, else the weights add up."""
    items = np.concatenate([first.indices, second.indices])
    _, last, at = np.unique(items[::-1], return_index=True, return_inverse=True)
    place = len(items) - 1 - last
    weight = np.concatenate([first.weight, second.weight])
    total = weight[place] if explicit else np.bincount(at[::-1], weight, len(place)).astype(np.float32)
    order = np.argsort(place)
    place = place[order]
    return _row(
        items[place],
        np.concatenate([first.value, second.value])[place],
        total[order],
        np.concatenate([first.timestamp, second.timestamp])[place],
    )


def _known(history: History, shelf: Shelf) -> History:
    """The row in items that the models know: a new one is shared out, in its place, among those that are most like it."""
    arrivals = shelf.arrivals
    row = arrivals.row[history.indices]
    late = np.flatnonzero(history.indices >= arrivals.first)
    if not len(late):
        return history
    rest = np.flatnonzero(history.indices < arrivals.first)
    like = arrivals.like.codes[row[late], :_STANDING]
    shares = arrivals.like.weights[row[late], :_STANDING]
    shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    entry, place = np.nonzero(like >= 0)
    stand_ins = _row(
        like[entry, place],
        history.value[late[entry]],
        history.weight[late[entry]] * shares[entry, place],
        history.timestamp[late[entry]],
    )
    own = _row(history.indices[rest], history.value[rest], history.weight[rest], history.timestamp[rest])
    joined = _joined(stand_ins, own, explicit=False)
    codes = np.concatenate([stand_ins.indices, own.indices])
    farness = np.concatenate([-place, np.zeros_like(rest)])  # what is most alike comes last in its place
    in_order = codes[np.lexsort((farness, np.concatenate([late[entry], rest])))]
    last = {code: n for n, code in enumerate(in_order.tolist())}
    order = np.argsort([last[code] for code in joined.indices.tolist()])
    return _row(*(getattr(joined, name)[order] for name in ("indices", *COLUMNS)))
