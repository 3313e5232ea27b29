"""The kernels of training on a graph against their twins, and what they must not depend on."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tastemaker import _native
from tastemaker._native.graph import (
    Graph,
    Taken,
    compare,
    compare_numpy,
    draw_comparisons,
    draw_comparisons_numpy,
    smooth,
    smooth_numpy,
)


def pairs(
    rng: np.random.Generator, users: int, items: int, filled: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Random pairs, each once, in any order."""
    user, item = (column.astype(np.int32) for column in np.nonzero(rng.random((users, items)) < filled))
    order = rng.permutation(len(user))
    return user[order], item[order]


def by_hand() -> Graph:
    """Two users and two items: user 0 has both, user 1 the second one."""
    return Graph.bipartite(np.array([0, 0, 1], np.int32), np.array([0, 1, 1], np.int32), 2, 2)


def test_the_neighbours_of_users_and_items() -> None:
    graph = by_hand()
    found = [sorted(graph.indices[a:b].tolist()) for a, b in pairwise(graph.indptr)]
    assert found == [[2, 3], [3], [0], [0, 1]]


def test_one_layer_by_hand() -> None:
    table = np.array([[1], [2], [3], [4]], np.float32)
    one = [3 / 2**0.5 + 4 / 2, 4 / 2**0.5, 1 / 2**0.5, 1 / 2 + 2 / 2**0.5]
    np.testing.assert_allclose(smooth(by_hand(), table, 1)[:, 0], (table[:, 0] + one) / 2, rtol=1e-6)


def test_the_smoothest_signal_stays_as_it_is() -> None:
    """The roots of the degrees are the eigenvector of Â to the eigenvalue 1."""
    rng = np.random.default_rng(0)
    graph = Graph.bipartite(*pairs(rng, 50, 40, 0.2), 50, 40)
    root = np.sqrt(graph.degrees).astype(np.float32)[:, None]
    np.testing.assert_allclose(smooth(graph, root, 4)[root > 0], root[root > 0], rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 200),
    st.integers(1, 60),
    st.sampled_from([1, 7, 16, 64, 100]),
    st.integers(0, 4),
)
def test_smooth_equals_explicit_powers(seed: int, users: int, items: int, width: int, layers: int) -> None:
    rng = np.random.default_rng(seed)
    graph = Graph.bipartite(*pairs(rng, users, items, rng.random() / 2), users, items)
    table = rng.normal(size=(users + items, width)).astype(np.float32)
    np.testing.assert_allclose(
        smooth(graph, table, layers), smooth_numpy(graph, table, layers), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3000), st.sampled_from([1, 7, 16, 64, 100]))
def test_compare_equals_its_twin(seed: int, count: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(30, width)).astype(np.float32)
    triples = rng.integers(0, 30, (count, 3)).astype(np.int32)
    loss, gradient = compare(table, triples)
    expected, by_twin = compare_numpy(table, triples)
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, by_twin, rtol=1e-3, atol=1e-5)


def test_large_differences_neither_overflow_nor_vanish() -> None:
    table = np.array([[100], [10], [-10]], np.float32)
    right, wrong = np.array([[0, 1, 2]], np.int32), np.array([[0, 2, 1]], np.int32)
    assert compare(table, right)[0] == 0
    assert compare(table, wrong)[0] == 2000
    np.testing.assert_array_equal(compare(table, wrong)[1][:, 0], [20, 100, -100])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 10**9))
def test_draws_equal_their_twin(key: int, first: int) -> None:
    rng = np.random.default_rng(key)
    taken = Taken.of(*pairs(rng, 12, 9, 0.4), 12, 9)
    np.testing.assert_array_equal(
        draw_comparisons(taken, key, first, 50), draw_comparisons_numpy(taken, key, first, 50)
    )


def test_users_are_drawn_alike_and_negatives_are_nothing_they_have() -> None:
    rng = np.random.default_rng(3)
    user, item = pairs(rng, 8, 20, 0.3)
    taken, count = Taken.of(user, item, 10, 20), 40_000  # users 8 and 9 have nothing
    drawn = draw_comparisons(taken, 5, 0, count)
    had = np.zeros((10, 20), np.bool_)
    had[user, item] = True
    assert had[drawn[:, 0], drawn[:, 1]].all()
    assert not had[drawn[:, 0], drawn[:, 2]].any()
    times = np.bincount(drawn[:, 0], minlength=10)
    users = len(taken.users)
    deviation = (count / users * (1 - 1 / users)) ** 0.5
    assert (abs(times[taken.users] - count / users) < 5 * deviation).all()
    first = user[0]
    own = np.bincount(drawn[drawn[:, 0] == first, 1], minlength=20)[had[first]]
    assert (abs(own - own.mean()) < 5 * own.mean() ** 0.5).all()


def test_who_has_everything_is_compared_with_nothing() -> None:
    taken = Taken.of(np.zeros(3, np.int32), np.arange(3, dtype=np.int32), 1, 3)
    drawn = draw_comparisons(taken, 1, 0, 20)
    assert (drawn[:, 1] == drawn[:, 2]).all()


def test_the_bits_do_not_depend_on_the_threads() -> None:
    rng = np.random.default_rng(1)
    user, item = pairs(rng, 700, 300, 0.05)
    graph, taken = Graph.bipartite(user, item, 700, 300), Taken.of(user, item, 700, 300)
    table = rng.normal(size=(1000, 40)).astype(np.float32)
    before, found = _native.threads(), []
    try:
        for threads in (1, 2, 3):
            _native.set_threads(threads)
            triples = draw_comparisons(taken, 9, 4, 10_000)
            loss, gradient = compare(table, triples)
            found.append((smooth(graph, table, 3).tobytes(), triples.tobytes(), loss, gradient.tobytes()))
    finally:
        _native.set_threads(before)
    assert found[0] == found[1] == found[2]
