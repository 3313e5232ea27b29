"""Each item as a sparse sum of other items: elastic-net regressions, one an item, by coordinate descent."""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.neighbors import Csr

__all__ = ["slim_weights", "slim_weights_numpy"]


def slim_weights(
    columns: Csr,
    users: int,
    candidates: NDArray[np.int32],
    *,
    l1: float,
    l2: float,
    non_negative: bool = True,
    tolerance: float = 1e-4,
    sweeps: int = 100,
) -> NDArray[np.float32]:
    """The w of each item j, over its candidates, that minimizes ½ |x_j − Σ_i w_i x_i|² + ½ l2 |w|² + l1 |w|₁.

    Items are solved apart from one another, in float64, so that the bits do not depend on the threads.

    Args:
        columns: one row an item: who has it, and how much.
        users: how many users there are.
        candidates: int32[items, n]: which items an item may be a sum of, not itself, −1 past the last.
        l1, l2: penalties, at least 0.
        non_negative: whether weights below 0 are ruled out.
        tolerance: it is done when no weight changes x_j's sum by more than this share of |x_j| in a sweep.
        sweeps: the most sweeps over an item's candidates.

    Returns:
        float32[items, n]: the weights of the candidates; 0 past the last.
    """
    candidates = np.ascontiguousarray(candidates, np.int32)
    weights = np.zeros(candidates.shape, np.float32)
    kernels.slim(
        *columns.contiguous(), users, candidates, l1, l2, non_negative, tolerance, sweeps, threads(), weights
    )
    return weights


def slim_weights_numpy(
    columns: Csr,
    users: int,
    candidates: NDArray[np.int32],
    *,
    l1: float,
    l2: float,
    non_negative: bool = True,
    tolerance: float = 1e-4,
    sweeps: int = 100,
) -> NDArray[np.float32]:
    """The specification of :func:`slim_weights`: full sweeps only, to the same tolerance."""
    x = columns.dense(users)[0].T
    norms = (x**2).sum(axis=0)
    weights = np.zeros(candidates.shape)
    for item, row in enumerate(candidates):
        mine = row[row >= 0]
        w = weights[item]
        for _ in range(sweeps):
            most = 0.0
            for c, other in enumerate(mine):
                rest = x[:, item] - x[:, mine] @ w[: len(mine)] + x[:, other] * w[c]
                product = float(x[:, other] @ rest)
                shrunk = np.sign(product) * max(abs(product) - l1, 0.0)
                new = max(shrunk, 0.0) if non_negative else shrunk
                new = new / (norms[other] + l2) if new else 0.0
                most = max(most, abs(new - w[c]) * norms[other] ** 0.5)
                w[c] = new
            if most <= tolerance * norms[item] ** 0.5:
                break
    return weights.astype(np.float32)
