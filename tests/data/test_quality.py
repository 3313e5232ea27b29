"""Weights by quality: worked by hand, against definitions in plain Python, and as properties."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import Dataset
from tastemaker.data.quality import (
    apply_quality,
    completion_weight,
    dwell_weight,
    event_weight,
    quality_weights,
    time_decay,
    to_implicit,
)
from tastemaker.errors import DataError

DAY = 86_400_000_000

# --- the lecture's matrix ---------------------------------------------------------------------------------------------

RATINGS = {
    "Alice": {"Squid Game": 5, "The Crown": 2, "The Office": 5},
    "Bob": {"The Crown": 3, "The Office": 4},
    "Chris": {"Squid Game": 2, "Breaking Bad": 4, "The Office": 2},
    "Derek": {"Squid Game": 4, "The Crown": 3},
}
SHOWS = ["Squid Game", "The Crown", "Breaking Bad", "The Office"]


@pytest.fixture
def ratings() -> Dataset:
    rows = [(user, item, stars) for user, rated in RATINGS.items() for item, stars in rated.items()]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    return Dataset.from_interactions(frame, rating="rating")


def table(data: Dataset) -> list[list[int]]:
    matrix = data.matrix().toarray()[np.ix_(data.users.encode(list(RATINGS)), data.items.encode(SHOWS))]
    return matrix.astype(int).tolist()


def test_implicit_conversion_gives_the_lectures_matrix(ratings: Dataset) -> None:
    implicit = to_implicit(ratings)
    assert table(implicit) == [[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 0, 0]]
    assert not implicit.schema.explicit
    assert len(ratings) == len(implicit)


def test_a_threshold_keeps_ratings_from_it_on(ratings: Dataset) -> None:
    assert table(to_implicit(ratings, threshold=3)) == [
        [1, 0, 0, 1],
        [0, 1, 0, 1],
        [0, 0, 1, 0],
        [1, 1, 0, 0],
    ]


def test_a_threshold_that_cannot_be_is_refused(ratings: Dataset) -> None:
    with pytest.raises(DataError, match="no rating is at least 6; the highest is 5"):
        to_implicit(ratings, threshold=6)
    with pytest.raises(DataError, match="needs ratings"):
        to_implicit(to_implicit(ratings), threshold=3)


# --- completion: the binge watcher and the one-a-day watcher ----------------------------------------------------------

BINGE, ONE_A_DAY = 0, 1


def test_binge_and_one_a_day_watchers_by_hand() -> None:
    """Both have seen five seasons of ten episodes; then each watches one episode of a sixth and stops.

    The binge watcher finished all five: cadence (10·10·10·10·10)^(1/5) = 10, so of ten episodes ten are expected.
    One was watched: (1/10)^(5/(5+5)) = 10^(−1/2) = 0.316, clear evidence of dislike.
    The one-a-day watcher watched one of each: cadence 1, expected 1, watched 1: 1^(1/2) = 1, no evidence at all.
    """
    user = [BINGE] * 6 + [ONE_A_DAY] * 6
    completed = [1.0] * 5 + [0.1] + [0.1] * 6
    weight = completion_weight(user, completed, [10] * 12, shrinkage=5)
    assert weight[5] == pytest.approx(10**-0.5, rel=1e-6)
    assert weight[6:] == pytest.approx(1.0, abs=1e-6)


def test_finishing_is_liking_for_both() -> None:
    """The binge watcher always finishes: 1.5, the least for finishing. Ten times one's cadence: 10^(5/10) = 3.16."""
    user = [BINGE] * 6 + [ONE_A_DAY] * 6
    completed = [1.0] * 6 + [0.1] * 5 + [1.0]
    weight = completion_weight(user, completed, [10] * 12, shrinkage=5)
    assert weight[5] == 1.5
    assert weight[11] == pytest.approx(10**0.5, rel=1e-6)


def test_one_a_day_is_neutral_however_long_the_season() -> None:
    episodes = np.array([6, 8, 10, 13, 24, 3, 200 / 2.5])
    weight = completion_weight([0] * 7, 1 / episodes, episodes)
    assert weight == pytest.approx(1.0, abs=1e-6)


def test_a_season_shorter_than_the_cadence_is_expected_to_be_finished() -> None:
    """Cadence 8 (from seasons of 16 left half way); of a season of 4, 2 are watched: (2 / min(8, 4))^(2/(2+2))."""
    weight = completion_weight([0, 0, 0], [0.5, 0.5, 0.5], [16, 16, 4], shrinkage=2)
    assert weight[2] == pytest.approx(0.5**0.5, rel=1e-6)


def test_films_and_series_are_two_habits() -> None:
    """One episode a day says nothing about leaving a film half way, when all other films were seen to the end."""
    completed = [0.1, 0.1, 0.1, 1.0, 1.0, 0.5]
    weight = completion_weight([0] * 6, completed, [10, 10, 10, 1, 1, 1], shrinkage=2)
    assert weight[:3] == pytest.approx(1.0, abs=1e-6)
    assert weight[5] == pytest.approx(0.5**0.5, rel=1e-6)


