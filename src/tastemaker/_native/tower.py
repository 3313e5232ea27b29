"""Dense layers with ReLU and dropout in training, forth and back.

    x_l = d_l ⊙ max(0, W_l x_{l−1} + b_l),  d_l drawn anew: 0 for a share of about ``rate``, else 1 / (1 − rate)

Each function has its NumPy twin beside it, which says what it computes and is what the tests compare with. The bits do not depend
on the number of threads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.dropout import kept, threshold

__all__ = ["Gradients", "tower_backward", "tower_backward_numpy", "tower_forward", "tower_forward_numpy"]

Float32 = NDArray[np.float32]


class Gradients(NamedTuple):
    """Those of all that :func:`tower_forward` was given, in the same shapes."""

    x: Float32
    weights: list[Float32]
    biases: list[Float32]


def tower_forward(
    x: Float32,
    weights: Sequence[Float32],
    biases: Sequence[Float32],
    rate: float,
    keys: NDArray[np.uint32],
) -> list[Float32]:
    """float32[n, outputs] of each layer: what it gives; NaN may stay.

    Args:
        x: float32[n, inputs].
        weights, biases: float32[outputs, inputs] and float32[outputs] of each layer, one at least.
        rate: below 1.
        keys: uint32[layers], which say what is dropped.
    """
    hidden = [np.empty((len(x), len(bias)), np.float32) for bias in biases]
    scale = 1 / (1 - rate)
    kernels.tower_forward(x, list(weights), list(biases), keys, threshold(rate), scale, threads(), hidden)
    return hidden


def tower_forward_numpy(
    x: Float32,
    weights: Sequence[Float32],
    biases: Sequence[Float32],
    rate: float,
    keys: NDArray[np.uint32],
) -> list[Float32]:
    """What :func:`tower_forward` computes."""
    hidden = []
    for weight, bias, key in zip(weights, biases, keys, strict=True):
        y = np.maximum(x @ weight.T + bias, 0)
        x = np.where(kept(y.shape, int(key), rate), y * np.float32(1 / (1 - rate)), np.float32(0))
        hidden.append(x)
    return hidden


def tower_backward(
    x: Float32, weights: Sequence[Float32], hidden: Sequence[Float32], gradient: Float32, rate: float
) -> Gradients:
    """The gradients, from that of what the last layer gave.

    Args:
        x, weights, rate: as given to :func:`tower_forward`.
        hidden: what it gave.
        gradient: float32[n, outputs of the last layer].
    """
    found = Gradients(
        np.empty_like(x), [np.empty_like(w) for w in weights], [np.empty(len(w), np.float32) for w in weights]
    )
    kernels.tower_backward(x, list(weights), list(hidden), gradient, 1 / (1 - rate), threads(), *found)
    return found


def tower_backward_numpy(
    x: Float32, weights: Sequence[Float32], hidden: Sequence[Float32], gradient: Float32, rate: float
) -> Gradients:
    """What :func:`tower_backward` computes."""
    of_weights, of_biases = [], []
    for weight, given, y in zip(weights[::-1], [*hidden[-2::-1], x], hidden[::-1], strict=True):
        before = np.where(y > 0, gradient * np.float32(1 / (1 - rate)), np.float32(0))
        of_weights.append(before.T @ given)
        of_biases.append(before.sum(0))
        gradient = before @ weight
    return Gradients(gradient, of_weights[::-1], of_biases[::-1])
