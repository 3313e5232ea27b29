"""The inverse of a large symmetric matrix, in place, tile by tile."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from tastemaker.progress import Task

__all__ = ["TILE", "negated_inverse", "tiles"]

TILE = 1024  # rows and columns of a tile: 4 MB, so that the product of two stays in the cache


def tiles(size: int) -> list[slice]:
    """The runs of rows that tiles cut a matrix into.

    >>> tiles(1500)
    [slice(0, 1024, None), slice(1024, 1500, None)]
    """
    return [slice(at, min(at + TILE, size)) for at in range(0, size, TILE)]


def negated_inverse(matrix: NDArray[np.float32], task: Task) -> None:
    """Overwrite the upper triangle of a positive definite matrix with that of −matrix⁻¹; the rest is scratch.

    Each run of rows k in turn is swept (Goodnight, "A tutorial on the SWEEP operator", 1979): with D = A[k, k],

        A[k, k] ← −D⁻¹,  A[k, j] ← D⁻¹ A[k, j],  A[i, j] ← A[i, j] − A[i, k] D⁻¹ A[k, j]

    which takes items³ multiplications and additions, as many as LAPACK's potrf and potri. Those crash in widespread builds
    of BLAS at 41,000 rows, and nothing could stop them; here Python is in charge between any two tiles.

    Raises:
        LinAlgError: if the matrix is not positive definite in float32.
    """
    runs = tiles(len(matrix))
    for run in runs:
        tile = matrix[run, run]
        tile[:] = np.triu(tile) + np.triu(tile, 1).T
    for k, swept in enumerate(runs):
        inverse = _inverse(matrix[swept, swept])
        row = _row(matrix, k, runs)
        solved = inverse @ row
        for at, tile in _upper(matrix, runs, without=k):
            tile -= row[:, at[0]].T @ solved[:, at[1]]
        _put_row(matrix, k, runs, solved)
        matrix[swept, swept] = -inverse
        task.advance()


def _inverse(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    factor = cho_factor(tile.astype(np.float64), overwrite_a=True)
    inverse: NDArray[np.float64] = cho_solve(factor, np.eye(len(tile)), overwrite_b=True)
    if not np.isfinite(inverse).all():
        raise LinAlgError("the matrix is not positive definite")
    return ((inverse + inverse.T) / 2).astype(np.float32)


def _row(matrix: NDArray[np.float32], k: int, runs: list[slice]) -> NDArray[np.float32]:
    """A copy of the run of rows ``k`` over all columns, of which those before it stand above the diagonal."""
    return np.hstack(
        [matrix[runs[j], runs[k]].T if j < k else matrix[runs[k], runs[j]] for j in range(len(runs))]
    )


def _put_row(matrix: NDArray[np.float32], k: int, runs: list[slice], row: NDArray[np.float32]) -> None:
    for j, run in enumerate(runs):
        if j < k:
            matrix[run, runs[k]] = row[:, run].T
        else:
            matrix[runs[k], run] = row[:, run]


def _upper(
    matrix: NDArray[np.float32], runs: list[slice], without: int
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.float32]]]:
    """The tiles on and above the diagonal, but for one run's rows and columns."""
    kept = [run for k, run in enumerate(runs) if k != without]
    for n, rows in enumerate(kept):
        for columns in kept[n:]:
            yield (rows, columns), matrix[rows, columns]
