"""Alternating least squares for implicit feedback: one side's factors, given the other's.

Row x of one side minimizes, over its interactions k with weight w_k and the fixed factors y_k of the other side,

    sum_k w_k (<x, y_k> - 1)^2  +  unobserved_weight * sum_all <x, y>^2  +  penalty * |x|^2,
    penalty = regularization * (sum_k w_k + unobserved_weight * rows of the other side) ^ exponent

(Rendle, Krichene, Zhang and Koren, "Revisiting the performance of iALS on item recommendation benchmarks", RecSys 2022). With
``hu`` an interaction is not counted as unobserved as well: its term is (w_k + unobserved_weight) (<x, y_k> - 1)^2 in the place
of its two (Hu, Koren and Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008).

A loss of all inner products stays the same when both sides turn by the same rotation. So both are turned into the basis in which
the Gram matrix of the fixed side is diagonal (`turn_to_eigenbasis`); there each row is a ridge regression on its own interactions
alone, which `solve_rows` solves. cpp/als_row.hpp says how.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.neighbors import Csr

__all__ = ["MAX_FACTORS", "Loss", "Solved", "Solver", "gram", "gram_numpy", "loss_numpy", "padded", "rotate", "solve_rows",
           "solve_rows_numpy", "turn_to_eigenbasis"]  # fmt: skip

Solver = Literal["cg", "cholesky", "subspace"]

MAX_FACTORS: int = kernels.als_widths[-1]
"""The most factors that the kernel takes."""

_LINE = 16  # floats in a cache line
_BLOCK = 64  # factors that subspace descent solves together


@dataclass(frozen=True)
class Loss:
    """What is minimized: the numbers of the formula above."""

    unobserved_weight: float
    regularization: float
    exponent: float
    hu: bool = False

    def penalty(self, weight: ArrayLike, others: int) -> NDArray[np.float64]:
        """float64[rows]: the factor of |x|^2, by the summed weights of each row and the number of rows of the other side."""
        return np.asarray(
            self.regularization * (np.asarray(weight) + self.unobserved_weight * others) ** self.exponent
        )

    @property
    def offset(self) -> float:
        """What an interaction's pull towards 1 has beyond its weight."""
        return self.unobserved_weight if self.hu else 0.0


class Solved(NamedTuple):
    """What a half-sweep says.

    Attributes:
        loss: of all rows, without the penalty of the fixed side.
        penalties: float64[rows], the factor of each row's |x|^2; 0 for rows without interactions.
    """

    loss: float
    penalties: NDArray[np.float64]


def padded(rows: NDArray[np.float32], count: int | None = None) -> NDArray[np.float32]:
    """A copy of ``rows`` with columns of zeros up to the next width that the kernel was compiled for.

    Args:
        rows: float32[n, factors].
        count: how many rows the copy has, further ones being zeros; n unless given.

    Raises:
        ValueError: if there are more than `MAX_FACTORS` columns.
    """
    n, factors = rows.shape
    if factors > MAX_FACTORS:
        raise ValueError(f"factors must be at most {MAX_FACTORS}, got {factors}")
    wide = _zeros(n if count is None else count, next(w for w in kernels.als_widths if w >= factors))
    wide[:n, :factors] = rows
    return wide