def test_evidence_grows_with_history_from_none() -> None:
    """One episode of ten after 0, 1, … finished seasons: neutral at first, then ever stronger."""
    left = [completion_weight([0] * (n + 1), [1.0] * n + [0.1], [10] * (n + 1))[-1] for n in range(12)]
    assert left[0] == 1.0
    assert (np.diff(left) < 0).all()
    assert left[1] == pytest.approx(0.1 ** (1 / 6), rel=1e-6)


def test_without_episodes_the_habitual_share_counts() -> None:
    weight = completion_weight([0, 0, 0, 1, 1, 1], [0.2, 0.2, 0.2, 0.8, 0.8, 0.2], shrinkage=2)
    assert weight[:3] == pytest.approx(1.0, abs=1e-6)
    assert weight[5] == pytest.approx((0.2 / 0.8) ** 0.5, rel=1e-6)


def slow_completion(user: list[int], share: list[float], parts: list[int], shrinkage: float) -> list[float]:
    """The docstring's formula, row by row."""
    weights = []
    for row, (u, s, e) in enumerate(zip(user, share, parts, strict=True)):
        amounts = [
            max(s2, 0.01) * e2
            for other, (u2, s2, e2) in enumerate(zip(user, share, parts, strict=True))
            if other != row and u2 == u and (e2 > 1) == (e > 1)
        ]
        n = len(amounts)
        cadence = float(np.prod(amounts)) ** (1 / n) if n else 1.0
        weight = (max(s, 0.01) * e / min(cadence, e)) ** (n / (n + shrinkage) if n else 0)
        weights.append(max(weight, 1.5) if s >= 0.9 else weight)
    return weights


interactions = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 0.05, 0.1, 0.5, 0.9, 1.0]),
        st.sampled_from([1, 4, 10]),
        st.floats(0, 1e5),
    ),
    min_size=1,
    max_size=30,
)


@given(interactions, st.sampled_from([0.0, 0.5, 3.0, 20.0]))
def test_completion_is_its_formula(rows: list[tuple[int, float, int, float]], shrinkage: float) -> None:
    user, share, parts, _ = (list(column) for column in zip(*rows, strict=True))
    expected = slow_completion(user, share, parts, shrinkage)
    assert completion_weight(user, share, parts, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-5)


def test_shrinkage_is_not_negative() -> None:
    for weigh in (completion_weight, dwell_weight):
        with pytest.raises(ValueError, match="shrinkage must be 0 or more, received -1"):
            weigh([0, 0], [0.5, 0.5], shrinkage=-1)


# --- dwell ------------------------------------------------------------------------------------------------------------


def test_dwell_by_hand() -> None:
    """Without shrinkage: twice as long an item, read in proportion, is neutral; twice the usual pace is 2.

    User 0 takes 1 second a word on three texts, then 2. For the last row the pace of the others is 1: weight 2.
    User 1 always takes 5 seconds a word: neutral, for that is this user's way.
    """
    user = [0, 0, 0, 0, 1, 1]
    length = [100, 200, 50, 100, 10, 20]
    dwell = [100, 200, 50, 200, 50, 100]
    weight = dwell_weight(user, dwell, length, shrinkage=0)
    assert weight[3] == pytest.approx(2.0, rel=1e-6)
    assert weight[4:] == pytest.approx(1.0, rel=1e-6)


def test_a_newcomers_dwell_is_compared_with_everyones() -> None:
    """r = log 1, log 4: mean log 2. With no other interactions of their own: 1/2 and 4/2."""
    assert dwell_weight([0, 1], [1, 4]) == pytest.approx([0.5, 2.0], rel=1e-6)


@given(interactions, st.just(0.0) | st.floats(0.01, 10))
def test_dwell_is_its_formula(rows: list[tuple[int, float, int, float]], shrinkage: float) -> None:
    user, _, length, dwell = (list(column) for column in zip(*rows, strict=True))
    r = [float(np.log(max(d, 1.0) / size)) for d, size in zip(dwell, length, strict=True)]
    mean = sum(r) / len(r)
    expected = []
    for row, u in enumerate(user):
        others = [r[o] for o in range(len(r)) if o != row and user[o] == u]
        known = len(others) + shrinkage
        expected.append(np.exp(r[row] - ((sum(others) + shrinkage * mean) / known if known else mean)))
    assert dwell_weight(user, dwell, length, shrinkage=shrinkage) == pytest.approx(expected, rel=1e-4)


@given(interactions)
def test_the_unit_of_length_does_not_matter(rows: list[tuple[int, float, int, float]]) -> None:
    user, _, length, dwell = (np.array(column) for column in zip(*rows, strict=True))
    assert dwell_weight(user, dwell, length * 60) == pytest.approx(
        dwell_weight(user, dwell, length), rel=1e-4
    )


