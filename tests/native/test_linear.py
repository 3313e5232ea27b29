"""The kernels of linear models against their twins, alone and in batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker import _native
from tastemaker._native.linear import (
    gram,
    gram_numpy,
    products_at,
    products_at_numpy,
    sharpen,
    sharpen_numpy,
    times_dense,
    times_dense_numpy,
    times_sparse,
    times_sparse_numpy,
    two_hops,
    two_hops_numpy,
)
from tastemaker._native.neighbors import Csr
from tastemaker._native.slim import slim_weights, slim_weights_numpy


def sparse(
    rng: np.random.Generator, rows: int, columns: int, filled: float = 0.3, shuffled: bool = True
) -> Csr:
    """Random rows, in random order within each row or ascending."""
    lists = [np.flatnonzero(rng.random(columns) < filled) for _ in range(rows)]
    lists = [rng.permutation(r) if shuffled else r for r in lists]
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in lists])]).astype(np.int64)
    indices = np.concatenate([*lists, []]).astype(np.int32)
    return Csr(indptr, indices, rng.normal(size=len(indices)).astype(np.float32))


def one_row(rows: Csr, row: int) -> Csr:
    at = slice(*rows.indptr[row : row + 2])
    return Csr(np.array([0, at.stop - at.start]), rows.indices[at], rows.values[at])


def transposed(rows: Csr, columns: int) -> Csr:
    turned = rows.scipy(columns).T.tocsr()
    return Csr(turned.indptr, turned.indices, turned.data)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 150),
    st.integers(1, 40),
    st.sampled_from([1, 7, 64, 1025, 2500]),
)
def test_times_dense_equals_its_twin_and_a_row_alone(seed, rows, middle, columns):
    rng = np.random.default_rng(seed)
    left = sparse(rng, rows, middle)
    matrix = rng.normal(size=(middle, columns)).astype(np.float32)
    product = times_dense(left, matrix)
    np.testing.assert_allclose(product, times_dense_numpy(left, matrix), rtol=1e-4, atol=1e-4)
    for row in range(0, rows, 11):
        assert times_dense(one_row(left, row), matrix).tobytes() == product[row].tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 150), st.integers(1, 40), st.sampled_from([1, 15, 16, 64, 501])
)
def test_products_at_entries_equal_their_twin_and_a_row_alone(seed, rows, columns, width):
    rng = np.random.default_rng(seed)
    where = sparse(rng, rows, columns)
    left, right = (rng.normal(size=(n, width)).astype(np.float32) for n in (rows, columns))
    products = products_at(where, left, right)
    np.testing.assert_allclose(products, products_at_numpy(where, left, right), rtol=1e-4, atol=1e-4)
    for row in range(0, rows, 11):
        alone = products_at(one_row(where, row), left[row : row + 1], right)
        assert alone.tobytes() == products[slice(*where.indptr[row : row + 2])].tobytes()
        first = Csr(np.array([0, 1]), where.indices[where.indptr[row] :][:1], where.values[:1])
        if where.indptr[row] < where.indptr[row + 1]:  # an entry alone
            assert products_at(first, left[row : row + 1], right)[0] == products[where.indptr[row]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.5))
def test_sparse_products_equal_their_twins_and_a_row_alone(seed, filled):
    rng = np.random.default_rng(seed)
    left, right, on = sparse(rng, 30, 20, filled), sparse(rng, 20, 25, filled), sparse(rng, 25, 15, filled)
    product = times_sparse(left, right, 25)
    np.testing.assert_allclose(product, times_sparse_numpy(left, right, 25), rtol=1e-4, atol=1e-5)
    start = rng.normal(size=(30, 15)).astype(np.float32)
    reached = two_hops(left, right, on, start.copy())
    np.testing.assert_allclose(reached, two_hops_numpy(left, right, on, start), rtol=1e-4, atol=1e-4)
    for row in range(30):
        alone = one_row(left, row)
        assert times_sparse(alone, right, 25).tobytes() == product[row].tobytes()
        assert two_hops(alone, right, on, start[row : row + 1].copy()).tobytes() == reached[row].tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 31, 32, 33, 80]), st.integers(1, 40), st.floats(0, 3)
)
def test_sharpening_equals_its_twin_and_a_row_alone(seed, signals, columns, time):
    rng = np.random.default_rng(seed)
    x = sparse(rng, 20, columns)
    x = x._replace(values=x.values / 10)
    by_column, start = transposed(x, columns), rng.normal(size=(signals, columns)).astype(np.float32)
    sharpened = sharpen(x, by_column, time, start.copy())
    np.testing.assert_allclose(sharpened, sharpen_numpy(x, by_column, time, start), rtol=1e-4, atol=1e-4)
    for row in range(0, signals, 7):
        alone = sharpen(x, by_column, time, start[row : row + 1].copy())
        assert alone.tobytes() == sharpened[row].tobytes()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 50), st.integers(1, 40))
def test_gram_equals_its_twin(seed, rows, columns):
    x = sparse(np.random.default_rng(seed), rows, columns, shuffled=False)
    by_column = transposed(x, columns)
    np.testing.assert_allclose(gram(x, by_column), gram_numpy(x, by_column), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 5.0), (1.0, 0.5), (3.0, 20.0)])
def test_slim_equals_its_twin(non_negative, l1, l2):
    rng = np.random.default_rng(3)
    columns = sparse(rng, 20, 60)
    candidates = np.array([rng.permutation(np.delete(np.arange(20), i))[:12] for i in range(20)], np.int32)
    candidates[5, 4:] = -1
    options = {"l1": l1, "l2": l2, "non_negative": non_negative, "tolerance": 1e-7, "sweeps": 1000}
    weights = slim_weights(columns, 60, candidates, **options)
    np.testing.assert_allclose(weights, slim_weights_numpy(columns, 60, candidates, **options), atol=1e-5)
    assert (weights[5, 4:] == 0).all()
    assert (weights != 0).any()


def test_the_bits_are_the_same_for_any_thread_count():
    rng = np.random.default_rng(1)
    left, right, on = sparse(rng, 300, 200), sparse(rng, 200, 100), sparse(rng, 100, 200, shuffled=False)
    matrix = rng.normal(size=(200, 1500)).astype(np.float32)
    by_column = transposed(on, 200)
    candidates = np.array([np.delete(np.arange(200), i)[:20] for i in range(200)], np.int32)
    before = _native.threads()
    try:
        results = []
        for count in (1, 2, 3):
            _native.set_threads(count)
            results.append(
                [
                    times_dense(left, matrix),
                    products_at(left, np.resize(matrix, (300, 1500)), matrix),
                    times_sparse(left, right, 100),
                    two_hops(left, right, on, np.zeros((300, 200), np.float32)),
                    gram(on, by_column),
                    sharpen(on, by_column, 0.01, matrix[:, :200].copy()),
                    slim_weights(by_column, 100, candidates, l1=0.5, l2=1.0),
                ]
            )
    finally:
        _native.set_threads(before)
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            assert first.tobytes() == second.tobytes()
