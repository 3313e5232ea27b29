"""Distributions over the items that may fill a slot, and draws from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.policy.exploration import (
    EpsilonGreedy,
    Exploration,
    Greedy,
    Softmax,
    exploration_of,
    pick,
    uniform,
)

ALL = [Greedy(), EpsilonGreedy(0.25), Softmax(0.2), Softmax(0.001)]


@pytest.mark.parametrize("exploration", ALL)
@given(
    utilities=st.lists(st.floats(-5, 5) | st.just(-np.inf), min_size=1, max_size=20).filter(
        lambda u: max(u) > -np.inf
    )
)
def test_they_sum_to_one_and_never_allow_what_is_forbidden(
    exploration: Exploration, utilities: list[float]
) -> None:
    values = np.array(utilities)
    found = exploration.probabilities(values)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert (found >= 0).all()
    assert (found[values == -np.inf] == 0).all()
    for number in (0.0, 0.5, 1 - 2**-53):
        assert found[pick(found, number)] > 0


@pytest.mark.parametrize("exploration", ALL)
def test_told_and_read_back(exploration: Exploration) -> None:
    assert exploration_of(exploration.describe()) == exploration


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="epsilon must be a number at least 0 and at most 1, got 2"):
        EpsilonGreedy(2)
    with pytest.raises(ValueError, match="temperature must be a number above 0"):
        Softmax(0)
    with pytest.raises(ValueError, match="exploration must be Greedy"):
        exploration_of({"kind": "thompson"})


def test_uniform_numbers_are_uniform_and_unrelated() -> None:
    numbers = np.array([[uniform(seed, slot) for slot in range(10)] for seed in range(20_000)])
    assert 0 <= numbers.min() <= numbers.max() < 1
    counts = np.histogram(numbers, 20, (0, 1))[0]
    assert (
        (counts - 10_000) ** 2 / 10_000
    ).sum() < 50  # chi-square with 19 degrees of freedom: one in 10,000
    correlation = np.corrcoef(numbers.T) - np.eye(10)
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)
