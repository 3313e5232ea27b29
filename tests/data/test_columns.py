"""Constant columns cost nothing, and stay constant on every way through a Dataset."""

import numpy as np

from tastemaker.data import Dataset
from tastemaker.data.columns import constant, gather, is_constant, tally

CLICKS = {"user": ["a", "b", "a"], "item": [1, 1, 2]}


def test_gathered_constants_are_constant() -> None:
    rows = np.array([2, 0])
    assert is_constant(gather(constant(np.int64(7), 3), rows))
    assert gather(constant(np.int64(7), 3), rows).tolist() == [7, 7]
    assert gather(np.array([4, 5, 6]), rows).tolist() == [6, 4]
    assert not is_constant(np.full(3, 7))
    assert gather(constant(np.int64(7), 0), rows[:0]).tolist() == []


def test_what_was_not_given_takes_no_memory() -> None:
    data = Dataset.from_interactions(CLICKS)
    for part in (data, data.select(np.array([True, False, True])), data.by_user, data.by_item):
        assert all(is_constant(c) for c in (part.value, part.weight, part.timestamp))
        assert set(part.value.tolist()) == {1}
        assert set(part.timestamp.tolist()) == {0}
    assert is_constant(data.by_user.take(np.array([0])).weight)
    rated = Dataset.from_interactions(CLICKS | {"r": [3, 4, 5]}, rating="r")
    assert rated.value.tolist() == [3, 4, 5]
    assert is_constant(rated.implicit().value)


def test_equal_data_have_equal_fingerprints_however_they_are_held() -> None:
    data = Dataset.from_interactions(CLICKS)
    full = Dataset.from_interactions(CLICKS | {"w": [1.0] * 3}, weight="w")
    assert not is_constant(full.weight)
    assert data.fingerprint == full.fingerprint


def test_a_tally_is_a_bincount_however_long() -> None:
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 9, 600_000).astype(np.int32), rng.random(600_000).astype(np.float32)
    assert tally(codes, 9).tolist() == np.bincount(codes).tolist()
    np.testing.assert_allclose(
        tally(codes, 9, values, power=2), np.bincount(codes, values.astype(float) ** 2)
    )
    assert tally(codes[:0], 2).tolist() == [0, 0]
