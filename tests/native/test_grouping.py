"""Grouping by counting gives the stable order that its twin gives, whatever the threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native.grouping import (
    count_keys,
    count_keys_numpy,
    group_order,
    group_order_numpy,
    sort_groups,
    sort_groups_numpy,
)

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-2, 2)), max_size=40)


@given(rows)
def test_one_column_after_another_sorts_by_all(table: list[tuple[int, int, int]]) -> None:
    outer, inner = (np.array([row[c] for row in table], np.int32) for c in (0, 1))
    order, indptr = group_order(outer, 5, group_order(inner, 4)[0])
    assert order.tolist() == sorted(range(len(table)), key=lambda r: table[r][:2])
    expected = group_order_numpy(outer, 5, group_order_numpy(inner, 4)[0])
    assert np.array_equal(order, expected[0])
    assert np.array_equal(indptr, expected[1])


@given(rows)
def test_groups_are_sorted_by_time(table: list[tuple[int, int, int]]) -> None:
    keys = np.array([row[0] for row in table], np.int32)
    times = np.array([row[2] for row in table], np.int64)
    order, indptr = group_order(keys, 5)
    expected = order.copy()
    sort_groups_numpy(expected, indptr, times)
    sort_groups(order, indptr, times)
    assert np.array_equal(order, expected)
    assert order.tolist() == sorted(range(len(table)), key=lambda r: (table[r][0], table[r][2]))


@pytest.mark.parametrize("threads", [1, 2])
def test_more_rows_than_one_stretch(threads: int) -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 70_000, 1_100_000).astype(np.int32)
    times = rng.integers(0, 9, len(keys))
    before = _native.threads()
    try:
        _native.set_threads(threads)
        order, indptr = group_order(keys, 70_000)
        sort_groups(order, indptr, times)
        counts = count_keys(keys, 70_000)
    finally:
        _native.set_threads(before)
    assert np.array_equal(counts, count_keys_numpy(keys, 70_000))
    assert np.array_equal(order, np.lexsort((times, keys)))


@pytest.mark.parametrize("bad", [-1, 3])
def test_keys_out_of_bounds(bad: int) -> None:
    with pytest.raises(ValueError, match="not below the number of groups"):
        group_order(np.array([0, bad], np.int32), 3)
    with pytest.raises(ValueError, match="not below the number of groups"):
        count_keys(np.array([0, bad], np.int32), 3)
