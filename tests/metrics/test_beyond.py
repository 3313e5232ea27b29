"""What lists do beside being right, against plain loops and worked numbers."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import oracle
from tastemaker.metrics import Evidence, RankedLists, parse
from tastemaker.metrics.beyond import BLOCK, diversity_at_k, gini_at_k, popularity_lift_at_k

N_ITEMS = 12
SLOTS = 5
VECTORS = np.random.default_rng(2).normal(size=(N_ITEMS, 3)) * (np.arange(N_ITEMS) != 4)[:, None]
POPULARITY = np.array([9, 7, 7, 5, 3, 2, 2, 1, 1, 1, 0, 0], dtype=np.float64)

lists_strategy = st.lists(
    st.lists(st.integers(0, N_ITEMS - 1), max_size=SLOTS, unique=True), min_size=1, max_size=6
)


def ranked(lists: list[list[int]], relevant: list[set[int]] | None = None) -> RankedLists:
    return RankedLists.from_lists(lists, relevant or [set() for _ in lists], width=SLOTS)


@settings(max_examples=60, deadline=None)
@given(lists=lists_strategy, k=st.integers(1, SLOTS))
def test_coverage_gini_and_novelty_agree_with_the_definition(lists: list[list[int]], k: int) -> None:
    evidence = Evidence(lists=ranked(lists), n_items=N_ITEMS, popularity=POPULARITY, n_training_users=10)
    shown = [item for items in lists for item in items[:k]]
    counts = [shown.count(item) for item in range(N_ITEMS)]
    assert parse(f"coverage@{k}")(evidence).value == pytest.approx(len(set(shown)) / N_ITEMS, abs=1e-9)
    expected = oracle.gini(counts) if shown else math.nan
    assert parse(f"gini@{k}")(evidence).value == pytest.approx(expected, abs=1e-9, nan_ok=True)
    novelty = [
        sum(-math.log2(max(POPULARITY[item], 1) / 10) for item in items[:k]) / len(items[:k])
        if items
        else math.nan
        for items in lists
    ]
    np.testing.assert_allclose(parse(f"novelty@{k}")(evidence).per_user, novelty, rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(lists=lists_strategy, k=st.integers(1, SLOTS))
def test_diversity_agrees_with_the_definition_dense_and_sparse(lists: list[list[int]], k: int) -> None:
    expected = [oracle.diversity(items, VECTORS, k) if len(items[:k]) > 1 else math.nan for items in lists]
    for vectors in (VECTORS, sp.csr_array(VECTORS)):
        measured = parse(f"diversity@{k}")(Evidence(lists=ranked(lists), vectors=vectors)).per_user
        np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-9)


def test_diversity_is_the_same_across_blocks() -> None:
    rng = np.random.default_rng(0)
    lists = [rng.permutation(N_ITEMS)[:SLOTS].tolist() for _ in range(BLOCK + 3)]
    measured = diversity_at_k(ranked(lists), SLOTS, VECTORS)
    for row in (0, BLOCK - 1, BLOCK, BLOCK + 2):
        assert measured[row] == pytest.approx(oracle.diversity(lists[row], VECTORS, SLOTS), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(lists=lists_strategy, k=st.integers(1, SLOTS), seed=st.integers(0, 99))
def test_serendipity_agrees_with_the_definition(lists: list[list[int]], k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sets = [set(rng.permutation(N_ITEMS)[: rng.integers(0, 6)].tolist()) for _ in lists]
    own = np.array([rng.permutation(N_ITEMS)[:SLOTS] for _ in lists], dtype=np.int32)
    for baseline in (own, own[:1]):
        rows = np.broadcast_to(baseline, own.shape).tolist()
        expected = [
            oracle.serendipity(items, rel, row, k) if rel else math.nan
            for items, rel, row in zip(lists, sets, rows, strict=True)
        ]
        evidence = Evidence(lists=ranked(lists, sets), baseline=baseline)
        np.testing.assert_allclose(parse(f"serendipity@{k}")(evidence).per_user, expected, rtol=0, atol=1e-9)


def test_the_popular_list_itself_is_never_serendipitous() -> None:
    lists = ranked([[0, 1, 2, 3, 4]], [{0, 1, 2}])
    baseline = np.array([[0, 1, 2, 3, 4]], dtype=np.int32)
    assert parse("serendipity@5")(Evidence(lists=lists, baseline=baseline)).value == 0.0


def test_popularity_lift_by_hand() -> None:
    # Shown: (9 + 7)/2 = 8 and 5; chosen before: 4 and 1. (8 + 5) / (4 + 1) = 2.6. The third has no history, the fourth no list.
    lists = ranked([[0, 1], [3], [0], []])
    lift = popularity_lift_at_k(lists, SLOTS, POPULARITY, [4.0, 1.0, math.nan, 2.0])
    assert lift.value == pytest.approx(2.6)
    assert lift.n_users == 2
    assert lift.n_left_out == 2
    np.testing.assert_allclose(lift.per_user, [2.0, 5.0, math.nan, math.nan])


def test_gini_of_an_even_and_of_a_single_item() -> None:
    assert gini_at_k(ranked([[item] for item in range(N_ITEMS)]), 1, N_ITEMS) == pytest.approx(0.0)
    assert gini_at_k(ranked([[3], [3], [3]]), 1, N_ITEMS) == pytest.approx((N_ITEMS - 1) / N_ITEMS)


def test_an_item_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="holds item 11, but n_items is 5"):
        parse("coverage@1")(Evidence(lists=ranked([[11]]), n_items=5))
    with pytest.raises(ValueError, match="one value for each item"):
        parse("novelty@1")(Evidence(lists=ranked([[11]]), popularity=POPULARITY[:5], n_training_users=3))
    with pytest.raises(ValueError, match="baseline must be"):
        parse("serendipity@3")(Evidence(lists=ranked([[1]]), baseline=np.zeros((1, 2), dtype=np.int32)))
