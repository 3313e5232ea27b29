"""The cross-entropy with its gradient in place, against its twin."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import softmax as native


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([0.1, 5.0, 300.0]), st.integers(0, 2**32 - 1))
def test_losses_and_gradients_are_those_of_the_twin(rows, items, spread, seed):
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(rows, items)) * spread).astype(np.float32)
    targets = rng.integers(0, items, rows)
    expected, by_twin = logits.copy(), native.cross_entropy_numpy
    losses = by_twin(expected, targets)
    np.testing.assert_allclose(native.cross_entropy(logits, targets), losses, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
