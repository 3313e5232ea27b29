"""Sessions end with a pause; who asks for the next item of one is nobody, and nothing is learned from the future."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data.dataset import Dataset
from tastemaker.data.sessions import GAP, next_in_session, session_codes, sessions
from tastemaker.data.splits import global_time
from tastemaker.errors import DataError

MINUTES = 60

# ann and bob take turns, and their rows are not in the order of time; minutes since 1970
VISITS = [
    ("ann", "a", 0), ("bob", "a", 3), ("ann", "b", 30), ("ann", "c", 61), ("bob", "c", 90),
    ("ann", "d", 200), ("bob", "b", 210), ("ann", "e", 215), ("ann", "f", 220), ("bob", "d", 212),
]  # fmt: skip


def visits(rows: list[tuple[str, str, int]] = VISITS, session_gap: timedelta | None = None) -> Dataset:
    users, items, minutes = zip(*rows, strict=True)
    columns = {"user": users, "item": items, "at": [MINUTES * minute for minute in minutes]}
    return Dataset.from_interactions(columns, timestamp="at", session_gap=session_gap, name="visits")


def contents(part: Dataset | None) -> list[list[str]]:
    """The items of each user that has some, in order."""
    assert part is not None
    found = [part.items.decode_list(part.by_user[user : user + 1].indices) for user in range(part.n_users)]
    return [items for items in found if items]


def test_a_pause_of_just_the_gap_does_not_end_a_session() -> None:
    assert session_codes([1, 1, 1, 1], [0, 30, 61, 91], gap=30).tolist() == [0, 0, 1, 1]


def test_sessions_are_numbered_by_user_and_time_whatever_the_order_of_the_rows() -> None:
    assert session_codes([2, 1, 2, 1], [100, 50, 0, 0], gap=60).tolist() == [2, 0, 1, 0]
    assert session_codes([], [], gap=1).tolist() == []


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=40),
    gap=st.integers(0, 12),
)
@settings(max_examples=100, deadline=None)
def test_sessions_are_what_one_finds_by_going_through_each_users_times(
    rows: list[tuple[int, int]], gap: int
) -> None:
    expected: dict[int, int] = {}
    session = -1
    for user in range(4):
        before = None
        for row in sorted((n for n, (who, _) in enumerate(rows) if who == user), key=lambda n: rows[n][1]):
            session += before is None or rows[row][1] - before > gap
            expected[row], before = session, rows[row][1]
    found = session_codes([user for user, _ in rows], [time for _, time in rows], gap)
    assert found.tolist() == [expected[row] for row in range(len(rows))]


def test_sessions_of_a_dataset_stand_in_for_its_users() -> None:
    data = visits()
    found = sessions(data)
    assert contents(found) == [["a", "b"], ["c"], ["d", "e", "f"], ["a"], ["c"], ["b", "d"]]
    assert found.items is data.items
    assert found.users.ids.to_list() == [0, 1, 2, 3, 4, 5]
    assert found.user_features.width == 0


def test_a_longer_gap_joins_what_a_shorter_one_parts() -> None:
    assert contents(sessions(visits(), timedelta(minutes=100))) == [
        ["a", "b", "c"],
        ["d", "e", "f"],
        ["a", "c"],
        ["b", "d"],
    ]
    assert contents(sessions(visits(), timedelta(0))) == [[item] for item in "abcdefacbd"]


RETURNING = [("x", "a", 0), ("x", "b", 1), ("x", "a", 6000), ("x", "c", 6001)]


def test_what_a_visitor_comes_back_to_stays_in_the_session_before() -> None:
    split = next_in_session(visits(RETURNING, GAP), at=at(3000))
    assert contents(split.train) == [["a", "b"]]
    assert contents(split.history) == [["a"]]
    assert contents(split.test) == [["c"]]
    assert split.history is not None
    assert split.history.weight.tolist() == [1]
    assert split.description.endswith("more than 30 minutes")


def test_a_dataset_of_users_has_forgotten_it_and_the_split_says_so() -> None:
    split = next_in_session(visits(RETURNING), at=at(3000))
    assert contents(split.train) == [["b"]]
    assert split.description.endswith(
        "a Dataset of users, which has each item of a user once, at its last time"
    )


def test_an_item_counts_in_a_session_where_it_came_first() -> None:
    again = [("x", "a", 0), ("x", "b", 1), ("x", "a", 2), ("x", "c", 3), ("y", "d", 5), ("y", "c", 6)]
    split = next_in_session(visits(again, GAP), at=at(2))
    assert contents(split.train) == [["a", "b"]]  # as it was at minute 2


def test_all_clicks_of_impressions_are_cut() -> None:
    users, items, minutes = zip(*RETURNING, ("x", "d", 2), strict=True)
    columns = {"user": users, "item": items, "at": [MINUTES * m for m in minutes], "label": [1, 1, 1, 1, 0]}
    split = next_in_session(Dataset.from_impressions(columns, timestamp="at"), at=at(3000))
    assert [contents(part) for part in (split.train, split.history, split.test)] == [
        [["a", "b"]],
        [["a"]],
        [["c"]],
    ]
    assert "Dataset of users" not in split.description


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 300)), min_size=2, max_size=40
    ),
    cut=st.integers(0, 300),
    each=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_the_past_is_what_one_would_have_seen_without_the_future(
    rows: list[tuple[int, int, int]], cut: int, each: bool
) -> None:
    named = [(f"u{user}", f"i{item}", minute) for user, item, minute in rows]
    try:
        split = next_in_session(visits(named, GAP), at=at(cut), each=each)
    except DataError:
        return
    then = sessions(visits([row for row in named if row[2] < cut], GAP))
    assert sorted(contents(split.train)) == sorted(contents(then))
    assert split.train.weight.tolist() == [1] * len(split.train)


def test_sessions_are_cut_once(tmp_path: Path) -> None:
    hour = visits(VISITS, timedelta(hours=1))
    again = Dataset.load(hour.save(tmp_path / "visits"))
    for data in (hour, again):
        assert sessions(data) is data
        assert sessions(data, timedelta(hours=1)) is data
        assert "more than 60 minutes" in next_in_session(data, at=at(150)).description
        with pytest.raises(ValueError, match=r"visits holds sessions already, .* more than 60 minutes"):
            next_in_session(data, GAP)


def test_ratings_of_sessions_become_implicit_feedback() -> None:
    columns = {"user": [1, 1], "item": [1, 1], "stars": [5, 3], "at": [0, 9000]}
    data = Dataset.from_interactions(columns, rating="stars", timestamp="at", session_gap=GAP)
    assert not data.schema.explicit
    assert data.value.tolist() == [1, 1]


def test_sessions_need_times_and_a_gap() -> None:
    with pytest.raises(DataError, match="has no times"):
        sessions(Dataset.from_interactions({"user": [1], "item": [1]}))
    with pytest.raises(DataError, match="has no times"):
        Dataset.from_interactions({"user": [1], "item": [1]}, session_gap=GAP)
    with pytest.raises(ValueError, match="gap must not be below 0"):
        sessions(visits(), timedelta(minutes=-1))
    for cut in (lambda: next_in_session(visits(), 30), lambda: visits(session_gap=30)):  # type: ignore[arg-type]
        with pytest.raises(
            ValueError, match=r"gap must be a timedelta such as timedelta\(minutes=30\), got 30"
        ):
            cut()


@pytest.mark.parametrize("no_moment", [10**30, "1970-01-02", 1.5])
def test_a_moment_is_a_datetime_or_a_number_that_64_bits_hold(no_moment: Any) -> None:
    for split in (global_time, next_in_session):
        with pytest.raises(
            ValueError, match="at must be a datetime, or a whole number of microseconds since 1970"
        ):
            split(visits(), at=no_moment)


def at(minute: int) -> int:
    return minute * MINUTES * 1_000_000


def test_the_last_item_of_later_sessions_is_asked_for_with_those_before_it() -> None:
    split = next_in_session(visits(), at=at(150))
    assert contents(split.train) == [["a", "b"], ["c"], ["a"], ["c"]]
    assert contents(split.history) == [["d", "e"], ["b"]]
    assert contents(split.test) == [["f"], ["d"]]
    assert "from 1970-01-01 02:30:00 UTC on" in split.description
    assert "more than 30 minutes" in split.description


def test_each_next_item_can_be_asked_for() -> None:
    split = next_in_session(visits(), at=at(150), each=True)
    assert sorted(zip(contents(split.history), contents(split.test), strict=True)) == [
        (["b"], ["d"]), (["d"], ["e"]), (["d", "e"], ["f"]),
    ]  # fmt: skip


def test_a_session_that_goes_on_over_the_moment_is_learned_from_up_to_it_and_not_tested() -> None:
    split = next_in_session(visits(), at=at(205))  # ann's last session began at minute 200
    assert contents(split.train) == [["a", "b"], ["c"], ["d"], ["a"], ["c"]]
    assert contents(split.history) == [["b"]]
    assert contents(split.test) == [["d"]]


def test_a_session_of_one_item_asks_nothing() -> None:
    with pytest.raises(
        DataError, match="9 interactions before 1970-01-01 03:40:00 UTC to learn from, and 0 next items"
    ):
        next_in_session(visits(), at=at(220))


def test_equal_times_in_a_session_keep_the_order_of_the_rows() -> None:
    rows = [("ann", "a", 0), *(("ann", f"{item:03}", 100) for item in range(300)), ("ann", "z", 100)]
    split = next_in_session(visits(rows), at=at(50))
    assert contents(split.history) == [[f"{item:03}" for item in range(300)]]
    assert contents(split.test) == [["z"]]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 300)),
        min_size=2,
        max_size=40,
        unique_by=lambda row: row[:2],
    ),
    cut=st.integers(0, 300),
    each=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_question_knows_its_own_session_and_nothing_later(
    rows: list[tuple[int, int, int]], cut: int, each: bool
) -> None:
    data = visits([(f"u{user}", f"i{item}", minute) for user, item, minute in rows])
    try:
        split = next_in_session(data, at=at(cut), each=each)
    except DataError:
        return
    assert split.history is not None
    assert split.train.timestamp.max() < at(cut) <= split.history.timestamp.min()
    assert len(np.unique(split.test.user)) == len(split.test) == len(np.unique(split.history.user))
    assert not np.isin(split.test.user, split.train.user).any()
    found = sessions(data)
    expected = []
    for session in range(found.n_users):
        rows_of = found.user == session
        if found.timestamp[rows_of].min() >= at(cut):
            held = int(rows_of.sum())
            expected += [n for n in range(1 if each else held - 1, held) if n]
    assert sorted(len(items) for items in contents(split.history)) == sorted(expected)


def test_no_interactions_have_no_latest_share() -> None:
    nothing = visits().select(np.zeros(len(VISITS), np.bool_))
    for split in (next_in_session, global_time):
        with pytest.raises(DataError, match="visits has no interactions to part"):
            split(nothing)
