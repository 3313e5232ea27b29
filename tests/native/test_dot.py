"""The dot products against their twin, and the promise that a score's bits depend on its two vectors alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import set_threads, threads
from tastemaker._native.dot import PackedItems, dot_scores, dot_scores_numpy


def vectors(rng: np.random.Generator, count: int, factors: int) -> np.ndarray:
    return rng.normal(size=(count, factors)).astype(np.float32)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 40), st.integers(0, 120), st.integers(0, 70), st.booleans(), st.integers(0, 2**32))
def test_scores_are_the_dot_products(queries, items, factors, biased, seed):
    rng = np.random.default_rng(seed)
    bias = rng.normal(size=items).astype(np.float32) if biased else None
    packed = PackedItems(vectors(rng, items, factors), bias)
    asked = vectors(rng, queries, factors)
    scores = dot_scores(asked, packed)
    assert scores.shape == (queries, items)
    scale = np.abs(asked) @ np.abs(packed.items).T + 1.0
    assert np.all(np.abs(scores - dot_scores_numpy(asked, packed)) <= 4e-6 * scale)


def test_whole_numbers_are_exact():
    rng = np.random.default_rng(0)
    asked, items = (rng.integers(-9, 10, (n, 33)).astype(np.float32) for n in (17, 99))
    np.testing.assert_array_equal(dot_scores(asked, items), asked @ items.T)


def test_a_score_has_the_same_bits_alone_and_in_any_batch():
    rng = np.random.default_rng(1)
    asked, items = vectors(rng, 150, 37), vectors(rng, 111, 37)
    whole = dot_scores(asked, items)
    for q in (0, 3, 77, 149):
        np.testing.assert_array_equal(dot_scores(asked[q : q + 1], items)[0], whole[q])
    np.testing.assert_array_equal(dot_scores(asked[5:18], items), whole[5:18])
    some = rng.permutation(111)[:50]
    np.testing.assert_array_equal(dot_scores(asked, items[some]), whole[:, some])


def test_threads_change_no_bit():
    rng = np.random.default_rng(2)
    asked, items = vectors(rng, 1000, 20), vectors(rng, 333, 20)
    before = threads()
    try:
        set_threads(1)
        one = dot_scores(asked, items)
        set_threads(2)
        np.testing.assert_array_equal(dot_scores(asked, items), one)
    finally:
        set_threads(before)


def test_missing_factors_give_no_score():
    scores = dot_scores(
        np.array([[np.nan, 1], [1, 1]], np.float32), np.array([[1, 1], [0, np.nan]], np.float32)
    )
    np.testing.assert_array_equal(scores, np.array([[np.nan, np.nan], [2, np.nan]], np.float32))


@pytest.mark.parametrize(
    ("queries", "items", "message"),
    [
        (np.ones((2, 3)), np.ones((4, 2)), "queries have 3 factors and items 2"),
        (np.ones(3), np.ones((4, 3)), "queries must be a matrix"),
        (np.ones((2, 3)), np.ones(3), "items must be a matrix"),
    ],
)
def test_shapes_that_do_not_fit(queries, items, message):
    with pytest.raises(ValueError, match=message):
        dot_scores(queries.astype(np.float32), items.astype(np.float32))


def test_a_bias_for_every_item():
    with pytest.raises(ValueError, match="one value for each of the 4 items"):
        PackedItems(np.ones((4, 2), np.float32), np.ones(3, np.float32))
