"""Ridge regression: the kernel against its twin and least squares; a query alone or among others."""

from itertools import pairwise

import numpy as np
import pytest

from tastemaker._native.ridge import ridge, ridge_numpy

LENGTHS = [0, 150, 1, 0, 30, 300, 7]


def problem(width: int = 33) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    indptr = np.concatenate(([0], np.cumsum(LENGTHS))).astype(np.int64)
    n = int(indptr[-1])
    return (
        indptr,
        rng.integers(0, 500, n).astype(np.int32),
        rng.normal(size=n).astype(np.float32),
        rng.random(n).astype(np.float32),
        rng.normal(size=(500, width)).astype(np.float32),
    )


@pytest.mark.parametrize("width", [1, 2, 33, 65])
def test_kernel_equals_its_twin(width: int) -> None:
    ours = ridge(*problem(width), regularization=0.05)
    np.testing.assert_allclose(ours, ridge_numpy(*problem(width), regularization=0.05), rtol=1e-5, atol=1e-7)
    assert not ours[[0, 3]].any()  # nothing observed: zeros


def test_solution_is_that_of_least_squares_on_the_augmented_system() -> None:
    indptr, indices, targets, weights, rows = problem()
    at = slice(indptr[4], indptr[5])
    root = np.sqrt(weights[at].astype(np.float64))
    penalty = np.sqrt(0.05 * weights[at].sum(dtype=np.float64)) * np.eye(rows.shape[1])
    left = np.vstack([root[:, None] * rows[indices[at]], penalty])
    right = np.concatenate([root * targets[at], np.zeros(rows.shape[1])])
    expected = np.linalg.lstsq(left, right, rcond=None)[0]
    np.testing.assert_allclose(ridge(*problem(), regularization=0.05)[4], expected, rtol=1e-5, atol=1e-6)


def test_a_query_has_the_same_bits_alone_and_among_others() -> None:
    indptr, indices, targets, weights, rows = problem()
    together = ridge(indptr, indices, targets, weights, rows, 0.05)
    for query, (start, end) in enumerate(pairwise(indptr)):
        at = slice(start, end)
        alone = ridge(np.array([0, end - start]), indices[at], targets[at], weights[at], rows, 0.05)
        assert alone[0].tobytes() == together[query].tobytes()


def test_a_weight_of_two_counts_like_the_observation_given_twice() -> None:
    rows = np.array([[1, 2], [3, -1]], np.float32)
    values = np.array([1.0, 2.0, 2.0], np.float32)
    twice = ridge(np.array([0, 3]), np.array([0, 1, 1], np.int32), values, np.ones(3, np.float32), rows, 0.1)
    weighted = ridge(
        np.array([0, 2]), np.array([0, 1], np.int32), values[:2], np.array([1, 2], np.float32), rows, 0.1
    )
    np.testing.assert_allclose(twice, weighted, rtol=1e-6)
