"""The cross-entropy of a softmax with its gradient in the place of the logits, and its NumPy twin."""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["cross_entropy", "cross_entropy_numpy"]

Float32 = NDArray[np.float32]


def cross_entropy(logits: Float32, targets: NDArray[np.int64]) -> Float32:
    """float32[n]: −log softmax(logits)[target] of each row, which becomes its gradient, the softmax less 1 at the target.

    Args:
        logits: float32[n, items], finite; overwritten.
        targets: int64[n], the right column of each row.

    >>> logits = np.zeros((1, 4), np.float32)
    >>> cross_entropy(logits, np.array([2])), logits
    (array([1.3862944], dtype=float32), array([[ 0.25,  0.25, -0.75,  0.25]], dtype=float32))
    """
    losses = np.empty(len(logits), np.float32)
    kernels.cross_entropy(logits, targets, losses, threads())
    return losses


def cross_entropy_numpy(logits: Float32, targets: NDArray[np.int64]) -> Float32:
    """What :func:`cross_entropy` computes, up to rounding, in float64."""
    highest = logits.max(axis=1, keepdims=True)
    exact = np.exp(logits.astype(np.float64) - highest)
    shares = exact / exact.sum(axis=1, keepdims=True)
    rows = np.arange(len(logits))
    losses = np.log(exact.sum(axis=1)) + highest[:, 0] - logits[rows, targets]
    shares[rows, targets] -= 1
    logits[:] = shares
    return np.asarray(losses, np.float32)
