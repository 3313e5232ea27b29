"""Rows of tables, products of every two fields, and their gradients, against their twins."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import training as native

NONE = np.empty(0, np.int64)


def random_bags(rng: np.random.Generator, sides: int, n: int, values: int) -> tuple[np.ndarray, ...]:
    """Rows of a side with up to four values each, examples of them, and a value to leave out of each."""
    lengths = rng.integers(0, 5, sides)
    ids = np.concatenate(
        [
            np.empty(0, np.int64),
            *(np.sort(rng.choice(values, min(k, values), replace=False)) for k in lengths),
        ]
    )
    indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, values))])
    return (
        indptr.astype(np.int64),
        ids.astype(np.int32),
        rng.integers(0, sides, n),
        rng.integers(0, values, n),
    )


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(0, 40),
    st.integers(1, 12),
    st.integers(1, 20),
    st.integers(0, 3),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=2),
    st.integers(0, 2**32 - 1),
)
def test_the_vectors_of_fields_and_their_gradient(sides, n, values, width, single, several, seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(values, width)).astype(np.float32)
    bags = []
    for mean, leave_out in several:
        indptr, ids, rows, left = random_bags(rng, sides, n, values)
        bags.append(native.Ids(indptr, ids, rows, left if leave_out else NONE, mean))
    fields = (rng.integers(0, values, (n, single)), bags)
    found = native.take_fields(table, *fields)
    assert found.shape == (n, single + len(bags), width)
    np.testing.assert_allclose(found, native.take_fields_numpy(table, *fields), atol=1e-5)
    gradient = rng.normal(size=found.shape).astype(np.float32)
    added, expected = table.copy(), table.copy()
    native.add_fields(gradient, *fields, added)
    native.add_fields_numpy(gradient, *fields, expected)
    np.testing.assert_allclose(added, expected, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(0, 6), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_products_of_every_two_fields_and_their_gradient(n, fields, width, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, fields, width)).astype(np.float32)
    sums, totals = native.pair_sums(vectors)
    for found, expected in zip((sums, totals), native.pair_sums_numpy(vectors), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)
    gradient = rng.normal(size=n).astype(np.float32)
    found = native.pair_sums_gradient(vectors, totals, gradient)
    expected = native.pair_sums_gradient_numpy(vectors, totals, gradient)
    np.testing.assert_allclose(found, expected, atol=1e-5)
