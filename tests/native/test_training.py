"""Pooled rows, their gradients, and ReLU with dropout, against their twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import training as native

NONE = np.empty(0, np.int64)


def random_bags(rng: np.random.Generator, sides: int, n: int, values: int) -> tuple[np.ndarray, ...]:
    """Rows of a side with up to four values each, examples of them, and a value to leave out of each."""
    lengths = rng.integers(0, 5, sides)
    ids = np.concatenate(
        [
            np.empty(0, np.int64),
            *(np.sort(rng.choice(values, min(k, values), replace=False)) for k in lengths),
        ]
    )
    indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, values))])
    return (
        indptr.astype(np.int64),
        ids.astype(np.int32),
        rng.integers(0, sides, n),
        rng.integers(0, values, n),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(1, 20),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_pooled_rows_and_their_gradient(sides, n, values, width, mean, leave_out, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(values, width)).astype(np.float32)
    indptr, ids, rows, left = random_bags(rng, sides, n, values)
    bags = (indptr, ids, rows, left if leave_out else NONE, mean)
    np.testing.assert_allclose(
        native.pool_rows(table, *bags), native.pool_rows_numpy(table, *bags), atol=1e-5
    )
    gradient = rng.normal(size=(n, width)).astype(np.float32)
    found, expected = table.copy(), table.copy()
    native.spread_rows(gradient, *bags, found)
    native.spread_rows_numpy(gradient, *bags, expected)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    native.add_rows(gradient, left, found)
    native.add_rows_numpy(gradient, left, expected)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_relu_with_dropout(rate):
    x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    found, expected = x.copy(), x.copy()
    native.relu_dropout(found, 123, rate)
    native.relu_dropout_numpy(expected, 123, rate)
    np.testing.assert_array_equal(found, expected)
    assert set(np.flatnonzero(found)) <= set(np.flatnonzero(x > 0))
    assert (found[x > 0] == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(found[found > 0], x[found > 0] / (1 - rate), rtol=1e-6)
    gradient = np.ones_like(x)
    np.testing.assert_array_equal(
        native.relu_dropout_gradient(gradient, found, rate),
        native.relu_dropout_gradient_numpy(gradient, found, rate),
    )


def test_keys_drop_apart():
    """Two keys, and neighbours under one key, agree as often as chance has it."""
    kept = []
    for key in (0, 1, 2**32 - 1):
        x = np.ones(100_000, np.float32)
        native.relu_dropout(x, key, 0.5)
        kept.append(x > 0)
    for one, other in ((kept[0], kept[1]), (kept[0], kept[2]), (kept[0][1:], kept[0][:-1])):
        assert (one == other).mean() == pytest.approx(0.5, abs=0.01)


def test_what_is_no_number_stays():
    x = np.full(1000, np.nan, np.float32)
    native.relu_dropout(x, 0, 0.5)
    assert 400 < np.isnan(x).sum() < 600


def test_dropout_and_its_twin():
    x = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    found = native.dropout(x, 2**32 - 5, 0.3)
    np.testing.assert_array_equal(found, native.dropout_numpy(x, 2**32 - 5, 0.3))
    assert (found != 0).mean() == pytest.approx(0.7, abs=0.02)
    assert ((found != 0) != (native.dropout(x, 7, 0.3) != 0)).any()
