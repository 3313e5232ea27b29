"""The ranking metrics against plain loops, on random lists with short and empty ones and users with nothing relevant."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import oracle
from tastemaker.metrics import Evidence, RankedLists, RelevantItems, parse
from tastemaker.metrics.arrays import Floats
from tastemaker.metrics.ranking import average_precision_at_k, ndcg_at_k, ndcg_graded_at_k, precision_at_k

NAMES = ["precision", "recall", "hit_rate", "mrr", "map", "map_min", "ndcg"]
N_ITEMS = 25
SLOTS = 8

lists_strategy = st.lists(
    st.tuples(
        st.lists(st.integers(0, N_ITEMS - 1), max_size=SLOTS, unique=True),
        st.sets(st.integers(0, N_ITEMS - 1), max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def each_user(
    users: list[tuple[list[int], set[int]]], function: Callable[[list[int], set[int]], float]
) -> Floats:
    return np.array([function(items, relevant) if relevant else math.nan for items, relevant in users])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(users=lists_strategy, k=st.integers(1, SLOTS))
def test_agrees_with_the_definition(name: str, users: list[tuple[list[int], set[int]]], k: int) -> None:
    lists = RankedLists.from_lists([u[0] for u in users], [u[1] for u in users], width=SLOTS)
    measured = parse(f"{name}@{k}")(Evidence(lists=lists))
    expected = each_user(users, lambda items, relevant: getattr(oracle, name)(items, relevant, k))
    np.testing.assert_allclose(measured.per_user, expected, rtol=0, atol=1e-9)
    assert measured.n_left_out == sum(1 for _, relevant in users if not relevant)
    if measured.n_users:
        assert measured.value == pytest.approx(np.nanmean(expected), abs=1e-9)
    else:
        assert math.isnan(measured.value)


def test_agrees_with_the_definition_on_many_long_lists() -> None:
    rng = np.random.default_rng(3)
    users = [
        (
            rng.permutation(300)[: rng.integers(0, 51)].tolist(),
            set(rng.permutation(300)[: rng.integers(0, 90)].tolist()),
        )
        for _ in range(400)
    ]
    lists = RankedLists.from_lists([u[0] for u in users], [u[1] for u in users], width=50)
    for name in NAMES:
        for k in (1, 7, 50):
            expected = each_user(
                users, lambda items, rel, name=name, k=k: getattr(oracle, name)(items, rel, k)
            )
            measured = parse(f"{name}@{k}")(Evidence(lists=lists)).per_user
            np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-9, err_msg=f"{name}@{k}")


@settings(max_examples=100, deadline=None)
@given(
    items=st.lists(st.integers(0, 14), max_size=6, unique=True),
    gains=st.dictionaries(st.integers(0, 14), st.sampled_from([0.0, 0.5, 1.0, 3.0, 5.0]), max_size=10),
    k=st.integers(1, 6),
)
def test_graded_ndcg_agrees_with_the_definition(items: list[int], gains: dict[int, float], k: int) -> None:
    relevant = RelevantItems.from_pairs([0] * len(gains), list(gains), 1, gains=list(gains.values()))
    lists = RankedLists(np.array([(items + [-1] * 6)[:6]], dtype=np.int32), relevant)
    measured = ndcg_graded_at_k(lists, k)[0]
    if any(gains.values()):
        assert measured == pytest.approx(oracle.ndcg_graded(items, gains, k), abs=1e-9)
    else:
        assert math.isnan(measured)


def test_graded_ndcg_without_gains_is_ndcg() -> None:
    lists = RankedLists.from_lists([[3, 1, 2], [5], []], [{1, 2, 9}, {5}, {4}])
    np.testing.assert_allclose(ndcg_graded_at_k(lists, 3), ndcg_at_k(lists, 3), atol=1e-12)


def test_a_short_list_divides_by_k() -> None:
    lists = RankedLists.from_lists([[7]], [{7}], width=5)
    assert precision_at_k(lists, 5) == pytest.approx([1 / 5])
    assert average_precision_at_k(lists, 5) == pytest.approx([1 / 5])


def test_a_test_row_that_comes_twice_counts_once() -> None:
    # RecTools answers a MAP of 1.17 when test rows are duplicated.
    once = RankedLists.from_lists([[1, 2, 3]], [[1, 3]])
    twice = RankedLists.from_lists([[1, 2, 3]], [[1, 1, 1, 3, 3]])
    for name in NAMES:
        metric = parse(f"{name}@3")
        assert metric(Evidence(lists=twice)).value == metric(Evidence(lists=once)).value


def test_the_ideal_list_scores_one_and_the_worst_zero() -> None:
    best = RankedLists.from_lists([[1, 2, 8], [3, 4, 5]], [{1, 2}, {3, 4, 5, 6}])
    worst = RankedLists.from_lists([[7, 8, 9], [7, 8, 9]], [{1, 2}, {3, 4, 5, 6}])
    for name in ("ndcg", "map_min", "hit_rate", "mrr"):
        assert parse(f"{name}@3")(Evidence(lists=best)).value == pytest.approx(1.0)
        assert parse(f"{name}@3")(Evidence(lists=worst)).value == 0.0


@settings(max_examples=50, deadline=None)
@given(users=lists_strategy, k=st.integers(1, SLOTS))
def test_swapping_a_hit_upwards_never_lowers_a_metric(
    users: list[tuple[list[int], set[int]]], k: int
) -> None:
    def bubble(items: list[int], relevant: set[int]) -> list[int]:
        for slot in range(1, len(items)):
            if items[slot] in relevant and items[slot - 1] not in relevant:
                return [*items[: slot - 1], items[slot], items[slot - 1], *items[slot + 1 :]]
        return items

    sets = [relevant for _, relevant in users]
    before = RankedLists.from_lists([items for items, _ in users], sets, width=SLOTS)
    after = RankedLists.from_lists([bubble(items, rel) for items, rel in users], sets, width=SLOTS)
    for name in NAMES:
        metric = parse(f"{name}@{k}")
        gained = metric(Evidence(lists=after)).per_user - metric(Evidence(lists=before)).per_user
        assert (np.nan_to_num(gained) >= -1e-12).all(), name
