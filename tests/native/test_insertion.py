"""Entries put into rows and rows taken out, against the NumPy twins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker._native import set_threads, threads
from tastemaker._native.insertion import (
    Entries,
    find_columns,
    find_columns_numpy,
    find_entries,
    find_entries_numpy,
    insert_entries,
    insert_entries_numpy,
    take_rows,
    take_rows_numpy,
)

COLUMNS = 9


def entries(rows: int, seed: int, times: bool, density: float = 0.4) -> Entries:
    rng = np.random.default_rng(seed)
    filled = rng.random((rows, COLUMNS)) < density
    row, index = np.nonzero(filled)
    time = rng.integers(0, 4, len(row))
    order = np.lexsort((rng.random(len(row)), time, row))
    value, weight = rng.random((2, len(row))).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
    columns = index[order].astype(np.int32), value
    return Entries(indptr, *columns, weight, time[order]) if times else Entries(indptr, *columns)


def same(one: Entries, other: Entries) -> bool:
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(one, other, strict=True))


@given(
    st.integers(0, 40), st.integers(0, 5), st.integers(0, 99), st.booleans(), st.sampled_from([0.0, 0.1, 0.6])
)
def test_new_entries_stand_where_a_sort_would_put_them(
    rows: int, more: int, seed: int, times: bool, density: float
) -> None:
    old, new = entries(rows, seed, times), entries(rows + more, seed + 1, times, density)
    found = find_entries(old, new, COLUMNS)
    assert np.array_equal(found, find_entries_numpy(old, new, COLUMNS))
    dropped = np.sort(found[found >= 0])
    assert same(insert_entries(old, dropped, new), insert_entries_numpy(old, dropped, new))


@given(st.lists(st.integers(0, 29), max_size=50), st.booleans())
def test_rows_taken(rows: list[int], times: bool) -> None:
    some, at = entries(30, 3, times), np.array(rows, np.int64)
    assert same(take_rows(some, at), take_rows_numpy(some, at))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("n", [0, 1, 600_000])
def test_entries_of_some_columns(n: int, count: int) -> None:
    rng, before = np.random.default_rng(n), threads()
    indices, wanted = rng.integers(0, COLUMNS, n, np.int32), rng.random(COLUMNS) < 0.3
    set_threads(count)
    try:
        assert np.array_equal(find_columns(indices, wanted), find_columns_numpy(indices, wanted))
    finally:
        set_threads(before)


@pytest.mark.parametrize("count", [1, 2])
def test_more_rows_than_a_shard_holds_with_any_number_of_threads(count: int) -> None:
    old, new = entries(3000, 1, True), entries(3100, 2, True, 0.1)
    found = find_entries_numpy(old, new, COLUMNS)
    dropped, before = np.sort(found[found >= 0]), threads()
    set_threads(count)
    try:
        assert np.array_equal(find_entries(old, new, COLUMNS), found)
        assert same(insert_entries(old, dropped, new), insert_entries_numpy(old, dropped, new))
        assert same(take_rows(old, np.arange(3000)), old)
    finally:
        set_threads(before)
