"""Half-sweeps of alternating least squares against the normal equations, their NumPy twins and one another."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tastemaker._native import als, set_threads, threads
from tastemaker._native.als import Loss, Solver
from tastemaker._native.neighbors import Csr

IALS = Loss(unobserved_weight=0.1, regularization=0.02, exponent=0.7)
HU = Loss(unobserved_weight=0.5, regularization=0.3, exponent=0.0, hu=True)
SOLVERS: list[Solver] = ["cg", "cholesky", "subspace"]


def sides(rows: int, columns: int, factors: int, seed: int = 0) -> tuple[NDArray[np.float32], ...]:
    """Padded random factors of both sides."""
    rng = np.random.default_rng(seed)
    return tuple(als.padded(rng.normal(0, 0.3, (n, factors)).astype(np.float32)) for n in (rows, columns))


def interactions(lengths: list[int], columns: int, seed: int = 1) -> Csr:
    """Rows of the given lengths with random columns and weights."""
    rng = np.random.default_rng(seed)
    indices = np.concatenate([rng.choice(columns, n, replace=False) for n in lengths])
    weights = rng.uniform(0.2, 3, len(indices))
    return Csr(
        np.r_[0, np.cumsum(lengths)].astype(np.int64), indices.astype(np.int32), weights.astype(np.float32)
    )


def normal_equations(rows: Csr, fixed: NDArray[np.float32], loss: Loss) -> NDArray[np.float64]:
    """The exact solution of every row, as the formula of the loss has it."""
    y = fixed.astype(np.float64)
    solutions = np.zeros((len(rows.indptr) - 1, y.shape[1]))
    for u in range(len(solutions)):
        at = slice(rows.indptr[u], rows.indptr[u + 1])
        own, w = y[rows.indices[at]], rows.values[at].astype(np.float64)
        penalty = float(loss.penalty(w.sum(), len(y)))
        matrix = loss.unobserved_weight * y.T @ y + (own.T * w) @ own + penalty * np.eye(y.shape[1])
        solutions[u] = np.linalg.solve(matrix, own.T @ (w + loss.offset))
    return solutions


@pytest.fixture
def _same_threads_after() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


@pytest.mark.parametrize("factors", [1, 16, 32, 33, 100, 192, 300])
def test_gram_and_rotation_are_matrix_products(factors: int) -> None:
    rows, _ = sides(1037, 1, factors)
    np.testing.assert_allclose(als.gram(rows), als.gram_numpy(rows), rtol=1e-5, atol=1e-4)
    basis = np.random.default_rng(2).normal(size=(rows.shape[1],) * 2).astype(np.float32)
    expected = rows.astype(np.float64) @ basis
    als.rotate(rows, basis)
    np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-4)


def test_turning_both_sides_keeps_every_score() -> None:
    x, y = sides(50, 80, 20)
    before = x @ y.T
    eigenvalues, basis = als.turn_to_eigenbasis(y, x)
    np.testing.assert_allclose(x @ y.T, before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(als.gram(y), np.diag(eigenvalues), atol=1e-4)
    np.testing.assert_allclose(basis @ basis.T, np.eye(len(basis)), atol=1e-6)


@pytest.mark.parametrize("loss", [IALS, HU], ids=["ials", "hu"])
@pytest.mark.parametrize("factors", [5, 32, 64, 96])
def test_cholesky_solves_the_normal_equations(loss: Loss, factors: int) -> None:
    rows = interactions([0, 1, 3, 31, 32, 33, 63, 64, 65, 200, 777], 1000)
    x, y = sides(11, 1000, factors)
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    als.solve_rows(rows, y, eigenvalues, x, loss, solver="cholesky")
    expected = normal_equations(rows, y, loss)
    assert np.abs(x - expected).max() < 2e-5 * np.abs(expected).max()
    assert not x[0].any()


@pytest.mark.parametrize("loss", [IALS, HU], ids=["ials", "hu"])
@pytest.mark.parametrize("factors", [7, 64, 130])
@pytest.mark.parametrize("solver", SOLVERS)
def test_each_solver_does_what_its_twin_says(solver: Solver, factors: int, loss: Loss) -> None:
    rows = interactions([3, 0, 16, 20, 100, 300], 500)
    x, y = sides(6, 500, factors)
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    twin = x.copy()
    total = als.solve_rows(rows, y, eigenvalues, x, loss, solver=solver)
    expected = als.solve_rows_numpy(rows, y, eigenvalues, twin, loss, solver=solver)
    np.testing.assert_allclose(x, twin, atol=3e-4 * np.abs(twin).max())
    assert total.loss == pytest.approx(expected.loss, rel=1e-4)
    np.testing.assert_allclose(total.penalties, expected.penalties, rtol=1e-9)


@pytest.mark.parametrize("loss", [IALS, HU], ids=["ials", "hu"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_loss_of_the_rows_is_the_whole_loss_less_the_penalty_of_the_fixed_side(
    solver: Solver, loss: Loss
) -> None:
    rows = interactions([30] * 40, 90)
    x, y = sides(40, 90, 12)
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    total = als.solve_rows(rows, y, eigenvalues, x, loss, solver=solver).loss
    weight = np.bincount(rows.indices, rows.values, 90)
    fixed = float(loss.penalty(weight, 40) @ np.square(y, dtype=np.float64).sum(axis=1))
    assert total + fixed == pytest.approx(als.loss_numpy(rows, x, y, loss), rel=1e-4)


def test_hu_counts_an_interaction_once() -> None:
    """One user, one item, one factor: (w + a)(xy - 1)^2 + penalty x^2 has x = (w + a) y / ((w + a) y^2 + penalty)."""
    y = als.padded(np.array([[2.0]], np.float32))
    x = np.zeros_like(y)
    row = Csr(np.array([0, 1]), np.zeros(1, np.int32), np.array([3.0], np.float32))
    eigenvalues, basis = als.turn_to_eigenbasis(y)
    als.solve_rows(row, y, eigenvalues, x, HU, solver="cholesky")
    assert abs((x @ basis.T)[0, 0]) == pytest.approx(3.5 * 2 / (3.5 * 4 + 0.3), rel=1e-5)


def test_rows_too_long_for_the_scratch_are_solved_alike() -> None:
    factors, long = 512, 5000  # 4,096 rows of 512 factors fit
    rows = interactions([long, 10], 6000)
    x, y = sides(2, 6000, factors)
    y *= 0.2
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    for solver in SOLVERS:
        found, twin = x.copy(), x.copy()
        als.solve_rows(rows, y, eigenvalues, found, IALS, solver=solver)
        como: Solver = "cholesky" if solver == "subspace" else solver  # no subspace descent on rows so long
        als.solve_rows_numpy(rows, y, eigenvalues, twin, IALS, solver=como)
        np.testing.assert_allclose(found[0], twin[0], atol=1e-3 * np.abs(twin[0]).max())


def test_conjugate_gradients_and_subspace_descent_reach_the_solution() -> None:
    rows = interactions([5, 40, 150], 200)
    x, y = sides(3, 200, 80)
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    exact = x.copy()
    als.solve_rows(rows, y, eigenvalues, exact, IALS, solver="cholesky")
    for solver in ("cg", "subspace"):
        found = x.copy()
        losses = [als.solve_rows(rows, y, eigenvalues, found, IALS, solver=solver).loss for _ in range(60)]
        assert all(b <= a * (1 + 1e-5) for a, b in pairwise(losses))
        np.testing.assert_allclose(found, exact, atol=2e-3 * np.abs(exact).max())


@pytest.mark.usefixtures("_same_threads_after")
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_bits_depend_neither_on_threads_nor_on_the_batch(solver: Solver) -> None:
    rows = interactions([7, 300, 45, 90] * 60, 400)
    x, y = sides(240, 400, 48)
    eigenvalues, _ = als.turn_to_eigenbasis(y, x)
    found = []
    for count in (1, 2, 3):
        set_threads(count)
        solution = x.copy()
        total = als.solve_rows(rows, y, eigenvalues, solution, IALS, solver=solver).loss
        found.append((solution.tobytes(), total, als.gram(y).tobytes()))
    assert found[0] == found[1] == found[2]
    at = slice(rows.indptr[5], rows.indptr[6])
    alone = x[5:6].copy()
    row = Csr(np.array([0, at.stop - at.start]), rows.indices[at], rows.values[at])
    als.solve_rows(row, y, eigenvalues, alone, IALS, solver=solver)
    assert alone.tobytes() == solution[5].tobytes()


def test_too_many_factors_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1024, got 1025"):
        als.padded(np.zeros((1, 1025), np.float32))
