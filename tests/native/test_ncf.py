"""The gradients of neural collaborative filtering against the twin, against finite differences and with any threads."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import set_threads, threads
from tastemaker._native.ncf import ncf_gradients, ncf_gradients_numpy

Batch = tuple[np.ndarray, np.ndarray, int, tuple[int, ...], np.ndarray]


def batch(users: int, items: int, factors: int, tower: tuple[int, ...], weighted: bool, seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    half = tower[0] // 2 if tower else 0
    layers = sum(i * o + o for i, o in pairwise(tower))
    count = factors + 1 + (tower[-1] if tower else 0) + layers
    rows = rng.normal(size=(users, 1 + items, factors + half)).astype(np.float32)
    weights = rng.uniform(0.5, 2, users if weighted else 0).astype(np.float32)
    return rows, weights, factors, tower, rng.normal(scale=0.3, size=count).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 6),
    st.integers(0, 20),
    st.sampled_from([(), (2, 1), (6, 5, 3), (40, 17), (64, 32, 16, 8)]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_it_computes_what_its_twin_does(users, items, factors, tower, weighted, seed):
    given_batch = batch(users, items, factors or (0 if tower else 1), tower, weighted, seed)
    loss, *found = ncf_gradients(*given_batch)
    expected, *right = ncf_gradients_numpy(*given_batch)
    assert loss == pytest.approx(expected, rel=1e-4, abs=1e-6)
    for part, truth in zip(found, right, strict=True):
        np.testing.assert_allclose(part, truth, rtol=0, atol=1e-5 * max(1, np.abs(truth).max()))


@pytest.mark.parametrize(("factors", "tower"), [(3, ()), (0, (6, 4)), (3, (6, 4, 2))])
def test_the_twin_s_gradients_are_finite_differences_of_its_loss(factors, tower):
    rows, weights, *_, parameters = batch(3, 2, factors, tower, True, 0)
    rows, parameters = rows.astype(np.float64), parameters.astype(np.float64)

    def loss() -> float:
        return ncf_gradients_numpy(rows, weights, factors, tower, parameters)[0]

    _, by_rows, by_parameters = ncf_gradients_numpy(rows, weights, factors, tower, parameters)
    for values, gradients in ((rows.reshape(-1), by_rows.ravel()), (parameters, by_parameters)):
        for n in range(len(values)):
            values[n] += 1e-5
            above = loss()
            values[n] -= 2e-5
            below = loss()
            values[n] += 1e-5
            assert (above - below) / 2e-5 == pytest.approx(gradients[n], abs=1e-6)


def test_the_bits_are_those_of_one_thread():
    given_batch = batch(1500, 3, 8, (16, 8), False, 1)
    before, answers = threads(), []
    try:
        for count in (1, 2):
            set_threads(count)
            answers.append(ncf_gradients(*given_batch))
    finally:
        set_threads(before)
    (loss, rows, parameters), other = answers
    assert loss == other[0]
    assert np.array_equal(rows, other[1])
    assert np.array_equal(parameters, other[2])


def test_what_does_not_fit_is_refused():
    rows, weights, factors, tower, parameters = batch(2, 2, 3, (6, 4), False, 0)
    with pytest.raises(ValueError, match="do not fit"):
        ncf_gradients(rows, weights, factors, tower, parameters[:-1])
