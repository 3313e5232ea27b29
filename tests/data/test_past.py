"""A past that grows, against the histories of a Dataset of all interactions, wherever what is new stands."""

import weakref
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import Dataset, History
from tastemaker.data import past as module
from tastemaker.data.past import Past

USERS, ITEMS = 7, 10
NAMES = ("indptr", "indices", "value", "weight", "timestamp")
pairs = st.sets(st.tuples(st.integers(0, USERS - 1), st.integers(0, ITEMS - 1)), max_size=12)
steps = st.lists(st.tuples(pairs, st.integers(0, 99)), min_size=2, max_size=5)


def events(step: int, chosen: set[tuple[int, int]], seed: int) -> pl.DataFrame:
    """Distinct pairs at times of their own, some before those of earlier steps; whole weights, so that sums are exact."""
    rng = np.random.default_rng(seed)
    user, item = np.array(sorted(chosen), np.int64).reshape(-1, 2).T
    time = 1000 * rng.permutation(100)[: len(user)] + 500 * step
    weight, stars = rng.integers(1, 9, (2, len(user)))
    columns = {"user": user, "item": item, "time": time + step, "weight": weight, "stars": stars}
    return pl.DataFrame({name: np.asarray(column, np.int64) for name, column in columns.items()})


def history(frame: pl.DataFrame, rows: int, explicit: bool) -> History:
    """Codes that are the ids."""
    stars, weight = (frame[c].to_numpy().astype(np.float32) for c in ("stars", "weight"))
    user, item = (frame[c].to_numpy().astype(np.int32) for c in ("user", "item"))
    value = stars if explicit else np.ones_like(stars)
    return History.group(user, item, value, weight, frame["time"].to_numpy() * 1_000_000, n_rows=rows)


def all_at_once(frames: list[pl.DataFrame], explicit: bool) -> History:
    """The histories that a Dataset of all interactions has, by id."""
    rating = {"rating": "stars"} if explicit else {}
    data = Dataset.from_interactions(pl.concat(frames), weight="weight", timestamp="time", **rating)
    user, item = (
        vocabulary.ids.to_numpy()[codes].astype(np.int32)
        for vocabulary, codes in ((data.users, data.user), (data.items, data.item))
    )
    return History.group(user, item, data.value, data.weight, data.timestamp, n_rows=USERS)


def same(one: History, other: History) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NAMES)


def pairs_of(some: History) -> list[tuple[int, int, float, float]]:
    """The entries without their times, in no order."""
    return sorted(
        zip(*(c.tolist() for c in (some.rows(), some.indices, some.value, some.weight)), strict=True)
    )


@pytest.mark.parametrize("much", [0, 0.5, 100])
@given(steps, st.booleans(), st.lists(st.integers(0, USERS - 1), max_size=9))
def test_after_any_updates_it_is_the_history_of_all_interactions(
    much: float, chosen: list[tuple[set[tuple[int, int]], int]], explicit: bool, users: list[int]
) -> None:
    """Read row by row and whole; with what is new put in at once, now and then, and never."""
    frames = [events(step, *one) for step, one in enumerate(chosen)]
    first = max((int(frames[0]["user"].max()) + 1) if len(frames[0]) else 0, 1)
    past = Past(history(frames[0], first, explicit))  # other users are new
    with patch.object(module, "_MUCH", much):
        for step in range(1, len(frames)):
            new = history(frames[step], USERS, explicit)
            before, past = past, past.inserted(new, columns=ITEMS, add_weights=not explicit).past
            if not sum(map(len, frames[: step + 1])):
                continue
            expected = all_at_once(frames[: step + 1], explicit)
            assert same(past.take(np.array(users, np.int64)), expected.take(np.array(users, np.int64)))
            assert same(Past(*past._parts, ITEMS).whole, expected)
            assert pairs_of(past.timeless) == pairs_of(expected)
            assert not past.timeless.timestamp.any()
            if sum(map(len, frames[:step])):
                earlier = all_at_once(frames[:step], explicit)
                assert same(before.whole.grown(USERS), earlier)


@pytest.mark.parametrize("explicit", [False, True])
@given(steps)
def test_what_goes_and_comes_is_the_same_wherever_it_stands(
    explicit: bool, chosen: list[tuple[set[tuple[int, int]], int]]
) -> None:
    frames = [events(step, *one) for step, one in enumerate(chosen)]

    def changes(much: float) -> list[History]:
        past, found = Past(history(frames[0], USERS, explicit)), []
        with patch.object(module, "_MUCH", much):
            for frame in frames[1:]:
                past, gone, came = past.inserted(
                    history(frame, USERS, explicit), columns=ITEMS, add_weights=not explicit
                )
                found += [gone, came]
        return found

    assert all(same(one, other) for one, other in zip(changes(0), changes(100), strict=True))


def test_a_hundred_updates_keep_one_set_of_columns_alive() -> None:
    """And beside them no more than an eighth, however many came before."""
    rng = np.random.default_rng(0)
    base = History.of_lengths(np.full(1000, 20), np.tile(np.arange(20, dtype=np.int32), 1000))
    past, seen = Past(base), []
    del base
    for step in range(100):
        rows = np.sort(rng.choice(1000, 200, replace=False))
        new = History.of_lengths(
            np.bincount(rows, minlength=1000),
            np.full(200, 20 + step, np.int32),
            timestamp=np.full(200, step + 1, np.int64),
        )
        past = past.inserted(new, columns=120, add_weights=True).past
        columns, later = past._parts
        held = 0 if later is None else len(later.indices)
        assert held <= len(columns.indices) / 8
        assert held + len(columns.indices) == 20_000 + 200 * (step + 1)
        seen += [weakref.ref(part.indices) for part in (columns, later) if part is not None]
    del columns, later
    assert len({id(array()) for array in seen if array() is not None}) <= 2
    whole = weakref.ref(past.whole.indices)
    assert {array() is whole() for array in seen if array() is not None} <= {True}


def test_reading_rows_leaves_the_rest_as_it_stands_until_many_are_read() -> None:
    base = History.of_lengths(np.full(1000, 5), np.tile(np.arange(5, dtype=np.int32), 1000))
    past = (
        Past(base)
        .inserted(
            History.of_lengths(np.eye(1, 1000, 3, dtype=np.int64)[0], np.array([7], np.int32)),
            columns=8,
            add_weights=True,
        )
        .past
    )
    assert past.take(np.array([3])).indices.tolist() == [0, 1, 2, 3, 4, 7]
    assert past._parts[0].indices is base.indices
    assert past.take(np.arange(1000)).indices.tolist() == past.whole.indices.tolist()
    assert past._parts == (past.whole, None)
    assert len(base.indices) == 5000
