"""The item kernels against their twins, and both against counting by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native.item_neighbors import (
    item_neighbors,
    item_neighbors_numpy,
    score_from_neighbors,
    score_from_neighbors_numpy,
    update_item_neighbors,
    update_item_neighbors_numpy,
)
from tastemaker._native.neighbors import Csr


def baskets(seed: int, users: int, items: int, filled: float, weighted: bool = False) -> Csr:
    """Who has what: popular items first in code, rows in random order."""
    rng = np.random.default_rng(seed)
    chance = filled * items / np.arange(1, items + 1) ** 0.8 / np.sum(1 / np.arange(1, items + 1) ** 0.8)
    rows = [rng.permutation(np.flatnonzero(rng.random(items) < chance)) for _ in range(users)]
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    indices = np.concatenate([*rows, []]).astype(np.int32)
    values = rng.normal(size=len(indices)) if weighted else np.ones(len(indices))
    return Csr(indptr, indices, values.astype(np.float32))


def counts(rows: Csr, items: int) -> np.ndarray:
    return np.bincount(rows.indices, minlength=items).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["product", "jaccard"]),
    st.integers(1, 4),
    st.integers(1, 30),
    st.floats(0.01, 0.6),
)
def test_neighbors_from_counts_equal_the_twin_exactly(seed, measure, min_support, neighbors, filled):
    rows = baskets(seed, 40, 25, filled)
    scales = counts(rows, 25)
    if measure == "product":
        scales = (1 / np.sqrt(np.maximum(scales, 1))).astype(np.float32)
    options = {"measure": measure, "min_support": min_support}
    codes, similarities = item_neighbors(rows, scales, neighbors, **options)
    expected_codes, expected = item_neighbors_numpy(rows, scales, neighbors, **options)
    np.testing.assert_array_equal(codes, expected_codes)
    np.testing.assert_array_equal(similarities, expected)


@pytest.mark.parametrize("min_support", [1, 3])
@pytest.mark.parametrize("filled", [0.02, 0.3])
def test_neighbors_from_values_equal_the_twin(min_support, filled):
    rows = baskets(5, 300, 200, filled, weighted=True)
    scales = np.random.default_rng(0).random(200).astype(np.float32)
    codes, similarities = item_neighbors(rows, scales, 20, min_support=min_support)
    expected_codes, expected = item_neighbors_numpy(rows, scales, 20, min_support=min_support)
    np.testing.assert_allclose(similarities, expected, rtol=1e-4, atol=1e-6)
    assert (codes == expected_codes).mean() > 0.999  # sums in another order may swap two all but equal ones
    assert (similarities > 0).sum() > 100


def test_a_catalogue_of_rare_items_takes_the_short_way_and_means_the_same():
    rows = baskets(7, 60, 3000, 0.002)
    scales = np.ones(3000, np.float32)
    for got, expected in zip(
        item_neighbors(rows, scales, 5), item_neighbors_numpy(rows, scales, 5), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


def test_three_baskets_by_hand():
    # {bread, butter}, {bread, butter, jam}, {bread}: 0 bread, 1 butter, 2 jam, 3 never bought
    rows = Csr(np.array([0, 2, 5, 6]), np.array([0, 1, 1, 2, 0, 0], np.int32), np.ones(6, np.float32))
    codes, similarities = item_neighbors(rows, np.array([3, 2, 1, 0], np.float32), 3, measure="jaccard")
    assert codes.tolist() == [[1, 2, -1], [0, 2, -1], [1, 0, -1], [-1, -1, -1]]
    np.testing.assert_allclose(
        similarities, [[2 / 3, 1 / 3, 0], [2 / 3, 1 / 2, 0], [1 / 2, 1 / 3, 0], [0, 0, 0]], rtol=1e-6
    )
    codes, _ = item_neighbors(rows, np.ones(4, np.float32), 3, min_support=2)
    assert codes.tolist() == [[1, -1, -1], [0, -1, -1], [-1, -1, -1], [-1, -1, -1]]


def test_equal_similarities_stand_in_the_order_of_item_codes():
    rows = Csr(np.array([0, 6]), np.array([5, 3, 1, 0, 2, 4], np.int32), np.ones(6, np.float32))
    codes, _ = item_neighbors(rows, np.ones(6, np.float32), 3)
    assert codes.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]


def test_a_sum_of_0_and_a_negative_one_make_no_neighbors():
    rows = Csr(
        np.array([0, 3, 6]),
        np.array([0, 1, 2, 0, 1, 2], np.int32),
        np.array([1, 1, -1, 1, -1, -1], np.float32),
    )
    codes, similarities = item_neighbors(rows, np.ones(3, np.float32), 2)
    assert (codes == -1).all()
    assert (similarities == 0).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_the_bits_are_the_same_for_any_thread_count(weighted):
    rows = baskets(11, 500, 300, 0.1, weighted)
    scales = np.random.default_rng(1).random(300).astype(np.float32)
    before = _native.threads()
    try:
        results = []
        for count in (1, 2, 3):
            _native.set_threads(count)
            results.append(
                (
                    *item_neighbors(rows, scales, 10),
                    score_from_neighbors(rows, *item_neighbors(rows, scales, 10)),
                )
            )
    finally:
        _native.set_threads(before)
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.5))
def test_scores_equal_the_twin_and_a_query_alone(seed, filled):
    rows = baskets(seed, 30, 20, filled, weighted=True)
    neighbors = item_neighbors(baskets(seed + 1, 50, 20, 0.2), np.ones(20, np.float32), 6)
    scores = score_from_neighbors(rows, *neighbors)
    np.testing.assert_allclose(scores, score_from_neighbors_numpy(rows, *neighbors), rtol=1e-5, atol=1e-6)
    for q in range(30):
        row = slice(*rows.indptr[q : q + 2])
        alone = Csr(np.array([0, row.stop - row.start]), rows.indices[row], rows.values[row])
        np.testing.assert_array_equal(score_from_neighbors(alone, *neighbors)[0], scores[q])


def test_a_score_is_the_sum_over_the_history_and_nan_without_overlap():
    codes = np.array([[1, 2], [0, -1], [0, -1], [-1, -1]], np.int32)
    similarities = np.array([[0.5, 0.25], [0.5, 0], [0.25, 0], [0, 0]], np.float32)
    queries = Csr(np.array([0, 2, 2]), np.array([1, 2], np.int32), np.array([2.0, 4.0], np.float32))
    np.testing.assert_array_equal(
        score_from_neighbors(queries, codes, similarities), [[2, np.nan, np.nan, np.nan], [np.nan] * 4]
    )


def columns(rows: Csr, which: np.ndarray) -> Csr:
    """The users of some items, ascending."""
    user = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    at = [np.flatnonzero(rows.indices == item) for item in which]
    indptr = np.concatenate([[0], np.cumsum([len(a) for a in at])]).astype(np.int64)
    entries = np.concatenate([*at, []]).astype(np.int64)
    return Csr(indptr, user[entries].astype(np.int32), rows.values[entries])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["product", "jaccard"]),
    st.integers(1, 3),
    st.integers(1, 30),
    st.floats(0.01, 0.6),
    st.sets(st.integers(0, 24)),
    st.integers(1, 25),
)
def test_moved_items_equal_the_twin(seed, measure, min_support, neighbors, filled, which, known):
    """Lists of some other users for the first items, then those of the moved items anew, longer or shorter."""
    rows, moved = baskets(seed, 40, 25, filled), np.array(sorted(which), np.int32)
    scales = counts(rows, 25)
    if measure == "product":
        scales = (1 / np.sqrt(np.maximum(scales, 1))).astype(np.float32)
    old = item_neighbors(baskets(seed + 1, 40, known, filled), np.ones(known, np.float32), 7)
    options = {"measure": measure, "min_support": min_support}
    given = old, rows, columns(rows, moved), moved, scales, neighbors
    codes, similarities = update_item_neighbors(*given, **options)
    expected_codes, expected = update_item_neighbors_numpy(*given, **options)
    np.testing.assert_array_equal(codes, expected_codes)
    np.testing.assert_array_equal(similarities, expected)


def test_when_all_items_move_the_neighbors_are_those_of_a_fit():
    rows, everything = baskets(2, 400, 300, 0.05), np.arange(300, dtype=np.int32)
    scales = (1 / np.sqrt(np.maximum(counts(rows, 300), 1))).astype(np.float32)
    old = np.full((300, 20), -1, np.int32), np.zeros((300, 20), np.float32)
    found = update_item_neighbors(old, rows, columns(rows, everything), everything, scales, 20)
    for one, other in zip(found, item_neighbors(rows, scales, 20), strict=True):
        np.testing.assert_array_equal(one, other)
