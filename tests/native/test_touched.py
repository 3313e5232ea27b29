"""Adam on touched rows against its twin, step by step."""

import numpy as np
import pytest

from tastemaker._native.touched import (
    Moments,
    move_rows,
    move_rows_numpy,
    take_rows,
    take_rows_numpy,
)


def start(rows: int, width: int) -> Moments:
    table = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    moments = (np.zeros_like(table), np.zeros_like(table))
    return Moments(table, *moments, np.zeros(rows, np.int64), (0.9, 0.999))


@pytest.mark.parametrize("width", [1, 7, 40])
def test_rows_move_as_those_of_the_twin(width):
    rng = np.random.default_rng(1)
    ours, twin = start(12, width), start(12, width)
    still, eps = rng.uniform(1, 9, 20).astype(np.float32), np.full(20, 1e-6, np.float32)
    slots = np.full(12, -1, np.int32)
    for step in range(1, 31):
        rows = rng.integers(0, 11, 4)
        gradients = rng.normal(size=(4, width)).astype(np.float32)
        take_rows(rows, ours, still, eps, step - 1, 0.01)
        take_rows_numpy(rows, twin, still, eps, step - 1, 0.01)
        move_rows(rows, gradients, ours, slots, step, 0.01, 1e-8)
        move_rows_numpy(rows, gradients, twin, slots, step, 0.01, 1e-8)
        for name in ("table", "mean", "square"):
            np.testing.assert_allclose(getattr(ours, name), getattr(twin, name), rtol=1e-3, atol=1e-5)
        moved = (
            rows  # a row without a gradient so far may say either that it is settled or that it never moved
        )
        assert np.array_equal(ours.last[moved], twin.last[moved])
    assert (slots == -1).all()
    assert np.array_equal(ours.table[11], start(12, width).table[11])
