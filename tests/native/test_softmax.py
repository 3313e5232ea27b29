"""The output layer with its loss and gradients against its twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native import softmax as native


def example(rows: int, items: int, factors: int, spread: float, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    hidden = (rng.normal(size=(rows, factors)) * spread).astype(np.float32)
    return hidden, rng.normal(size=(items, factors)).astype(np.float32), rng.integers(0, items, rows)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 70),
    st.integers(1, 40),
    st.sampled_from([0.1, 2.0, 100.0]),
    st.integers(0, 2**32 - 1),
)
def test_losses_and_gradients_are_those_of_the_twin(rows, items, factors, spread, seed):
    given_arrays = example(rows, items, factors, spread, seed)
    expected = native.softmax_layer_numpy(*given_arrays)
    for ours, theirs in zip(native.softmax_layer(*given_arrays), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3 * max(1.0, spread))


def test_many_rows_in_shards_have_the_same_bits_with_any_threads():
    arrays = example(2000, 100, 7, 1.0, 1)
    expected = native.softmax_layer_numpy(*arrays)
    before = _native.threads()
    try:
        found = []
        for threads in (1, 2, 5):
            _native.set_threads(threads)
            found.append(native.softmax_layer(*arrays))
    finally:
        _native.set_threads(before)
    for part, theirs in enumerate(expected):
        np.testing.assert_allclose(found[0][part], theirs, atol=1e-4)
        assert len({one[part].tobytes() for one in found}) == 1


def test_no_logit_is_too_large():
    hidden, items = np.array([[1000.0], [1000.0]], np.float32), np.array([[1.0], [-1.0]], np.float32)
    losses, of_hidden, _ = native.softmax_layer(hidden, items, np.array([0, 1]))
    assert losses.tolist() == pytest.approx([0.0, 2000.0])
    assert of_hidden.ravel().tolist() == pytest.approx([0.0, 2.0])
