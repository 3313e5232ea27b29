"""The native top-k against its twin, which sorts everything: on random input with ties, and on what must never come out."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.topk import (
    REMOVED,
    Rows,
    TopK,
    sorted_rows,
    top_k,
    top_k_dot,
    top_k_dot_numpy,
    top_k_numpy,
)


def rows_of(*lists: list[int]) -> Rows:
    return Rows(
        np.cumsum([0, *map(len, lists)], dtype=np.int64),
        np.array([code for row in lists for code in row], np.int32),
    )


def random_rows(rng: np.random.Generator, queries: int, items: int, most: int) -> Rows:
    """Unsorted lists, with repeats and codes outside the catalogue."""
    return rows_of(*(rng.integers(-1, items + 2, rng.integers(0, most + 1)).tolist() for _ in range(queries)))


def assert_equal(got: TopK, expected: TopK) -> None:
    for name, mine, theirs in zip(TopK._fields, got, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.random.Generator, int, int, int, dict]:
    """Sizes around the kernel's tile, and any combination of rules."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    queries = draw(st.integers(1, 20))
    items = draw(st.sampled_from([1, 2, 7, 47, 48, 49, 130, 300]))
    k = draw(st.integers(1, items + 5))
    most = draw(st.sampled_from([3, items, 3 * items]))
    rules: dict = {}
    for name in ("seen", "deny", "allow"):
        if draw(st.booleans()):
            rules[name] = random_rows(rng, draw(st.sampled_from([1, queries])), items, most)
    if draw(st.booleans()):
        rules["mask"] = rng.random(items) < draw(st.sampled_from([0.0, 0.05, 0.6, 1.0]))
    return rng, queries, items, k, rules


