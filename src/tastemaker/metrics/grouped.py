"""Ranks and pair counts inside many groups at once: Spearman, Kendall and AUC for all users without a loop over users."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tastemaker.metrics.arrays import Floats, Ints, group_sums

__all__ = ["average_ranks", "discordant_pairs", "tied_pairs"]

Groups = npt.NDArray[np.intp]


def average_ranks(group: Groups, values: Floats) -> Floats:
    """Rank values from 1 inside each group; equal values share the mean of their ranks.

    Args:
        group: int64[n], the group of each value, from 0.
        values: float64[n].

    Returns:
        float64[n], in the order of ``values``.

    >>> average_ranks(np.array([0, 1, 0, 0]), np.array([5.0, 9.0, 2.0, 5.0]))
    array([2.5, 1. , 1. , 2.5])
    """
    order = np.lexsort((values, group))
    run = _runs(group[order], values[order])
    first, size = _starts(run), np.bincount(run)
    block = _runs(group[order])
    group_first = _starts(block)[block]
    ranks = np.empty(values.size)
    ranks[order] = first[run] - group_first + (size[run] + 1) / 2.0
    return ranks


def tied_pairs(group: Groups, *values: Floats) -> Floats:
    """Count, in each group, the pairs that are equal in all of ``values``: float64[groups].

    >>> tied_pairs(np.array([0, 0, 0, 1]), np.array([4.0, 4.0, 4.0, 4.0]))
    array([3., 0.])
    """
    order = np.lexsort((*values, group))
    run = _runs(group[order], *(column[order] for column in values))
    sizes = np.bincount(run).astype(np.float64)
    return group_sums(group[order][_starts(run)], sizes * (sizes - 1) / 2)


def discordant_pairs(group: Groups, first: Floats, second: Floats) -> Floats:
    """Count, in each group, the pairs that ``first`` and ``second`` order differently: float64[groups].

    With rows sorted by (first, second) these are the inversions of ``second``. They are counted bit by bit: two numbers are
    inverted where they part at a bit that is 1 in the earlier and 0 in the later one. That is one stable partition per bit
    of the ranks for all groups together: O(n log(n) log(largest group)), where a loop over users would be slow.

    >>> discordant_pairs(np.array([0, 0, 0]), np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0, 2.0]))
    array([2.])
    """
    order = np.lexsort((second, first, group))
    owner = group[order]
    rank = average_ranks(group, second)[order]
    # Twice the average rank is a whole number, and equal values share it.
    number = (2 * rank).astype(np.int64)
    inversions = np.zeros(int(group.max()) + 1)
    bits = int(number.max()).bit_length()
    for bit in range(bits - 1, -1, -1):
        part = _runs(owner, number >> (bit + 1))
        one = (number >> bit) & 1
        ones_before = np.cumsum(one) - one
        ones_before -= ones_before[_starts(part)][part]
        inversions += group_sums(owner, np.where(one == 0, ones_before, 0))
        order = np.argsort(part * 2 + one, kind="stable")
        owner, number = owner[order], number[order]
    return inversions


def _runs(*columns: npt.NDArray[Any]) -> Ints:
    """Number the runs of rows that are equal in all columns, from 0."""
    new = np.zeros(columns[0].size, dtype=np.int64)
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return np.cumsum(new)


def _starts(run: Ints) -> Ints:
    """Find the first row of each run."""
    return np.flatnonzero(np.diff(run, prepend=-1))
