"""Layers against plain matrix products, a row alone and in a batch, and the first layer as a sum of two parts."""

from itertools import pairwise

import numpy as np
import pytest

from tastemaker.models.neural.layers import Dense, Mlp, PairMlp


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def network(rng: np.random.Generator, sizes: list[int]) -> Mlp:
    weights = [normal(rng, o, i) for i, o in pairwise(sizes)]
    return Mlp.of(weights, [normal(rng, o) for o in sizes[1:]])


def by_hand(mlp: Mlp, x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    for layer in mlp.layers:
        x = x @ layer.weight.T.astype(np.float64) + layer.bias
        x = np.maximum(x, 0) if layer.relu else x
    return x


def test_dense(rng):
    x, weight, bias = normal(rng, 9, 5), normal(rng, 3, 5), normal(rng, 3)
    line = x @ weight.T + bias
    np.testing.assert_allclose(Dense(weight, bias, relu=False)(x), line, atol=1e-5)
    np.testing.assert_allclose(Dense(weight, bias, relu=True)(x), np.maximum(line, 0), atol=1e-5)


def test_a_network_is_its_layers_one_after_another(rng):
    mlp = network(rng, [7, 6, 5, 2])
    assert [layer.relu for layer in mlp.layers] == [True, True, False]
    x = normal(rng, 50, 7)
    whole = mlp(x)
    np.testing.assert_allclose(whole, by_hand(mlp, x), atol=1e-4)
    for row in (0, 13, 49):
        np.testing.assert_array_equal(mlp(x[row : row + 1])[0], whole[row])
    assert Mlp.of((), ())(x) is x


def test_there_and_back(rng):
    mlp = network(rng, [4, 3, 1])
    back = Mlp.of(mlp.weights, mlp.biases)
    x = normal(rng, 6, 4)
    np.testing.assert_array_equal(back(x), mlp(x))
    assert Mlp.of(mlp.weights, mlp.biases, relu_last=True).layers[-1].relu


@pytest.mark.parametrize("sizes", [[9, 8, 4, 1], [9, 6, 1], [9, 1]])
def test_every_pair_is_the_network_over_both_vectors(rng, sizes):
    mlp = network(rng, sizes)
    pair = PairMlp.of(mlp, query_width=5)
    queries, items = normal(rng, 11, 5), normal(rng, 60, 4)
    q, i = pair.queries(queries), pair.items(items)
    scores = pair.score(q, i)
    both = np.concatenate([np.repeat(queries, 60, axis=0), np.tile(items, (11, 1))], axis=1)
    np.testing.assert_allclose(scores.ravel(), by_hand(mlp, both)[:, 0], atol=1e-4)
    rows, columns = rng.integers(0, 11, 30), rng.integers(0, 60, 30)
    np.testing.assert_array_equal(pair.pairs(q[rows], i[columns]), scores[rows, columns])
    start = normal(rng, 11, 60)
    np.testing.assert_allclose(pair.score(q, i, start.copy()), start + scores, atol=1e-5)