@settings(max_examples=300, deadline=None)
@given(cases())
def test_lists_of_scores_are_those_of_a_full_sort(case):
    rng, queries, items, k, rules = case
    scores = rng.integers(-3, 4, (queries, items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    scores[rng.random(scores.shape) < 0.1] = -np.inf
    scores[rng.random(scores.shape) < 0.02] = np.inf
    assert_equal(top_k(scores, k, **rules), top_k_numpy(scores, k, **rules))


@settings(max_examples=300, deadline=None)
@given(cases(), st.integers(0, 9), st.booleans())
def test_lists_of_factors_are_those_of_a_full_sort(case, factors, biased):
    rng, queries, items, k, rules = case
    vectors = rng.integers(-2, 3, (items, factors)).astype(np.float32)
    bias = rng.integers(-2, 3, items).astype(np.float32) if biased else None
    if factors:
        vectors[rng.random(items) < 0.1] = np.nan
    packed = PackedItems(vectors, bias)
    asked = rng.integers(-2, 3, (queries, factors)).astype(np.float32)
    assert_equal(top_k_dot(asked, packed, k, **rules), top_k_dot_numpy(asked, packed, k, **rules))


@pytest.mark.parametrize("rules", ["none", "all queries", "own lists", "selective"])
def test_a_query_has_the_same_list_and_the_same_bits_alone_and_in_a_batch(rules):
    rng = np.random.default_rng(5)
    items = rng.normal(size=(500, 31)).astype(np.float32)
    queries = rng.normal(size=(300, 31)).astype(np.float32)
    chosen = {
        "none": lambda q: {},
        "all queries": lambda q: {"allow": rows_of(list(range(0, 500, 3)))},
        "own lists": lambda q: {"allow": rows_of(*([list(range(i % 7, 500, 2)) for i in q]))},
        "selective": lambda q: {"mask": np.arange(500) % 50 == 1},
    }[rules]
    packed = PackedItems(items)
    whole = top_k_dot(queries, packed, 12, **chosen(range(300)))
    by_scores = top_k(dot_scores(queries, packed), 12, **chosen(range(300)))
    assert_equal(whole, by_scores)
    for q in range(0, 300, 7):
        alone = top_k_dot(queries[q : q + 1], packed, 12, **chosen([q]))
        assert_equal(alone, TopK(*(part[q : q + 1] for part in whole)))


def test_equal_scores_are_ordered_by_item_code():
    scores = np.array([[0.0, 1, -0.0, 1, 0, 1]], np.float32)
    assert top_k(scores, 5).items.tolist() == [[1, 3, 5, 0, 2]]


def test_infinite_scores():
    scores = np.array([[-np.inf, 1, np.inf, np.nan, np.inf]], np.float32)
    lists = top_k(scores, 4)
    assert lists.items.tolist() == [[2, 4, 1, -1]]
    assert dict(zip(REMOVED, lists.removed[0], strict=True))["unscored"] == 2


def test_what_was_removed_counts_every_item_once():
    scores = np.array([[9, 8, 7, 6, 5, 4, np.nan]], np.float32)
    mask = np.array([0, 1, 1, 0, 1, 1, 1], bool)
    lists = top_k(
        scores, 3, seen=rows_of([0, 1, 0]), deny=rows_of([1, 2]), allow=rows_of([0, 3, 4, 6]), mask=mask
    )
    assert lists.items.tolist() == [[4, -1, -1]]
    assert np.isnan(lists.scores[0, 1:]).all()
    counted = dict(zip(REMOVED, lists.removed[0].tolist(), strict=True))
    assert counted == {"seen": 2, "denied": 1, "not allowed": 1, "filtered": 1, "unscored": 1, "capped": 0}


def test_a_list_that_is_full_counts_nothing():
    assert not top_k(np.ones((2, 5), np.float32), 5, seen=rows_of([], [])).removed.any()


def test_no_queries_and_no_items():
    assert top_k(np.empty((0, 4), np.float32), 3).items.shape == (0, 3)
    lists = top_k_dot(np.ones((2, 3), np.float32), np.empty((0, 3), np.float32), 2, mask=np.empty(0, bool))
    assert lists.items.tolist() == [[-1, -1], [-1, -1]]
    assert lists.counts.tolist() == [0, 0]


def test_sorting_leaves_the_callers_lists_alone():
    rows = rows_of([3, 1, 2], [], [9, 9, 0])
    assert sorted_rows(rows).indices.tolist() == [1, 2, 3, 0, 9, 9]
    assert rows.indices.tolist() == [3, 1, 2, 9, 9, 0]
    again = sorted_rows(sorted_rows(rows))
    assert again.indices.tolist() == [1, 2, 3, 0, 9, 9]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"mask": np.ones(3, bool)}, "mask must be 4 booleans"),
        ({"mask": np.ones(4)}, "mask must be 4 booleans"),
        ({"seen": rows_of([1], [2], [3])}, "seen must have one list or one for each of the 2 queries, got 3"),
        ({"deny": Rows(np.array([0, 5, 2]), np.array([1, 2], np.int32))}, "deny: indptr must rise"),
        ({"allow": Rows(np.array([0, 1, 3]), np.array([1, 2], np.int32))}, "allow: indptr must rise"),
    ],
)
def test_arguments_that_do_not_fit(change, message):
    arguments = {"k": 2, **change}
    with pytest.raises(ValueError, match=message):
        top_k(np.ones((2, 4), np.float32), **arguments)
    with pytest.raises(ValueError, match=message):
        top_k_dot(np.ones((2, 3), np.float32), np.ones((4, 3), np.float32), **arguments)


LITTLE_MEMORY = """
import resource
import numpy as np
from tastemaker._native.topk import top_k_dot

queries, items = np.ones((20_000, 2), np.float32), np.ones((27_000, 2), np.float32)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
limit = used + (512 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(top_k_dot(queries, items, 3).items.tolist() == [[0, 1, 2]] * 20_000)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits address space, as Linux does")
def test_scores_of_factors_are_never_all_held_in_memory():
    """The scores would take 2.1 GB; the process may take 512 MB more than it has before the call."""
    run = subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY],
        capture_output=True,
        text=True,
        env={**os.environ, "TASTEMAKER_THREADS": "2"},
    )
    assert run.stdout.strip() == "True", run.stderr
