"""Caps and diversity against a greedy choice written down plainly, from the whole ranking."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native.topk import REMOVED, TopK, top_k
from tastemaker.ranking.rerank import Cap, Diversity, rerank


def retriever(scores: np.ndarray, depths: list[int] | None = None, **rules: np.ndarray):
    def retrieve(rows: np.ndarray, depth: int) -> TopK:
        if depths is not None:
            depths.append(depth)
        return top_k(scores[rows], depth, **rules)

    return retrieve


def greedy_under_caps(
    scores: np.ndarray, k: int, columns: list[list[list[int]]], limits: list[int]
) -> list[int]:
    """Walk down the whole ranking and take what no cap forbids."""
    chosen: list[int] = []
    for item in np.argsort(-scores, kind="stable"):
        full = any(
            sum(label in labels[other] for other in chosen) >= limit
            for labels, limit in zip(columns, limits, strict=True)
            for label in labels[item]
        )
        if not full and len(chosen) < k:
            chosen.append(int(item))
    return chosen


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(1, 400), st.integers(1, 3), st.integers(1, 12))
def test_caps_give_the_greedy_choice_from_the_whole_ranking(seed, labels, items, limit, k):
    rng = np.random.default_rng(seed)
    genres = [sorted(set(rng.integers(0, labels, rng.integers(0, 3)).tolist())) for _ in range(items)]
    studio = [[int(s)] if s else [] for s in rng.integers(0, 6, items)]
    caps = [
        Cap.from_column(pl.Series("genre", genres, dtype=pl.List(pl.Int64)), limit),
        Cap.from_column(pl.Series("studio", [s[0] if s else None for s in studio], dtype=pl.Int64), 2),
    ]
    scores = rng.integers(0, 9, (3, items)).astype(np.float32)
    lists = rerank(retriever(scores), 3, k, caps=caps)
    for q in range(3):
        expected = greedy_under_caps(scores[q], k, [genres, studio], [limit, 2])
        assert lists.items[q, : lists.counts[q]].tolist() == expected
        np.testing.assert_array_equal(lists.scores[q, : lists.counts[q]], scores[q, expected])
        assert (lists.items[q, lists.counts[q] :] == -1).all()


def test_the_pool_is_deepened_until_the_list_is_full():
    scores = -np.arange(1000, dtype=np.float32)[None]
    genre = pl.Series("genre", ["common"] * 950 + ["rare"] * 50)
    depths: list[int] = []
    lists = rerank(retriever(scores, depths), 1, 4, caps=[Cap.from_column(genre, 2)])
    assert lists.items.tolist() == [[0, 1, 950, 951]]
    assert depths == [100, 200, 400, 800, 1600]


def test_a_list_cut_short_by_caps_says_so():
    scores = np.array([[5, 4, 3, np.nan, 1]], np.float32)
    mask = np.array([1, 1, 1, 1, 0], bool)
    lists = rerank(
        retriever(scores, mask=mask), 1, 3, caps=[Cap.from_column(pl.Series(["a", "a", "b", "b", "c"]), 1)]
    )
    assert lists.items.tolist() == [[0, 2, -1]]
    assert dict(zip(REMOVED, lists.removed[0].tolist(), strict=True)) == {
        "seen": 0,
        "denied": 0,
        "not allowed": 0,
        "filtered": 1,
        "unscored": 1,
        "capped": 1,
    }


def mmr(scores: np.ndarray, vectors: np.ndarray, strength: float, k: int) -> list[int]:
    """Maximal marginal relevance over all items, straight from the formula."""
    pool = np.argsort(-scores, kind="stable").tolist()
    low, high = float(scores.min()), float(scores.max())
    chosen: list[int] = []

    def value(item: int) -> float:
        relevance = (float(scores[item]) - low) / (high - low) if high > low else 0.0
        cosines = [
            float(vectors[item] @ vectors[j] / np.linalg.norm(vectors[item]) / np.linalg.norm(vectors[j]))
            for j in chosen
        ]
        return (1 - strength) * relevance - strength * max(cosines, default=0.0)

    while len(chosen) < min(k, len(pool)):
        chosen.append(max((i for i in pool if i not in chosen), key=value))
    return chosen


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.floats(0, 1), st.integers(1, 8))
def test_diversity_is_maximal_marginal_relevance(seed, items, strength, k):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(2, items)).astype(np.float32)
    vectors = rng.normal(size=(items, 5))
    lists = rerank(retriever(scores), 2, k, diversity=Diversity(vectors.astype(np.float32), strength))
    for q in range(2):
        expected = mmr(scores[q], vectors.astype(np.float32).astype(np.float64), strength, k)
        assert lists.items[q, : lists.counts[q]].tolist() == expected


def test_strength_nought_keeps_the_order_and_one_looks_at_variety_alone():
    scores = np.array([[4, 3, 2, 1]], np.float32)
    vectors = np.array([[1, 0], [1, 0.01], [0, 1], [-1, 0]], np.float32)
    orders = {
        strength: rerank(retriever(scores), 1, 3, diversity=Diversity(vectors, strength)).items[0].tolist()
        for strength in (0.0, 1.0)
    }
    assert orders == {0.0: [0, 1, 2], 1.0: [0, 3, 2]}


def test_caps_and_diversity_hold_together():
    scores = np.array([[9, 8, 7, 6, 5]], np.float32)
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 1]], np.float32)
    cap = Cap.from_column(pl.Series(["a", "b", "a", "b", "b"]), 1)
    lists = rerank(retriever(scores), 1, 2, caps=[cap], diversity=Diversity(vectors, 0.9))
    assert lists.items.tolist() == [[0, 3]]


def test_items_without_a_vector_and_infinite_scores_are_taken_as_they_come():
    scores = np.array([[np.inf, 3, 2, 1]], np.float32)
    vectors = np.array([[1, 0], [np.nan, 1], [1, 0], [0, 0]], np.float32)
    lists = rerank(retriever(scores), 1, 4, diversity=Diversity(vectors, 0.5))
    assert lists.items.tolist() == [[0, 1, 3, 2]]


def test_a_query_has_the_same_list_alone_and_in_a_batch():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(40, 500)).astype(np.float32)
    diversity = Diversity(rng.normal(size=(500, 7)).astype(np.float32), 0.4)
    caps = [Cap.from_column(pl.Series(rng.integers(0, 12, 500)), 1)]
    together = rerank(retriever(scores), 40, 10, caps=caps, diversity=diversity)
    for q in (0, 13, 39):
        alone = rerank(retriever(scores[q : q + 1]), 1, 10, caps=caps, diversity=diversity)
        assert alone.items[0].tolist() == together.items[q].tolist()


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_lies_between_0_and_1(strength):
    with pytest.raises(ValueError, match=r"diversify must lie in 0\.\.1"):
        Diversity(np.ones((2, 2), np.float32), strength)


def test_a_cap_lets_at_least_one_through():
    with pytest.raises(ValueError, match="at least 1 item"):
        Cap.from_column(pl.Series(["a"]), 0)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (pl.Series(["b", None, "a", "b"]), [[1], [], [0], [1]]),
        (pl.Series([3, 1, 1]), [[1], [0], [0]]),
        (pl.Series([["x", "x", None], [], None, ["y", "x"]]), [[0], [], [], [1, 0]]),
        (pl.Series([], dtype=pl.String), []),
    ],
)
def test_labels_of_a_column(values, labels):
    rows = Cap.from_column(values, 1).labels
    assert [rows.indices[a:b].tolist() for a, b in zip(rows.indptr, rows.indptr[1:], strict=False)] == labels
