"""The network over pairs against its twin, and the promise that a score's bits depend on its pair alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import set_threads, threads
from tastemaker._native.dot import PackedItems
from tastemaker._native.mlp import PairLayers, add_pair_scores, add_pair_scores_numpy


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def random_layers(rng: np.random.Generator, sizes: list[int], relu_first: bool = True) -> PairLayers:
    """Layers of these sizes, and one number at the end."""
    pairs = list(zip(sizes, [*sizes[1:], 1], strict=True))
    weights = tuple(normal(rng, outputs, inputs) for inputs, outputs in pairs)
    biases = tuple(normal(rng, outputs) for _, outputs in pairs)
    return PairLayers(weights, biases, (relu_first, *[True] * (len(sizes) - 1), False))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(0, 120),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_scores_are_what_the_network_gives(queries, items, sizes, relu_first, seed):
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, sizes, relu_first)
    asked, there = normal(rng, queries, sizes[0]), normal(rng, items, sizes[0])
    start = normal(rng, queries, items)
    expected = add_pair_scores_numpy(asked, there, layers, start.copy())
    scores = add_pair_scores(asked, there, layers, start.copy())
    size = np.ones(sizes[0]) * 6.0  # how large the sums can become
    for weight in layers.weights:
        size = np.abs(weight) @ size + 4
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6 * float(size[0]))


def test_without_layers_it_is_a_sum():
    rng = np.random.default_rng(0)
    asked, there = normal(rng, 3, 1), normal(rng, 50, 1)
    none = PairLayers((), (), (False,))
    scores = add_pair_scores(asked, there, none, np.zeros((3, 50), np.float32))
    np.testing.assert_array_equal(scores, asked + there.T)


def test_a_score_has_the_same_bits_alone_in_any_batch_and_with_any_threads():
    rng = np.random.default_rng(1)
    layers = random_layers(rng, [37, 19, 8])
    asked, there = normal(rng, 70, 37), normal(rng, 900, 37)
    before = threads()
    try:
        answers = []
        for count in (1, 2, 3):
            set_threads(count)
            answers.append(
                add_pair_scores(asked, PackedItems(there), layers, np.zeros((70, 900), np.float32))
            )
    finally:
        set_threads(before)
    assert answers[0].tobytes() == answers[1].tobytes() == answers[2].tobytes()
    for q in (0, 31, 32, 69):
        alone = add_pair_scores(asked[q : q + 1], there, layers, np.zeros((1, 900), np.float32))
        np.testing.assert_array_equal(alone[0], answers[0][q])
    some = rng.permutation(900)[:100]
    few = add_pair_scores(asked, there[some], layers, np.zeros((70, 100), np.float32))
    np.testing.assert_array_equal(few, answers[0][:, some])


def test_nan_at_the_start_stays():
    rng = np.random.default_rng(2)
    start = np.zeros((2, 5), np.float32)
    start[:, 3] = np.nan
    scores = add_pair_scores(normal(rng, 2, 4), normal(rng, 5, 4), random_layers(rng, [4, 3]), start)
    assert scores is start
    assert np.isnan(scores[:, 3]).all()
    assert np.isfinite(np.delete(scores, 3, axis=1)).all()


def test_what_does_not_fit_is_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="end in one output"):
        PairLayers((normal(rng, 2, 3),), (normal(rng, 2),), (True, False))
    layers = random_layers(rng, [4, 3])
    with pytest.raises(ValueError, match="takes 4 numbers, queries and items have 5"):
        add_pair_scores(normal(rng, 1, 5), normal(rng, 2, 5), layers, np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match=r"one column an item, \(1, 2\), got \(2, 1\)"):
        add_pair_scores(normal(rng, 1, 4), normal(rng, 2, 4), layers, np.zeros((2, 1), np.float32))
    with pytest.raises(ValueError, match="without layers"):
        add_pair_scores(normal(rng, 1, 4), normal(rng, 2, 4), PairLayers((), (), (True,)), np.zeros((1, 2)))
