"""One interaction for each pair of a user and an item: what becomes of the others."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import group_order, sort_groups
from tastemaker.data.columns import gather, is_constant
from tastemaker.data.dataset import Dataset, Duplicates
from tastemaker.errors import DataError

__all__ = ["merge_duplicates"]

_AT_ONCE = 1 << 18  # rows


def merge_duplicates(data: Dataset, rule: Duplicates) -> Dataset:
    """One interaction a user and item, by the rule; each stands where the last of its kind stood, by ``first`` the first.

    Raises:
        DataError: for the rule ``error`` if there are any, or for an unknown rule.
    """
    if rule not in get_args(Duplicates):
        raise DataError(f"duplicates: expected auto, first, last, sum, max, mean or error, got {rule!r}")
    if rule == "auto":
        rule = "last" if data.schema.explicit else "sum"
    column = data.value if data.schema.explicit else data.weight
    kept, together = np.zeros(len(data), np.bool_), np.empty(0, np.float32)
    if rule not in ("first", "last", "error"):
        together = np.empty(len(data), np.float32)
    for rows, indptr in _pairs(data):
        at = rows[indptr[:-1]] if rule in ("first", "error") else rows[indptr[1:] - 1]
        kept[at] = True
        if len(together):
            together[at] = _together(gather(column, rows), indptr, rule)
    if kept.all():
        return data
    if rule == "error":
        row = int(kept.argmin())
        raise DataError(
            f"{data.schema.name}: {(~kept).sum():,} interactions repeat a user and item; the first is row {row + 1}: "
            f"{data.users.decode_list([data.user[row]])[0]!r}, {data.items.decode_list([data.item[row]])[0]!r}"
        )
    merged = data.select(kept)
    if not len(together):
        return merged
    together = together[kept]
    return replace(merged, value=together) if data.schema.explicit else replace(merged, weight=together)


def _pairs(data: Dataset) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For one stretch of users after another: their rows by user and item, oldest first, and where each pair begins (and the
    last one ends)."""
    order, begins = group_order(data.user, data.n_users)
    users = np.searchsorted(begins[:-1], np.arange(0, len(order), _AT_ONCE), side="right") - 1
    for low, high in pairwise([*np.unique(users).tolist(), data.n_users]):
        rows = order[begins[low] : begins[high]]
        user, item = data.user[rows] - np.int32(low), data.item[rows]
        by_pair, _ = group_order(user, high - low, group_order(item, data.n_items)[0])
        rows, user, item = rows[by_pair], user[by_pair], item[by_pair]
        first = np.ones(len(rows) + 1, np.bool_)
        first[1:-1] = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        indptr = np.flatnonzero(first)
        if not is_constant(data.timestamp):
            sort_groups(rows, indptr, data.timestamp)
        yield rows, indptr


def _together(
    numbers: NDArray[np.float32], indptr: NDArray[np.int64], rule: Duplicates
) -> NDArray[np.float64]:
    """float64[pairs]: the largest, the sum or the mean of the numbers of each pair."""
    if rule == "max":
        return np.maximum.reduceat(numbers.astype(np.float64), indptr[:-1])
    sums: NDArray[np.float64] = np.add.reduceat(numbers.astype(np.float64), indptr[:-1])
    return sums / np.diff(indptr) if rule == "mean" else sums
