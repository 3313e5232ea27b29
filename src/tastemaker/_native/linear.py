"""Sparse rows times matrices, for models whose scores are linear in the history.

Every function has its NumPy twin beside it, which computes the same on dense arrays and is what the tests compare with.
A row of a result has the same bits alone or in any batch, with any number of threads.
"""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.neighbors import Csr

__all__ = [
    "gram",
    "gram_numpy",
    "products_at",
    "products_at_numpy",
    "sharpen",
    "sharpen_numpy",
    "times_dense",
    "times_dense_numpy",
    "times_sparse",
    "times_sparse_numpy",
    "two_hops",
    "two_hops_numpy",
]

Float32 = NDArray[np.float32]


def times_dense(left: Csr, matrix: Float32) -> Float32:
    """left · matrix, each row added up in the order of its entries.

    Args:
        left: sparse rows; indices are rows of ``matrix``.
        matrix: float32[., columns], C-contiguous.

    Returns:
        float32[rows, columns].

    >>> times_dense(Csr(np.array([0, 2]), np.array([0, 1]), np.array([1.0, 2.0])), np.array([[1, 0], [3, 4]], np.float32))
    array([[7., 8.]], dtype=float32)
    """
    out = np.empty((left.n_rows, matrix.shape[1]), np.float32)
    kernels.times_dense(*left.contiguous(), np.ascontiguousarray(matrix, np.float32), threads(), out)
    return out


def times_dense_numpy(left: Csr, matrix: Float32) -> Float32:
    """The specification of :func:`times_dense`, up to rounding."""
    return (left.dense(len(matrix))[0] @ matrix).astype(np.float32)


def products_at(where: Csr, left: Float32, right: Float32) -> Float32:
    """left · rightᵀ at some places alone: the inner product of left[r] and right[c] for every entry (r, c).

    Args:
        where: sparse rows, of which the values are not read; indices are rows of ``right``.
        left: float32[rows, width].
        right: float32[., width].

    Returns:
        float32[entries]. Its bits depend on the two rows alone.

    >>> where = Csr(np.array([0, 1, 3]), np.array([1, 0, 1]), np.empty(0))
    >>> products_at(where, np.array([[1, 2], [3, 4]], np.float32), np.array([[1, 0], [1, 1]], np.float32))
    array([3., 3., 7.], dtype=float32)
    """
    indptr, indices, _ = where.contiguous()
    out = np.empty(len(indices), np.float32)
    left, right = (np.ascontiguousarray(x, np.float32) for x in (left, right))
    kernels.products_at(indptr, indices, left, right, threads(), out)
    return out


def products_at_numpy(where: Csr, left: Float32, right: Float32) -> Float32:
    """The specification of :func:`products_at`, up to rounding."""
    row = np.repeat(np.arange(where.n_rows), np.diff(where.indptr))
    return (left.astype(np.float64) @ right.T.astype(np.float64))[row, where.indices].astype(np.float32)


def times_sparse(left: Csr, right: Csr, columns: int) -> Float32:
    """left · right as float32[rows, columns], each row added up in its order; NaN where no entry leads."""
    out = np.empty((left.n_rows, columns), np.float32)
    kernels.times_sparse(*left.contiguous(), *right.contiguous(), threads(), out)
    return out


def times_sparse_numpy(left: Csr, right: Csr, columns: int) -> Float32:
    """The specification of :func:`times_sparse`, up to rounding."""
    values, mask = left.dense(right.n_rows)
    right_values, right_mask = right.dense(columns)
    return np.where(mask @ right_mask > 0, values @ right_values, np.nan).astype(np.float32)


def two_hops(left: Csr, back: Csr, on: Csr, start: Float32) -> Float32:
    """start + (left · back) · on, for sparse matrices, without a product of two of them ever being held.

    From a query's items ``back`` to the users who have them, and from those ``on`` to their items, say.

    Args:
        left: one row a query; indices are rows of ``back``.
        back: indices are rows of ``on``.
        on: indices are columns of the result.
        start: float32[queries, columns], C-contiguous; it is added to in place.

    Returns:
        ``start``. What is reached first is gone on from first.
    """
    kernels.add_two_hops(*left.contiguous(), *back.contiguous(), *on.contiguous(), threads(), start)
    return start


def two_hops_numpy(left: Csr, back: Csr, on: Csr, start: Float32) -> Float32:
    """The specification of :func:`two_hops`, up to rounding; leaves ``start`` as it is."""
    reached = left.dense(back.n_rows)[0] @ back.dense(on.n_rows)[0]
    return (start + reached @ on.dense(start.shape[1])[0]).astype(np.float32)


def sharpen(rows: Csr, columns: Csr, time: float, signals: Float32) -> Float32:
    """What ds/dt = −s XᵀX makes of each signal in so much time, by one step of the classic Runge–Kutta method.

    The equation is linear, so that the step is the series s (I − tG + (tG)²/2 − (tG)³/6 + (tG)⁴/24) with G = XᵀX, which is
    never held.

    Args:
        rows: X by rows.
        columns: the same X by columns.
        time: t.
        signals: float32[n, columns of X], C-contiguous; changed in place.

    Returns:
        ``signals``.
    """
    kernels.sharpen(*rows.contiguous(), *columns.contiguous(), time, threads(), signals)
    return signals


def sharpen_numpy(rows: Csr, columns: Csr, time: float, signals: Float32) -> Float32:
    """The specification of :func:`sharpen`, up to rounding; leaves ``signals`` as they are."""
    x = rows.dense(columns.n_rows)[0]
    slope = -x.T @ x
    first = signals @ slope
    second = (signals + time / 2 * first) @ slope
    third = (signals + time / 2 * second) @ slope
    fourth = (signals + time * third) @ slope
    return (signals + time / 6 * (first + 2 * second + 2 * third + fourth)).astype(np.float32)


def gram(rows: Csr, columns: Csr) -> Float32:
    """The upper triangle of XᵀX as float32[n, n], with zeros below the diagonal.

    Args:
        rows: X by rows, the indices of each row ascending.
        columns: the same X by columns (one row for each of the n columns of X).
    """
    size = columns.n_rows
    out = np.zeros((size, size), np.float32)
    kernels.add_gram(*rows.contiguous(), *columns.contiguous(), threads(), out)
    return out


def gram_numpy(rows: Csr, columns: Csr) -> Float32:
    """The specification of :func:`gram`, up to rounding."""
    x = rows.dense(columns.n_rows)[0]
    return np.triu(x.T @ x).astype(np.float32)