# --- events, age, composition -----------------------------------------------------------------------------------------


def test_every_half_life_halves() -> None:
    ages = np.array([0, 30, 60, 15])
    weight = time_decay(-ages * DAY, timedelta(days=30), now=0)
    assert weight == pytest.approx([1, 0.5, 0.25, 2**-0.5], rel=1e-6)


def test_age_counts_from_the_latest_and_the_future_is_now() -> None:
    assert time_decay(np.array([3, 4]) * DAY, timedelta(days=1)).tolist() == [0.5, 1.0]
    assert time_decay(np.array([3, 4]) * DAY, timedelta(days=1), now=3 * DAY).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="half_life must be positive"):
        time_decay(np.array([3]), timedelta(0))


def test_events_without_a_weight_are_named() -> None:
    assert event_weight(["view", "buy"], {"view": 1, "buy": 0}).tolist() == [1.0, 0.0]
    with pytest.raises(DataError, match=r"no weight for \['return'\], only for \['view'\]"):
        event_weight(["view", "return"], {"view": 1})
    with pytest.raises(DataError, match="'return' must be 0 or more and finite, received -1"):
        event_weight(["return"], {"return": -1})


def test_weights_multiply_within_bounds() -> None:
    parts = np.float32([0.5, 0.5, 3, 1]), np.float32([0.5, 1.5, 2, 1])
    assert quality_weights(*parts, bounds=(0.4, 5)) == pytest.approx([0.4, 0.75, 5, 1])
    with pytest.raises(ValueError, match="at least one part"):
        quality_weights()
    with pytest.raises(ValueError, match="low ≤ high"):
        quality_weights(parts[0], bounds=(2, 1))
    with pytest.raises(ValueError, match=r"one length, received \[4, 3\]"):
        quality_weights(parts[0], parts[1][:3])


@pytest.mark.parametrize(
    ("completed", "message"),
    [
        ([0.5, 1.2], "completed: 1 values are not between 0 and 1; the first is 1.2 in row 1"),
        ([float("nan"), 0.2], "completed: 1 values .* the first is nan in row 0"),
        ([0.5], r"one value for each of 2 interactions, received shape \(1,\)"),
    ],
)
def test_bad_shares_are_refused(completed: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        completion_weight([0, 0], completed)


# --- on a Dataset -----------------------------------------------------------------------------------------------------


@pytest.fixture
def watched() -> Dataset:
    frame = pl.DataFrame(
        {
            "user": ["a", "a", "a", "b"],
            "item": ["x", "y", "z", "x"],
            "stars": [5, 4, 1, 3],
            "at": np.array([0, 10, 20, 20]) * 86_400,
            "share": [1.0, 1.0, 0.1, 0.4],
            "seconds": [600.0, 600.0, 60.0, 300.0],
            "event": ["view", "like", "view", "view"],
        }
    )
    items = {"item": ["z", "y", "x"], "parts": [10, 10, 10], "minutes": [10, 10, 10]}
    context = ["share", "seconds", "event"]
    return Dataset.from_interactions(
        frame, rating="stars", timestamp="at", context=context, item_features=items
    )


def test_apply_multiplies_the_parts_that_are_named(watched: Dataset) -> None:
    weighted = apply_quality(
        watched,
        completed="share",
        episodes="parts",
        event="event",
        event_weights={"view": 1, "like": 2},
        half_life=timedelta(days=10),
    )
    left = 0.1 ** (2 / 7)  # one of ten episodes, after two finished seasons
    assert weighted.weight == pytest.approx([1.5 / 4, 1.5 * 2 / 2, left, 1.0], rel=1e-6)
    assert weighted.value.tolist() == [1, 1, 1, 1]
    assert not weighted.schema.explicit
    assert watched.weight.tolist() == [1, 1, 1, 1]


def test_apply_takes_length_from_the_items(watched: Dataset) -> None:
    weighted = apply_quality(watched, dwell="seconds", length="minutes", bounds=(0, 100))
    expected = dwell_weight(watched.user, [600, 600, 60, 300], [10] * 4)
    assert weighted.weight == pytest.approx(expected)


def test_apply_names_what_is_missing(watched: Dataset) -> None:
    with pytest.raises(
        DataError, match=r"no context column 'share_done', only \['share', 'seconds', 'event'\]"
    ):
        apply_quality(watched, completed="share_done")
    with pytest.raises(DataError, match=r"no item feature 'length', only \['parts', 'minutes'\]"):
        apply_quality(watched, dwell="seconds", length="length")
    with pytest.raises(DataError, match="no weight for \\['view', 'like'\\]"):
        apply_quality(watched, event="event")
    timeless = Dataset.from_interactions({"user": [1], "item": [2]})
    with pytest.raises(DataError, match="half_life needs timestamps"):
        apply_quality(timeless, half_life=timedelta(days=1))
