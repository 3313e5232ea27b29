"""Dropout against its twin, and what it promises."""

import numpy as np
import pytest

from tastemaker._native.dropout import dropout, dropout_numpy


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_a_share_becomes_zero_and_the_rest_keeps_the_mean(rate):
    x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    found = dropout(x, 123, rate)
    np.testing.assert_array_equal(found, dropout_numpy(x, 123, rate))
    assert (found == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(found[found != 0], x[found != 0] / (1 - rate), rtol=1e-6)


def test_a_key_leaves_out_the_same_places_each_time():
    x, other = np.ones(1000, np.float32), np.full(1000, 3, np.float32)
    np.testing.assert_array_equal(dropout(other, 7, 0.4), 3 * dropout(x, 7, 0.4))


def test_keys_drop_apart():
    """Two keys, and neighbours under one key, agree as often as chance has it."""
    kept = [dropout(np.ones(100_000, np.float32), key, 0.5) > 0 for key in (0, 1, 2**32 - 1)]
    for one, other in ((kept[0], kept[1]), (kept[0], kept[2]), (kept[0][1:], kept[0][:-1])):
        assert (one == other).mean() == pytest.approx(0.5, abs=0.01)
