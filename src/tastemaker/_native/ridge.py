"""Ridge regression, one small one a query: how a factor model folds in somebody new while the other side stays as learnt."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["ridge", "ridge_numpy"]


def ridge(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    rows: NDArray[np.float32],
    regularization: float,
) -> NDArray[np.float32]:
    """The x of each query that minimizes sum_k w_k (target_k - <x, row_k>)^2 + regularization * (sum_k w_k) * |x|^2.

    Each query is solved on its own in float64, so its bits do not depend on the others.

    Args:
        indptr: int64[q + 1]; query ``j`` has the observations ``indptr[j]:indptr[j + 1]``.
        indices: int32[n], the row that each observation is about.
        targets: float32[n].
        weights: float32[n], not negative.
        rows: float32[., width], C-contiguous.
        regularization: above 0.

    Returns:
        float32[q, width]; zeros for a query without observations.

    >>> x = ridge(np.array([0, 2]), np.array([0, 1], np.int32), np.array([2, 4], np.float32), np.ones(2, np.float32),
    ...           np.eye(2, dtype=np.float32), regularization=0.5)
    >>> x.tolist()  # each 1 * x = target with a penalty of 0.5 * 2: half the target
    [[1.0, 2.0]]
    """
    solutions = np.zeros((len(indptr) - 1, rows.shape[1]), np.float32)
    kernels.ridge(indptr, indices, targets, weights, rows, regularization, solutions, threads())
    return solutions


def ridge_numpy(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    rows: NDArray[np.float32],
    regularization: float,
) -> NDArray[np.float32]:
    """What `ridge` computes, from the normal equations."""
    solutions = np.zeros((len(indptr) - 1, rows.shape[1]), np.float32)
    for query, (start, end) in enumerate(pairwise(indptr)):
        x = rows[indices[start:end]].astype(np.float64)
        w = weights[start:end].astype(np.float64)
        if w.sum() > 0:
            gram = (x.T * w) @ x + regularization * w.sum() * np.eye(x.shape[1])
            solutions[query] = np.linalg.solve(gram, x.T @ (w * targets[start:end]))
    return solutions
