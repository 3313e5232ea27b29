"""Ragged rows: grouped as a dictionary of lists would be, oldest first, and sliced as a list would be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import History
from tastemaker.data.history import ragged_take

events = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99), st.integers(-3, 3)), max_size=30)


def grouped(table: list[tuple[int, int, int]], **options: Any) -> History:
    """Seven rows of (row, index, time); value and weight follow from the index."""
    row, index, time = (np.array([e[c] for e in table], np.int64) for c in range(3))
    value = index.astype(np.float32)
    return History.group(row.astype(np.int32), index.astype(np.int32), value, value + 1, time, 7, **options)


def rows(history: History) -> list[list[int]]:
    return [history.indices[a:b].tolist() for a, b in zip(history.indptr, history.indptr[1:], strict=False)]


@given(events)
def test_each_row_is_oldest_first_and_stable(table: list[tuple[int, int, int]]) -> None:
    history = grouped(table)
    expected = [sorted((e for e in table if e[0] == row), key=lambda e: e[2]) for row in range(7)]
    assert rows(history) == [[e[1] for e in row] for row in expected]
    assert history.timestamp.tolist() == [e[2] for row in expected for e in row]
    assert np.array_equal(history.value, history.indices)
    assert np.array_equal(history.weight, history.indices + 1)
    assert rows(grouped(table, by_time=False)) == [[e[1] for e in table if e[0] == row] for row in range(7)]


@given(events, st.lists(st.integers(0, 6), max_size=9), st.integers(-8, 8), st.integers(-8, 8))
def test_rows_are_taken_and_sliced_like_a_list(
    table: list[tuple[int, int, int]], at: list[int], start: int, stop: int
) -> None:
    history = grouped(table)
    assert rows(history.take(np.array(at, np.int64))) == [rows(history)[r] for r in at]
    part = history[start:stop]
    assert rows(part) == rows(history)[start:stop]
    assert len(part) == len(part.lengths) == len(range(7)[start:stop])
    assert part.rows().tolist() == [r for r, row in enumerate(rows(part)) for _ in row]


def test_many_rows_keep_their_order() -> None:
    """More rows than 16 bits count, where another sort is used."""
    n = 70_000
    row = np.arange(n, dtype=np.int32)[::-1].copy()
    ones = np.ones(n, np.float32)
    history = History.group(row, row, ones, ones, np.zeros(n, np.int64), n)
    assert np.array_equal(history.indices, np.arange(n))


def test_empty_rows_and_no_rows() -> None:
    assert rows(History.empty(3)) == [[], [], []]
    assert len(History.empty(0)) == 0
    assert ragged_take(np.array([0]), np.array([], np.int64)).tolist() == []


def test_only_contiguous_slices() -> None:
    with pytest.raises(ValueError, match="sliced with step 1, got 2"):
        History.empty(4)[::2]