def _zeros(rows: int, width: int) -> NDArray[np.float32]:
    """float32[rows, width] that starts on a cache line; loads that straddle two lines cost twice as much."""
    buffer = np.zeros(rows * width + _LINE, np.float32)
    skipped = -(buffer.ctypes.data // buffer.itemsize) % _LINE
    return buffer[skipped : skipped + rows * width].reshape(rows, width)


def gram(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64[width, width]: rowsᵀ·rows, for rows of a padded width."""
    product = np.empty((rows.shape[1], rows.shape[1]))
    kernels.als_gram(rows, product, threads())
    return product


def gram_numpy(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """What `gram` computes."""
    wide = rows.astype(np.float64)
    return wide.T @ wide


def rotate(rows: NDArray[np.float32], basis: NDArray[np.float32]) -> None:
    """rows ← rows·basis, in place, for rows of a padded width and a basis float32[width, width]."""
    kernels.als_rotate(rows, basis, threads())


def turn_to_eigenbasis(
    fixed: NDArray[np.float32], *others: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rotate ``fixed`` and the ``others``, in place, into the basis in which the Gram matrix of ``fixed`` is diagonal.

    Returns:
        The eigenvalues float32[width], largest first, and the basis float32[width, width], whose columns are the eigenvectors.
    """
    eigenvalues, vectors = np.linalg.eigh(gram(fixed))
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]  # so that columns of padding stay last
    basis = np.ascontiguousarray(vectors, np.float32)
    for rows in (fixed, *others):
        rotate(rows, basis)
    return np.maximum(eigenvalues, 0).astype(np.float32), basis


def solve_rows(
    interactions: Csr,
    fixed: NDArray[np.float32],
    eigenvalues: NDArray[np.float32],
    solutions: NDArray[np.float32],
    loss: Loss,
    *,
    solver: Solver,
    steps: int = 2,
    others: int | None = None,
) -> Solved:
    """Solve for every row of one side, in place; rows without interactions become zero.

    Args:
        interactions: one row for each row of ``solutions``; indices of ``fixed`` and weights above 0.
        fixed: float32[m, width], of a padded width, in the basis of its eigenvectors.
        eigenvalues: float32[width], of the Gram matrix of ``fixed``.
        solutions: float32[n, width]: where to start from (``cg`` and ``subspace``), and the outcome.
        loss: what to minimize.
        solver: ``"cg"``: conjugate gradients; ``"cholesky"``: exactly; ``"subspace"``: one block of 64 factors after another,
            each exactly (iALS++; Rendle, Krichene, Zhang and Koren, 2021).
        steps: of conjugate gradients.
        others: how many rows of the other side count as unobserved, if not all of ``fixed``.
    """
    penalties = np.empty(len(solutions))
    total: float = kernels.als_solve(
        interactions.indptr, interactions.indices, interactions.values, fixed,
        (loss.unobserved_weight * eigenvalues).astype(np.float32), solutions, penalties,
        loss.regularization, loss.exponent, loss.unobserved_weight * (len(fixed) if others is None else others),
        loss.offset, solver, steps, threads(),
    )  # fmt: skip
    return Solved(total, penalties)


def solve_rows_numpy(
    interactions: Csr,
    fixed: NDArray[np.float32],
    eigenvalues: NDArray[np.float32],
    solutions: NDArray[np.float32],
    loss: Loss,
    *,
    solver: Solver,
    steps: int = 2,
    others: int | None = None,
) -> Solved:
    """What `solve_rows` computes, in float64."""
    total, penalties = 0.0, np.zeros(len(solutions))
    for row, (start, end) in enumerate(pairwise(interactions.indptr)):
        if start == end:
            solutions[row] = 0
            continue
        w = interactions.values[start:end].astype(np.float64)
        penalties[row] = loss.penalty(w.sum(), len(fixed) if others is None else others)
        root = np.sqrt(loss.unobserved_weight * eigenvalues + penalties[row])
        z = fixed[interactions.indices[start:end]] * np.sqrt(w)[:, None] / root
        c = (w + loss.offset) / np.sqrt(w)
        x = _SOLVERS[solver](z, c, solutions[row] * root, steps)
        solutions[row] = x / root
        total += x @ x + (z @ x - c) @ (z @ x - c) - ((w + loss.offset) * loss.offset / w).sum()
    return Solved(float(total), penalties)


_Vector = NDArray[np.float64]


def _conjugate_gradients(z: _Vector, c: _Vector, x: _Vector, steps: int) -> _Vector:
    residual = z.T @ (c - z @ x) - x
    direction = residual
    for _ in range(steps):
        image = direction + z.T @ (z @ direction)
        length = (residual @ residual) / (direction @ image)
        x = x + length * direction
        rest = residual - length * image
        direction = rest + (rest @ rest) / (residual @ residual) * direction
        residual = rest
    return x


def _exactly(z: _Vector, c: _Vector, x: _Vector, steps: int) -> _Vector:
    return np.asarray(np.linalg.solve(np.eye(z.shape[1]) + z.T @ z, z.T @ c))


def _blockwise(z: _Vector, c: _Vector, x: _Vector, steps: int) -> _Vector:
    x = x.copy()
    for start in range(0, len(x), _BLOCK):
        block = slice(start, start + _BLOCK)
        others = z @ x - z[:, block] @ x[block]
        x[block] = _exactly(z[:, block], c - others, x, steps)
    return x


_SOLVERS = {"cg": _conjugate_gradients, "cholesky": _exactly, "subspace": _blockwise}


def loss_numpy(
    interactions: Csr,
    users: NDArray[np.float32],
    items: NDArray[np.float32],
    loss: Loss,
    at_once: int = 1 << 18,
) -> float:
    """The whole loss, both penalties included, in float64; ``interactions`` has a row for each user."""
    row = np.repeat(np.arange(len(users)), np.diff(interactions.indptr))
    w = interactions.values.astype(np.float64)
    total = loss.unobserved_weight * float(np.sum(gram_numpy(users) * gram_numpy(items)))
    for start in range(0, len(w), at_once):
        part = slice(start, start + at_once)
        score = np.einsum("kf,kf->k", users[row[part]], items[interactions.indices[part]], dtype=np.float64)
        # Hu's term less what the sum over all pairs holds already.
        total += float(np.sum(w[part] * (score - 1) ** 2 + loss.offset * (1 - 2 * score)))
    for factors, codes, others in ((users, row, len(items)), (items, interactions.indices, len(users))):
        weight = np.bincount(codes, w, len(factors))
        total += float(
            loss.penalty(weight, others) @ np.einsum("nf,nf->n", factors, factors, dtype=np.float64)
        )
    return total
