"""Ragged rows: grouped as a dictionary of lists would be, oldest first, and sliced as a list would be."""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import Dataset, History
from tastemaker.data.columns import is_constant
from tastemaker.data.past import Past

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
    assert rows(History.empty(0).take(np.array([], np.int64))) == []


def test_only_contiguous_slices() -> None:
    with pytest.raises(ValueError, match="sliced with step 1, got 2"):
        History.empty(4)[::2]


def table_of(pairs: set[tuple[int, int]], seed: int, ties: bool) -> pl.DataFrame:
    """Distinct pairs of a user and an item, at times that repeat or do not."""
    rng = np.random.default_rng(seed)
    user, item = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
    time = rng.integers(0, 3, len(user)) if ties else rng.permutation(1000)[: len(user)] * 2 + seed
    weight, stars = rng.integers(1, 9, (2, len(user))).astype(np.float64)
    columns = {"user": user, "item": item, "time": time, "weight": weight, "stars": stars}
    return pl.DataFrame(columns).sample(fraction=1, shuffle=True, seed=seed)


pairs = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=30)


@given(pairs, pairs, st.booleans())
def test_inserting_gives_the_history_of_all_interactions(
    old: set[tuple[int, int]], new: set[tuple[int, int]], explicit: bool
) -> None:
    """Repeated pairs as from_interactions makes them: the last rating, the sum of the weights."""
    options = {"weight": "weight", "timestamp": "time"} | ({"rating": "stars"} if explicit else {})
    parts = [table_of(old, 0, False), table_of(new, 1, False)]
    whole = Dataset.from_interactions(pl.concat(parts), **options)
    first, second = (
        History.group(
            whole.users.encode(part.users.ids)[part.user],
            whole.items.encode(part.items.ids)[part.item],
            part.value,
            part.weight,
            part.timestamp,
            n_rows=whole.n_users,
        )
        for part in (Dataset.from_interactions(table, **options) for table in parts)
    )
    before = [column.copy() for column in vars(first).values()]
    found = Past(first).inserted(second, columns=whole.n_items, add_weights=not explicit)
    for name in ("indptr", "indices", "value", "weight", "timestamp"):
        assert np.array_equal(getattr(found.past.whole, name), getattr(whole.by_user, name)), name
    assert all(np.array_equal(a, b) for a, b in zip(before, vars(first).values(), strict=False))


@given(pairs, pairs)
def test_what_goes_and_comes_is_the_difference(old: set[tuple[int, int]], new: set[tuple[int, int]]) -> None:
    def counted(history: History) -> Counter[tuple[Any, ...]]:
        columns = history.rows(), history.indices, history.value, history.weight, history.timestamp
        return Counter(zip(*(c.tolist() for c in columns), strict=True))

    first, second = (
        Dataset.from_interactions(table_of(p, s, True), weight="weight", timestamp="time")
        for s, p in enumerate((old, new))
    )
    columns = second.item, second.value, second.weight, second.timestamp
    grown = History.group(second.user, *columns, n_rows=max(first.n_users, second.n_users))
    found = Past(first.by_user).inserted(grown, columns=max(first.n_items, second.n_items), add_weights=True)
    assert counted(found.past.whole) == counted(first.by_user) - counted(found.gone) + counted(found.came)


@given(events, st.sets(st.integers(0, 99), max_size=20))
def test_columns_are_the_rows_of_the_transposed(table: list[tuple[int, int, int]], which: set[int]) -> None:
    history = grouped(table)
    found = history.columns(np.array(list(which), np.int64), 100)
    expected = [[r for r, row in enumerate(rows(history)) for i in row if i == w] for w in which]
    assert rows(found) == expected
    assert np.array_equal(found.value, np.repeat(list(which), found.lengths))


def test_a_column_that_is_one_number_stays_one_where_what_comes_has_the_same():
    old = History.of_lengths(np.array([2, 1]), np.array([4, 7, 7], np.int32))
    new = History.of_lengths(np.array([0, 1, 1]), np.array([5, 6], np.int32))
    past = Past(old).inserted(new, columns=8, add_weights=True).past
    whole = past.whole
    assert [whole.indices.tolist(), whole.indptr.tolist()] == [[4, 7, 7, 5, 6], [0, 2, 4, 5]]
    assert all(is_constant(column) for column in (whole.value, whole.weight, whole.timestamp))
    again = past.inserted(new, columns=8, add_weights=True).past.whole
    assert again.weight.tolist() == [1, 1, 1, 2, 2]
    assert is_constant(again.value)
    assert is_constant(again.take(np.array([1, 0])).value)
