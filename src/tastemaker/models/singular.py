"""The leading right singular vectors of a sparse matrix."""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

__all__ = ["right_singular_vectors"]

_DENSE = 1024  # up to this many rows or columns all singular values are found at once


def right_singular_vectors(matrix: sp.csr_array, factors: int, seed: int) -> NDArray[np.float32]:
    """V of the truncated singular value decomposition, the greatest singular value first.

    The eigenvectors of the smaller one of XᵀX and XXᵀ where that is small, else Lanczos iterations (ARPACK) from a random
    vector by ``seed``. Signs are such that the largest entry of each vector is positive.

    Returns:
        float32[columns, n], n ≤ ``factors``: directions with a singular value of 0 are left out.

    >>> right_singular_vectors(sp.csr_array(np.array([[2.0, 0.0], [0.0, 3.0]])), 1, seed=0)
    array([[0.],
           [1.]], dtype=float32)
    """
    if min(matrix.shape) <= max(_DENSE, factors + 1):
        vectors = _dense(matrix.astype(np.float64), factors)
    else:
        start = np.random.default_rng(seed).normal(size=min(matrix.shape)).astype(np.float32)
        _, values, rows = svds(matrix.astype(np.float32), k=factors, v0=start, return_singular_vectors="vh")
        vectors = rows[np.argsort(-values)].T
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return np.ascontiguousarray(vectors * signs, np.float32)


def _dense(matrix: sp.csr_array, factors: int) -> NDArray[np.float64]:
    wide = matrix.shape[0] < matrix.shape[1]
    squares, left = np.linalg.eigh((matrix @ matrix.T if wide else matrix.T @ matrix).toarray())
    kept = np.argsort(-squares)[:factors]
    kept = kept[squares[kept] > squares.max() * len(squares) * np.finfo(np.float64).eps]
    vectors = matrix.T @ left[:, kept] / np.sqrt(squares[kept]) if wide else left[:, kept]
    return np.asarray(vectors)
