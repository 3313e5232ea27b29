"""The loss of neural collaborative filtering with all its gradients, in one pass over a batch."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["ncf_gradients", "ncf_gradients_numpy"]

Float32 = NDArray[np.float32]


def ncf_gradients(
    rows: Float32, weights: Float32, factors: int, tower: tuple[int, ...], parameters: Float32
) -> tuple[float, Float32, Float32]:
    """The mean logistic loss of a batch, and its gradients.

    A row of the table is a vector for the product, then one for the tower. The logit of user row u and item row i is

        h·(u[:factors] ⊙ i[:factors]) + b + g·φ(… φ(W [u[factors:] | i[factors:]] + c)),  φ(x) = max(0, x).

    Args:
        rows: float32[users, 1 + items, width]; a user's row, then an item that was taken, with label 1, then items with label 0.
        weights: float32[users], how much each taken item counts; empty if all count 1.
        factors: of the product; 0 without one.
        tower: the size of [u | i] in the tower and of each layer's output; empty without one.
        parameters: float32[p]: h, b, g, and of each layer W (out × in) and c, end to end.

    Returns:
        The loss; float32[users, 1 + items, width], its gradients by ``rows``; float32[p], those by ``parameters``. The same bits
        with any number of threads.

    >>> one_user = np.array([[[1], [2], [0]]], np.float32)  # the second item was not taken
    >>> loss, by_rows, by_parameters = ncf_gradients(one_user, np.empty(0, np.float32), 1, (), np.array([1, 0], np.float32))
    >>> round(loss, 4)  # the mean of log(1 + exp(−2)) and log(2)
    0.41
    """
    row_gradients, gradients = np.empty_like(rows), np.empty_like(parameters)
    sizes = np.array(tower, np.int32)
    loss: float = kernels.ncf_gradients(
        rows, weights, factors, sizes, parameters, threads(), row_gradients, gradients
    )
    return loss, row_gradients, gradients


def ncf_gradients_numpy(
    rows: Float32, weights: Float32, factors: int, tower: tuple[int, ...], parameters: Float32
) -> tuple[float, Float32, Float32]:
    """What :func:`ncf_gradients` computes, up to rounding, in float64."""
    rows64, left = rows.astype(np.float64), parameters.astype(np.float64)
    user, item = rows64[:, :1], rows64[:, 1:]
    sizes = [(factors,), (1,), tower[-1:]] + [s for i, o in pairwise(tower) for s in ((o, i), (o,))]
    ends = np.cumsum([int(np.prod(size)) if size else 0 for size in sizes])
    head, bias, last, *layers = (
        part.reshape(size) if size else part
        for part, size in zip(np.split(left, ends[:-1]), sizes, strict=True)
    )
    both = np.concatenate([np.broadcast_to(user, item.shape)[..., factors:], item[..., factors:]], axis=2)
    inputs = [both]
    for w, c in zip(layers[::2], layers[1::2], strict=True):
        inputs.append(np.maximum(inputs[-1] @ w.T + c, 0))
    product = user[..., :factors] * item[..., :factors]
    logit = product @ head + bias + (inputs[-1] @ last if tower else 0)
    label, weight = np.zeros(logit.shape), np.ones(logit.shape)
    label[:, 0] = 1
    if len(weights):
        weight[:, 0] = weights
    loss = float(np.mean(weight * (np.logaddexp(0, logit) - label * logit)))
    g = (weight * (1 / (1 + np.exp(-logit)) - label) / logit.size)[..., None]
    found = [(g * product).sum((0, 1)), g.sum((0, 1)), (g * inputs[-1]).sum((0, 1)) if tower else np.empty(0)]
    of_layers: list[NDArray[np.float64]] = []
    back = g * last if tower else np.zeros(both.shape)
    for n in reversed(range(len(layers) // 2)):
        back = back * (inputs[n + 1] > 0)
        of_layers = [np.einsum("bno,bni->oi", back, inputs[n]).ravel(), back.sum((0, 1)), *of_layers]
        back = back @ layers[2 * n]
    by_rows = np.zeros_like(rows64)
    half = both.shape[2] // 2
    by_rows[:, 0, :factors] = (g * head * item[..., :factors]).sum(1)
    by_rows[:, 1:, :factors] = g * head * user[..., :factors]
    by_rows[:, 0, factors:] = back[..., :half].sum(1)
    by_rows[:, 1:, factors:] = back[..., half:]
    gradients = np.concatenate([*found, *of_layers])
    return loss, by_rows.astype(np.float32), gradients.astype(np.float32)
