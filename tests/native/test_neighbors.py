"""The user kernels against their twins, and both against the formulas written out for one pair at a time."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native.neighbors import (
    Csr,
    predict_from_neighbors,
    predict_from_neighbors_numpy,
    row_moments,
    user_similarities,
    user_similarities_numpy,
)

SIMILARITIES = ("cosine", "pearson", "jaccard")
CASES = list(itertools.product(SIMILARITIES, ("all", "common"), (1, 3)))


def rows_of(matrix: np.ndarray) -> Csr:
    """NaN is a blank."""
    row, column = np.nonzero(~np.isnan(matrix))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(matrix)))])
    return Csr(indptr.astype(np.int64), column.astype(np.int32), matrix[row, column].astype(np.float32))


def ratings(seed: int, users: int = 30, items: int = 20, filled: float = 0.35) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 6, (users, items)).astype(float)
    values[rng.random((users, items)) > filled] = np.nan
    values[3] = np.nan  # a user who rated nothing
    values[5, ~np.isnan(values[5])] = 4  # and one who rates all alike
    return values


def space(matrix: np.ndarray) -> tuple[Csr, Csr, np.ndarray]:
    users = rows_of(matrix)
    return users, rows_of(matrix.T), row_moments(users)


def formula(x: np.ndarray, y: np.ndarray, similarity: str, over: str, min_support: int) -> float:
    both = ~np.isnan(x) & ~np.isnan(y)
    if both.sum() < min_support:
        return 0.0
    if similarity == "jaccard":
        return float(both.sum() / (~np.isnan(x) | ~np.isnan(y)).sum())
    x, y = (x[both], y[both]) if over == "common" else (np.nan_to_num(x), np.nan_to_num(y))
    if similarity == "pearson":
        x, y = x - x.mean(), y - y.mean()
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norms) if norms > 1e-9 else 0.0


@pytest.mark.parametrize(("similarity", "over", "min_support"), CASES)
def test_similarities_are_the_formula(similarity, over, min_support):
    matrix = ratings(1)
    users, raters, moments = space(matrix)
    expected = [[formula(x, y, similarity, over, min_support) for y in matrix] for x in matrix]
    options = {"similarity": similarity, "over": over, "min_support": min_support}
    np.testing.assert_allclose(user_similarities(users, raters, moments, **options), expected, atol=1e-12)
    np.testing.assert_allclose(
        user_similarities_numpy(users, raters, moments, **options), expected, atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CASES), st.floats(0.05, 1.0))
def test_similarities_of_whole_numbers_equal_the_twin_exactly(seed, case, filled):
    users, raters, moments = space(ratings(seed, 12, 9, filled))
    options = dict(zip(("similarity", "over", "min_support"), case, strict=True))
    np.testing.assert_array_equal(
        user_similarities(users, raters, moments, **options),
        user_similarities_numpy(users, raters, moments, **options),
    )


def test_a_constant_vector_correlates_with_nothing_whatever_the_rounding():
    users, raters, moments = space(np.array([[3.3] * 7, [0.1, 0.7, 0.3, 0.9, 0.2, 0.6, 0.4]]))
    similarities = user_similarities(users, raters, moments, similarity="pearson", over="common")
    np.testing.assert_allclose(similarities, [[0, 0], [0, 1]], atol=1e-12)


@pytest.mark.parametrize(("similarity", "over", "min_support"), CASES)
@pytest.mark.parametrize("aggregation", ["mean", "weighted", "centred", "sum"])
@pytest.mark.parametrize("neighbors", [1, 4, 100])
def test_predictions_equal_the_twin(similarity, over, min_support, aggregation, neighbors):
    users, raters, moments = space(ratings(2))
    who = np.arange(30, dtype=np.int32)
    options = {
        "neighbors": neighbors,
        "aggregation": aggregation,
        "similarity": similarity,
        "over": over,
        "min_support": min_support,
    }
    expected = predict_from_neighbors_numpy(users, who, raters, moments, **options)
    np.testing.assert_allclose(
        predict_from_neighbors(users, who, raters, moments, **options), expected, rtol=1e-6
    )
    indptr, items = np.arange(0, 61, 2), np.random.default_rng(0).integers(0, 20, 60).astype(np.int32)
    chosen = predict_from_neighbors(users, who, raters, moments, (indptr, items), **options)
    np.testing.assert_array_equal(
        chosen, predict_from_neighbors(users, who, raters, moments, **options)[who.repeat(2), items]
    )


def test_a_prediction_is_what_the_nearest_raters_say():
    matrix = np.array([[5.0, 1.0, np.nan], [5.0, 1.0, 4.0], [5.0, 3.0, 1.0], [np.nan, 5.0, 2.0]])
    users, raters, moments = space(matrix)
    who = np.arange(4, dtype=np.int32)
    similar = [formula(matrix[0], row, "cosine", "common", 1) for row in matrix]
    assert similar[1] > similar[2] > 0
    one, two = (
        predict_from_neighbors(users, who, raters, moments, neighbors=n, over="common") for n in (1, 2)
    )
    assert one[0, 2] in (
        4,
        2,
    )  # user 1 and user 3 (one common item) are both at similarity 1: the first row wins
    assert one[0, 2] == 4
    assert two[0, 2] == 3
    everyone = predict_from_neighbors(users, who, raters, moments, neighbors=9, over="common")
    assert everyone[0, 2] == pytest.approx((4 + 2 + similar[2]) / (2 + similar[2]), abs=1e-6)


def test_nobody_is_their_own_neighbor_and_without_neighbors_there_is_no_prediction():
    users, raters, moments = space(np.array([[5.0, 3.0], [np.nan, 1.0]]))
    own = predict_from_neighbors(users, np.array([0, 1], np.int32), raters, moments, neighbors=5)
    np.testing.assert_array_equal(own, [[np.nan, 1], [5, 3]])
    stranger = predict_from_neighbors(users, np.array([-1, -1], np.int32), raters, moments, neighbors=1)
    np.testing.assert_array_equal(stranger, [[5, 3], [5, 1]])


@pytest.mark.parametrize("over", ["all", "common"])
def test_the_bits_are_the_same_alone_in_a_batch_and_for_any_thread_count(over):
    matrix = ratings(3) * 0.37
    users, raters, moments = space(matrix)
    who = np.arange(30, dtype=np.int32)
    options = {"neighbors": 5, "aggregation": "centred", "similarity": "pearson", "over": over}
    before = _native.threads()
    try:
        results = []
        for count in (1, 2, 3):
            _native.set_threads(count)
            results.append(predict_from_neighbors(users, who, raters, moments, **options))
    finally:
        _native.set_threads(before)
    alone = [
        predict_from_neighbors(rows_of(matrix[u : u + 1]), who[u : u + 1], raters, moments, **options)
        for u in who
    ]
    for other in (results[1], results[2], np.concatenate(alone)):
        np.testing.assert_array_equal(results[0], other)
