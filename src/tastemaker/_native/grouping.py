"""Orders of rows by small whole numbers, by counting: in linear time, with no memory but the order itself.

Sorting by one column after another, the most important last, sorts by all of them, since every order here is stable.
"""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = [
    "count_keys",
    "count_keys_numpy",
    "group_order",
    "group_order_numpy",
    "sort_groups",
    "sort_groups_numpy",
]

_Positions = NDArray[np.int64]


def count_keys(keys: NDArray[np.int32], groups: int) -> _Positions:
    """int64[groups]: how often each key occurs.

    Args:
        keys: int32[n], from 0 to ``groups`` − 1.
        groups: how many keys there can be.

    Raises:
        ValueError: if a key is out of bounds.

    >>> count_keys(np.array([2, 0, 2], np.int32), 4)
    array([1, 0, 2, 0])
    """
    counts = np.empty(groups, np.int64)
    kernels.count_keys(np.ascontiguousarray(keys, np.int32), threads(), counts)
    return counts


def count_keys_numpy(keys: NDArray[np.int32], groups: int) -> _Positions:
    """What :func:`count_keys` computes."""
    return np.bincount(keys, minlength=groups)


def group_order(
    keys: NDArray[np.int32], groups: int, first: _Positions | None = None
) -> tuple[_Positions, _Positions]:
    """The rows in the order of their keys.

    Args:
        keys: int32[n], from 0 to ``groups`` − 1.
        groups: how many keys there can be.
        first: int64[n], the order in which rows of one key stay; by default that of the rows themselves.

    Returns:
        order int64[n], and indptr int64[groups + 1]: the rows of key ``g`` are ``order[indptr[g]:indptr[g + 1]]``.

    Raises:
        ValueError: if a key is out of bounds.

    >>> group_order(np.array([2, 0, 2, 0], np.int32), 3)
    (array([1, 3, 0, 2]), array([0, 2, 2, 4]))
    """
    order, indptr = np.empty(len(keys), np.int64), np.empty(groups + 1, np.int64)
    keys = np.ascontiguousarray(keys, np.int32)
    kernels.group_order(keys, np.empty(0, np.int64) if first is None else first, order, indptr)
    return order, indptr


def group_order_numpy(
    keys: NDArray[np.int32], groups: int, first: _Positions | None = None
) -> tuple[_Positions, _Positions]:
    """What :func:`group_order` computes."""
    first = np.arange(len(keys)) if first is None else first
    indptr = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=groups))])
    return first[np.argsort(keys[first], kind="stable")], indptr


def sort_groups(order: _Positions, indptr: _Positions, times: NDArray[np.int64]) -> None:
    """Sort the rows of each group by time, in place; equal times keep their order.

    Args:
        order, indptr: from :func:`group_order`.
        times: int64[n], by row.
    """
    kernels.sort_groups(order, indptr, np.ascontiguousarray(times), threads())


def sort_groups_numpy(order: _Positions, indptr: _Positions, times: NDArray[np.int64]) -> None:
    """What :func:`sort_groups` computes."""
    group = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order[:] = order[np.lexsort((times[order], group))]
