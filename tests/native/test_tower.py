"""Dense layers with ReLU and dropout, forth and back, against their twins."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native.tower import tower_backward, tower_backward_numpy, tower_forward, tower_forward_numpy

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=4)


def drawn(n: int, sizes: list[int], seed: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Examples, weights and biases."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(o, i)) / np.sqrt(i) for i, o in pairwise(sizes)]
    biases = [rng.normal(size=o) for o in sizes[1:]]
    x = rng.normal(size=(n, sizes[0])).astype(np.float32)
    return x, [w.astype(np.float32) for w in weights], [b.astype(np.float32) for b in biases]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), SIZES, st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.integers(0, 2**32 - 1))
def test_layers_and_their_gradients(n, sizes, rate, seed):
    x, weights, biases = drawn(n, sizes, seed)
    keys = np.random.default_rng(seed).integers(0, 1 << 32, len(biases), dtype=np.uint32)
    hidden = tower_forward(x, weights, biases, rate, keys)
    for found, expected in zip(hidden, tower_forward_numpy(x, weights, biases, rate, keys), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 / (1 - rate) ** 3)
    gradient = np.random.default_rng(seed).normal(size=hidden[-1].shape).astype(np.float32)
    of_x, of_weights, of_biases = tower_backward(x, weights, hidden, gradient, rate)
    expected = tower_backward_numpy(x, weights, hidden, gradient, rate)
    pairs = zip(
        [of_x, *of_weights, *of_biases], [expected.x, *expected.weights, *expected.biases], strict=True
    )
    for found, other in pairs:
        np.testing.assert_allclose(found, other, rtol=1e-3, atol=1e-3 / (1 - rate) ** 3)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    x, weights, biases = drawn(3000, [20, 30, 17], seed=0)
    keys, before = np.array([1, 2], np.uint32), _native.threads()
    found = []
    try:
        for threads in (1, 2, 5):
            _native.set_threads(threads)
            hidden = tower_forward(x, weights, biases, 0.3, keys)
            back = tower_backward(x, weights, hidden, np.ones_like(hidden[-1]), 0.3)
            found.append([a.tobytes() for a in (*hidden, back.x, *back.weights, *back.biases)])
    finally:
        _native.set_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(rate):
    x, nothing = (
        np.random.default_rng(0).normal(size=(1000, 100)).astype(np.float32),
        np.zeros(100, np.float32),
    )
    (found,) = tower_forward(x, [np.eye(100, dtype=np.float32)], [nothing], rate, np.array([123], np.uint32))
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(x > 0))
    assert (found[x > 0] == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(found[found > 0], x[found > 0] / (1 - rate), rtol=1e-6)


def test_keys_drop_apart():
    """Two keys, and neighbours under one key, agree as often as chance has it."""
    ones, one, nothing = (
        np.ones((1000, 100), np.float32),
        np.eye(100, dtype=np.float32),
        np.zeros(100, np.float32),
    )
    kept = []
    for key in (0, 1, 2**32 - 1):
        (found,) = tower_forward(ones, [one], [nothing], 0.5, np.array([key], np.uint32))
        kept.append(found.ravel() > 0)
    for first, other in ((kept[0], kept[1]), (kept[0], kept[2]), (kept[0][1:], kept[0][:-1])):
        assert (first == other).mean() == pytest.approx(0.5, abs=0.01)


def test_what_is_no_number_stays():
    weight = np.full((100, 1), np.nan, np.float32)
    (found,) = tower_forward(
        np.ones((10, 1), np.float32), [weight], [np.zeros(100, np.float32)], 0.5, np.zeros(1, np.uint32)
    )
    assert 400 < np.isnan(found).sum() < 600
