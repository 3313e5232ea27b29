"""Splits lose no row, keep the codes, and say what exists only in the test part."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import datasets
from tastemaker.data.dataset import Dataset
from tastemaker.data.splits import (
    Split,
    check_leak,
    global_time,
    holdout,
    k_fold,
    leave_last_out,
    predefined,
)
from tastemaker.errors import DataError


def made(pairs: list[tuple[int, int]], times: list[int] | None = None) -> Dataset:
    """A Dataset of distinct pairs whose value is the row number, so that rows can be told apart."""
    columns = {
        "user": [u for u, _ in pairs],
        "item": [i for _, i in pairs],
        "row": np.arange(len(pairs)),
    }
    if times is None:
        return Dataset.from_interactions(columns, rating="row")
    return Dataset.from_interactions(columns | {"at": times}, rating="row", timestamp="at")


@st.composite
def data_sets(draw: st.DrawFn) -> Dataset:
    pairs = draw(
        st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=8, max_size=60, unique=True)
    )
    times = draw(st.lists(st.integers(0, 12), min_size=len(pairs), max_size=len(pairs)))
    return made(pairs, times)


def rows(part: Dataset) -> list[int]:
    return part.value.astype(int).tolist()


def parts(split: Split) -> list[Dataset]:
    return [part for part in (split.train, split.validation, split.test) if part is not None]


PROTOCOLS: list[Callable[[Dataset, int], list[Split]]] = [
    lambda data, seed: [holdout(data, 0.3, 0.7, seed)],
    lambda data, seed: k_fold(data, 4, seed),
    lambda data, seed: [leave_last_out(data)],
    lambda data, seed: [leave_last_out(data, n=2, validation=True)],
    lambda data, seed: [global_time(data, fraction=0.3)],
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=data_sets(), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_row_is_in_exactly_one_part_and_keeps_its_code_and_order(
    protocol: Callable[[Dataset, int], list[Split]], data: Dataset, seed: int
) -> None:
    try:
        splits = protocol(data, seed)
    except DataError as error:
        assert "both parts need some" in str(error)  # noqa: PT017
        return
    for split in splits:
        assert sorted(row for part in parts(split) for row in rows(part)) == list(range(len(data)))
        for part in parts(split):
            assert len(part) > 0 or part is split.validation
            at = rows(part)
            assert at == sorted(at)
            assert part.users is data.users
            assert part.items is data.items
            for column in ("user", "item", "timestamp", "weight"):
                np.testing.assert_array_equal(getattr(part, column), getattr(data, column)[at])


@pytest.mark.parametrize("protocol", PROTOCOLS[:2])
def test_the_same_seed_gives_the_same_split_and_another_one_does_not(
    protocol: Callable[[Dataset, int], list[Split]],
) -> None:
    data = made([(u, i) for u in range(10) for i in range(20)])
    first, again, other = ([rows(split.test) for split in protocol(data, seed)] for seed in (3, 3, 4))
    assert first == again
    assert first != other


# --- hold out X % of the ratings of Y % of the users


@given(data=data_sets(), ratings=st.floats(0.1, 0.9), users=st.floats(0.2, 1), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_holdout_takes_that_share_of_that_share(
    data: Dataset, ratings: float, users: float, seed: int
) -> None:
    try:
        split = holdout(data, ratings, users, seed)
    except DataError:
        return
    counts = np.bincount(data.user, minlength=data.n_users)
    tested = np.bincount(split.test.user, minlength=data.n_users)
    chosen = tested > 0
    assert chosen.sum() <= round(users * data.n_users)
    np.testing.assert_allclose(tested[chosen], ratings * counts[chosen], atol=0.5 + 1e-9)
    if users == 1:
        np.testing.assert_allclose(tested, ratings * counts, atol=0.5 + 1e-9)


def test_holdout_of_even_numbers_is_exact() -> None:
    data = made([(u, i) for u in range(10) for i in range(20)])
    split = holdout(data, ratings=0.25, users=0.5)
    assert sorted(np.bincount(split.test.user, minlength=10)) == [0] * 5 + [5] * 5
    assert split.description == "25% of the ratings of 50% of the users, at random"
    assert split.seed == 0


def test_every_row_can_be_held_out() -> None:
    data = made([(0, i) for i in range(5)])
    seen = {row for seed in range(60) for row in rows(holdout(data, 0.2, seed=seed).test)}
    assert seen == set(range(5))


@pytest.mark.parametrize(
    "wrong", [{"ratings": 0.0}, {"ratings": 1.1}, {"users": -0.1}, {"users": float("nan")}]
)
def test_holdout_refuses_what_is_no_share(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be a share above 0 and at most 1, got"):
        holdout(made([(0, 0), (0, 1)]), **wrong)


def test_holdout_refuses_an_empty_part() -> None:
    with pytest.raises(DataError, match="of 2 interactions 0 would be for training and 2 for the test"):
        holdout(made([(0, 0), (0, 1)]), ratings=1.0)
    with pytest.raises(DataError, match="of 2 interactions 2 would be for training and 0 for the test"):
        holdout(made([(0, 0), (0, 1)]), ratings=0.1)


# --- folds


@given(data=data_sets(), folds=st.integers(2, 7), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_every_row_is_tested_on_once_in_folds_of_equal_size(data: Dataset, folds: int, seed: int) -> None:
    splits = k_fold(data, folds, seed)
    assert sorted(row for split in splits for row in rows(split.test)) == list(range(len(data)))
    sizes = [len(split.test) for split in splits]
    assert max(sizes) - min(sizes) <= 1
    assert [split.name for split in splits] == [f"fold {i + 1}" for i in range(folds)]


def test_impossible_folds_are_refused() -> None:
    data = made([(0, 0), (0, 1), (1, 0)])
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        k_fold(data, 1)
    with pytest.raises(DataError, match="3 interactions cannot be parted into 4 folds"):
        k_fold(data, 4)


# --- the last ones


def test_the_last_by_time_is_left_out_and_equal_times_go_by_row() -> None:
    data = made([(1, 10), (2, 10), (1, 11), (1, 12), (2, 11), (2, 12)], times=[9, 5, 8, 9, 5, 5])
    split = leave_last_out(data)
    assert rows(split.test) == [3, 5]
    assert split.description == "the last interaction of each user, by time"
    split = leave_last_out(data, validation=True)
    assert split.validation is not None
    assert (rows(split.train), rows(split.validation), rows(split.test)) == ([1, 2], [0, 4], [3, 5])


def test_many_equal_times_are_in_the_order_of_the_rows() -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(5), 400)[
        random.permutation(2000)
    ].tolist()  # enough for an unstable sort to show
    data = made([(user, row) for row, user in enumerate(users)], times=[row // 1900 for row in range(2000)])
    split = leave_last_out(data, validation=True)
    assert split.validation is not None
    for user in range(5):
        own = [row for row in range(2000) if data.user[row] == user]
        parted = [[row for row in rows(part) if data.user[row] == user] for part in parts(split)]
        assert parted == [own[:-2], own[-2:-1], own[-1:]]


def test_without_times_the_order_is_that_of_the_rows() -> None:
    split = leave_last_out(made([(1, 10), (2, 10), (1, 11), (1, 12), (2, 11)]), n=1)
    assert rows(split.test) == [3, 4]
    assert "by row order (there are no times)" in split.description


@given(data=data_sets(), n=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_each_tested_user_has_n_test_rows_after_all_of_the_training_rows(data: Dataset, n: int) -> None:
    try:
        split = leave_last_out(data, n)
    except DataError:
        assert np.bincount(data.user).max() <= n
        return
    tested = np.bincount(split.test.user, minlength=data.n_users)
    assert set(tested) <= {0, n}
    assert len(split.test_only_users) == 0
    for user in np.flatnonzero(tested):
        keys = [
            [(t, r) for t, r in zip(p.timestamp[p.user == user], p.value[p.user == user], strict=True)]
            for p in (split.train, split.test)
        ]
        assert max(keys[0]) < min(keys[1])
    for user in np.flatnonzero(tested == 0):
        assert (data.user == user).sum() <= n


def test_users_with_too_little_stay_in_training_and_are_counted() -> None:
    split = leave_last_out(made([(1, 1), (2, 1), (2, 2), (3, 1)], times=[1, 1, 2, 1]))
    assert rows(split.test) == [2]
    assert split.description.endswith("; 2 users with fewer than 2 are not tested")
    with pytest.raises(DataError, match="both parts need some"):
        leave_last_out(made([(1, 1), (2, 1)]))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        leave_last_out(made([(1, 1), (2, 1)]), n=0)


# --- one moment for all


@given(data=data_sets(), fraction=st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_every_test_row_is_after_every_training_row(data: Dataset, fraction: float) -> None:
    try:
        split = global_time(data, fraction)
    except DataError:
        return
    assert split.train.timestamp.max() < split.test.timestamp.min()
    leak = check_leak(split)
    assert (leak.rows, leak.users, bool(leak)) == (0, 0, False)
    assert len(split.test) >= round(fraction * len(data))
    assert (split.test.timestamp > split.test.timestamp.min()).sum() < max(1, round(fraction * len(data)))


def test_a_moment_can_be_given_in_any_time_zone() -> None:
    noon = int(datetime(2024, 5, 1, 12, tzinfo=UTC).timestamp())
    data = made([(1, i) for i in range(4)], times=[noon - 1, noon, noon + 1, noon - 2])
    moments = [
        datetime(2024, 5, 1, 12),
        datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))),
        noon * 1_000_000,
        np.int64(noon * 1_000_000),
    ]
    for at in moments:
        split = global_time(data, at=at)
        assert rows(split.test) == [1, 2]
        assert split.description == "everything from 2024-05-01 12:00:00 UTC on"


def test_global_time_refuses_what_cannot_be() -> None:
    with pytest.raises(DataError, match="interactions has no times; build it with timestamp=<column>"):
        global_time(made([(1, 1), (1, 2)]))
    data = made([(1, 1), (1, 2)], times=[5, 5])
    with pytest.raises(DataError, match="of 2 interactions 0 would be for training and 2 for the test"):
        global_time(data)
    with pytest.raises(DataError, match="2 would be for training and 0 for the test"):
        global_time(data, at=datetime(2030, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="give at or fraction, not both"):
        global_time(data, 0.2, at=0)


def test_a_leak_is_counted() -> None:
    data = made([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)], times=[1, 9, 3, 4, 4])
    leak = check_leak(predefined(data, test=[2]))  # at time 3; later are rows 1, 3 and 4
    assert (leak.rows, leak.users, leak.since) == (3, 3, 3_000_000)
    assert leak
    at_the_same_moment = check_leak(
        predefined(data, test=[3])
    )  # row 4 is from that moment, not from after it
    assert (at_the_same_moment.rows, at_the_same_moment.since) == (1, 4_000_000)
    with pytest.raises(DataError, match="has no times"):
        check_leak(predefined(made([(1, 1), (1, 2)]), test=[0]))


# --- made by somebody else


def test_rows_can_be_given_as_numbers_in_any_order_or_as_a_mask() -> None:
    data = made([(1, i) for i in range(5)])
    split = predefined(data, test=[3, 1], name="mine")
    assert (rows(split.train), rows(split.test), split.name) == ([0, 2, 4], [3, 1], "mine")
    split = predefined(data, test=np.array([0, 1, 0, 1, 0], bool), train=[4, 0])
    assert (rows(split.train), rows(split.test)) == ([4, 0], [1, 3])


@pytest.mark.parametrize(
    ("given_rows", "told"),
    [
        ({"test": [0, 1], "train": [1, 2]}, "1 row in both parts; the first is row 1"),
        ({"test": [0, 0]}, "test: 1 row repeated; the first is row 0"),
        ({"test": [0, 3]}, "test: rows go from 0 to 2, got 0 to 3"),
        ({"test": [0], "train": [-1]}, "train: rows go from 0 to 2, got -1 to -1"),
        ({"test": [False, True]}, r"test: expected a mask of shape \(3,\), got \(2,\)"),
        ({"test": []}, "a part is empty: 3 training rows, 0 test rows"),
        ({"test": [0, 1, 2]}, "a part is empty: 0 training rows, 3 test rows"),
        ({"test": [0], "negatives": np.zeros((2, 9), np.int32)}, "negatives for 1 test rows, got them for 2"),
    ],
)
def test_wrong_rows_are_refused(given_rows: dict[str, object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        predefined(made([(1, 0), (1, 1), (1, 2)]), **given_rows)  # type: ignore[arg-type]


# --- only in the test part


def test_what_exists_only_in_the_test_part_is_counted_and_reported() -> None:
    data = made([(1, 10), (1, 20), (2, 10), (3, 20), (3, 30)])
    split = predefined(data, test=[2, 3, 4])  # users 2 and 3 are new, item 30 is
    assert data.users.decode_list(split.test_only_users) == [2, 3]
    assert data.items.decode_list(split.test_only_items) == [30]
    assert split.cold_rows == 3
    assert split.report().splitlines() == [
        "predefined: as given",
        "  train: 2 interactions (40.0%), 1 user, 2 items",
        "  test: 3 interactions (60.0%), 2 users, 3 items",
        "  only in the test part: 2 users, 1 item (3 test interactions)",
    ]


def test_a_warm_split_has_nothing_only_in_the_test_part() -> None:
    split = predefined(made([(1, 10), (1, 20), (2, 10), (2, 20)]), test=[1])
    assert (len(split.test_only_users), len(split.test_only_items), split.cold_rows) == (0, 0, 0)


# --- on real data


@pytest.mark.real_data
def test_splits_of_ml_100k(real_data: Path) -> None:
    data = datasets.load("ml-100k")
    split = holdout(data, ratings=0.2, users=0.5, seed=1)
    tested = np.bincount(split.test.user, minlength=943)
    assert (tested > 0).sum() == round(0.5 * 943)
    split = global_time(data)
    assert 20_000 <= len(split.test) < 20_100
    assert not check_leak(split)
    assert len(split.test_only_users) > 0
    assert check_leak(k_fold(data)[0]).rows > 79_000
    last = leave_last_out(data)
    assert len(last.test) == 943
    for user in (0, 400, 942):
        assert last.test.timestamp[last.test.user == user] == data.timestamp[data.user == user].max()


@pytest.mark.real_data
def test_leave_last_out_of_ml_1m_is_that_of_the_ncf_paper_up_to_equal_times(real_data: Path) -> None:
    published = datasets.folds("ncf-ml-1m")["test"]
    ours = leave_last_out(datasets.load("ncf-ml-1m"))
    np.testing.assert_array_equal(np.sort(ours.test.user), np.sort(published.test.user))
    by_user = [part.timestamp[np.argsort(part.user)] for part in (ours.test, published.test)]
    np.testing.assert_array_equal(*by_user)
