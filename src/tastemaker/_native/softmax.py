"""The output layer over all items with the cross-entropy of its softmax, fused with its gradients, and its NumPy twin."""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["softmax_layer", "softmax_layer_numpy"]

Float32 = NDArray[np.float32]


def softmax_layer(
    hidden: Float32, items: Float32, targets: NDArray[np.int64]
) -> tuple[Float32, Float32, Float32]:
    """−log softmax(hidden · itemsᵀ)[target] of each row, and the gradients of the sum of these.

    A few rows of logits at a time, which never leave the cache; the same bits with any number of threads.

    Args:
        hidden: float32[n, factors].
        items: float32[items, factors].
        targets: int64[n], the right item of each row.

    Returns:
        float32[n], the losses; float32[n, factors] and float32[items, factors], the gradients of ``hidden`` and ``items``.

    >>> losses, of_hidden, of_items = softmax_layer(np.ones((1, 1), np.float32), np.zeros((4, 1), np.float32), np.array([2]))
    >>> losses, of_items.ravel()
    (array([1.3862944], dtype=float32), array([ 0.25,  0.25, -0.75,  0.25], dtype=float32))
    """
    losses, of_hidden = np.empty(len(hidden), np.float32), np.empty_like(hidden)
    of_items = np.empty_like(items)
    kernels.softmax_layer(hidden, items, targets, losses, of_hidden, of_items, threads())
    return losses, of_hidden, of_items


def softmax_layer_numpy(
    hidden: Float32, items: Float32, targets: NDArray[np.int64]
) -> tuple[Float32, Float32, Float32]:
    """What :func:`softmax_layer` computes, up to rounding, in float64."""
    logits = hidden.astype(np.float64) @ items.T.astype(np.float64)
    highest, rows = logits.max(axis=1, keepdims=True), np.arange(len(hidden))
    shares = np.exp(logits - highest)
    total = shares.sum(axis=1, keepdims=True)
    losses = (np.log(total) + highest)[:, 0] - logits[rows, targets]
    shares /= total
    shares[rows, targets] -= 1
    of_hidden, of_items = shares @ items, shares.T @ hidden
    return losses.astype(np.float32), of_hidden.astype(np.float32), of_items.astype(np.float32)
