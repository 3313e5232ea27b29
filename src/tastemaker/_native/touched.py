"""Adam over the rows of a table that a step looks up; what the others miss meanwhile is made up for later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels

__all__ = [
    "Moments",
    "move_rows",
    "move_rows_numpy",
    "take_rows",
    "take_rows_numpy",
]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Moments:
    """A table and what Adam knows of its rows; all are changed in place.

    Attributes:
        table: float32[rows, width].
        mean, square: float32[rows, width], the moments of the gradients.
        last: int64[rows], the step at which the row's moments are.
        betas: how much of the moments a step keeps, β₁ and β₂.
    """

    table: Float32
    mean: Float32
    square: Float32
    last: NDArray[np.int64]
    betas: tuple[float, float]


def take_rows(
    rows: NDArray[np.int64], adam: Moments, still: Float32, eps: Float32, steps: int, rate: float
) -> Float32:
    """float32[n, width]: ``rows`` as they are, once the moves that they have missed up to step ``steps`` are made.

    Args:
        rows: int64[n], each 0 ≤ row < len(table); one may be there more than once.
        adam: the table.
        still: float32[t], Σ_{j≥1} r^j·f(t + j) as in ``TouchedAdam``; the last stands for all later steps.
        eps: float32[t], what is added to the root in the first step missed; likewise.
        steps: how many steps there were.
        rate: the learning rate.
    """
    first, second = adam.betas
    taken = np.empty((len(rows), adam.table.shape[1]), np.float32)
    kernels.take_rows(
        rows, adam.table, adam.mean, adam.square, adam.last, still, eps, steps, rate, first, second, taken
    )
    return taken


def take_rows_numpy(
    rows: NDArray[np.int64], adam: Moments, still: Float32, eps: Float32, steps: int, rate: float
) -> Float32:
    """What :func:`take_rows` computes, up to rounding."""
    rows, place = np.unique(rows, return_inverse=True)
    first, second = adam.betas
    end = len(still) - 1
    idle = (steps - adam.last[rows])[:, None].astype(np.float64)
    at = np.minimum(adam.last[rows], end)
    moves = still[at][:, None] - (first / second**0.5) ** idle * still[min(steps, end)]
    adam.table[rows] -= rate * moves * adam.mean[rows] / (np.sqrt(adam.square[rows]) + eps[at][:, None])
    adam.mean[rows] *= first**idle
    adam.square[rows] *= second**idle
    adam.last[rows] = steps
    return adam.table[rows][place]


def move_rows(
    rows: NDArray[np.int64],
    gradients: Float32,
    adam: Moments,
    slots: NDArray[np.int32],
    step: int,
    rate: float,
    eps: float,
) -> None:
    """Step ``step`` of Adam for ``rows``, which :func:`take_rows` has given.

    Args:
        rows: int64[n]; of one that is there more than once, the gradients are added up in their order.
        gradients: float32[n, width].
        adam: the table.
        slots: int32[rows of the table], −1 everywhere; room to work in.
        step: the number of the step, from 1 on.
        rate: the learning rate.
        eps: keeps the division finite.
    """
    first, second = adam.betas
    root, rate = (1 - second**step) ** 0.5, rate / (1 - first**step)
    kernels.move_rows(
        rows,
        gradients,
        adam.table,
        adam.mean,
        adam.square,
        adam.last,
        slots,
        step,
        root,
        rate,
        first,
        second,
        eps,
    )


def move_rows_numpy(
    rows: NDArray[np.int64],
    gradients: Float32,
    adam: Moments,
    slots: NDArray[np.int32],
    step: int,
    rate: float,
    eps: float,
) -> None:
    """What :func:`move_rows` computes, up to rounding."""
    first, second = adam.betas
    distinct, place = np.unique(rows, return_inverse=True)
    sums = np.zeros((len(distinct), adam.table.shape[1]))
    np.add.at(sums, place, gradients)
    adam.mean[distinct] = first * adam.mean[distinct] + (1 - first) * sums
    adam.square[distinct] = second * adam.square[distinct] + (1 - second) * sums**2
    mean, square = adam.mean[distinct] / (1 - first**step), adam.square[distinct] / (1 - second**step)
    adam.table[distinct] -= rate * mean / (np.sqrt(square) + eps)
    adam.last[distinct] = step
