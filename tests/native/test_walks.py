"""Random walks against their twin, and their visits against the exact probabilities, from a linear system."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tastemaker import _native
from tastemaker._native.walks import Visits, visits, visits_numpy


def lists(had: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Each row of a matrix as the columns that are set."""
    row, column = np.nonzero(had)
    lengths = np.bincount(row, minlength=len(had))
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), column.astype(np.int32)


def walks(had: NDArray[np.bool_], function=visits, **settings) -> Visits:
    """From every item of a matrix of users × items."""
    return function(*lists(had.T), *lists(had), **settings)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, 12), st.integers(1, 9), st.floats(0, 0.9))
def test_visits_equal_their_twin(key: int, users: int, items: int, restart: float) -> None:
    had = np.random.default_rng(key).random((users, items)) < 0.4
    how = {"key": key, "steps": 40, "restart": restart, "top": 4}
    for native, twin in zip(walks(had, **how), walks(had, visits_numpy, **how), strict=True):
        np.testing.assert_array_equal(native, twin)


@pytest.mark.parametrize("restart", [0.1, 0.5])
def test_visits_come_to_the_exact_probabilities(restart: float) -> None:
    """π = c·e P (1 − (1 − c) P)⁻¹ from every item of a small graph."""
    rng = np.random.default_rng(2)
    had = rng.random((9, 6)) < 0.5
    had[0] = True
    forth = had / had.sum(axis=1, keepdims=True)
    back = had.T / had.sum(axis=0)[:, None]
    step = back @ forth
    exact = restart * step @ np.linalg.inv(np.eye(6) - (1 - restart) * step)
    np.testing.assert_allclose(exact.sum(axis=1), 1)
    steps = 400_000
    found = walks(had, key=5, steps=steps, restart=restart, top=6)
    for item in range(6):
        others = found.items[item, :5]
        assert sorted(others) == sorted(set(range(6)) - {item})
        shares = found.counts[item, :5] / steps
        np.testing.assert_allclose(shares, exact[item, others], atol=6 * (0.25 / steps) ** 0.5 / restart**0.5)
        assert (np.diff(shares) <= 0).all()


def test_nobody_is_reached_from_an_item_alone() -> None:
    had = np.array([[1, 0, 0], [0, 1, 1]], np.bool_)
    found = walks(had, key=1, steps=50, restart=0.2, top=2)
    assert found.items.tolist() == [[-1, -1], [2, -1], [1, -1]]
    assert found.counts[0].tolist() == [0, 0]


def test_the_bits_do_not_depend_on_the_threads() -> None:
    had = np.random.default_rng(3).random((80, 60)) < 0.1
    before, found = _native.threads(), []
    try:
        for threads in (1, 2, 3):
            _native.set_threads(threads)
            found.append(walks(had, key=7, steps=200, restart=0.15, top=10))
    finally:
        _native.set_threads(before)
    for one in found[1:]:
        assert all((a == b).all() for a, b in zip(one, found[0], strict=True))
