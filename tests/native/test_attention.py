"""Attention over packed sequences, and its gradient, against the NumPy twins and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tastemaker import _native
from tastemaker._native import attention as native


def random_rows(lengths: list[int], width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(sum(lengths), width)).astype(np.float32), np.cumsum([0, *lengths])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.integers(1, 3),
    st.sampled_from([1, 3, 16, 20]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_values_and_gradients_are_those_of_the_twins(lengths, heads, width, causal, seed):
    factors = heads * width
    rows, ends = random_rows(lengths, 3 * factors, seed)
    weights = native.weights_for(ends, heads)
    out = native.attend(rows, ends, rows, ends, heads, factors, causal, weights)
    np.testing.assert_allclose(
        out, native.attend_numpy(rows, ends, rows, ends, heads, factors, causal), atol=2e-5
    )
    gradient = np.random.default_rng(seed).normal(size=out.shape).astype(np.float32)
    found = native.attend_back(rows, ends, heads, causal, weights, out, gradient)
    expected = native.attend_back_numpy(rows, ends, heads, causal, gradient)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_what_torch_computes(causal):
    rows, ends = random_rows([37, 20], 3 * 32, 0)
    given_rows = torch.from_numpy(rows).requires_grad_()
    parts = []
    for begin, end in ((0, 37), (37, 57)):
        q, k, v = given_rows[begin:end].view(-1, 3, 2, 16).permute(1, 2, 0, 3)
        parts.append(functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(0, 1))
    theirs = torch.cat(parts).flatten(1)
    weights = native.weights_for(ends, 2)
    ours = native.attend(rows, ends, rows, ends, 2, 32, causal, weights)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=2e-6)
    gradient = torch.randn(57, 32, generator=torch.Generator().manual_seed(1))
    theirs.backward(gradient)
    found = native.attend_back(rows, ends, 2, causal, weights, ours, gradient.numpy())
    np.testing.assert_allclose(found, given_rows.grad.numpy(), atol=1e-5)


def test_a_later_token_changes_nothing_before_it():
    rows, ends = random_rows([30], 3 * 8, 2)
    before = native.attend(rows, ends, rows, ends, 1, 8, causal=True)
    rows[20:] += 1000
    after = native.attend(rows, ends, rows, ends, 1, 8, causal=True)
    assert after[:20].tobytes() == before[:20].tobytes()
    assert (after[20:] != before[20:]).all()


def test_the_last_query_alone_sees_all_keys():
    rows, ends = random_rows([9, 1, 25], 3 * 12, 3)
    whole = native.attend_numpy(rows, ends, rows, ends, 3, 12, causal=True)
    last = rows[ends[1:] - 1]
    alone = native.attend(last, np.arange(4), rows, ends, 3, 12, causal=False)
    np.testing.assert_allclose(alone, whole[ends[1:] - 1], atol=2e-6)


def test_a_sequence_has_the_same_bits_alone_or_with_others_and_with_any_threads():
    rows, ends = random_rows([50, 3, 17], 3 * 16, 4)
    together = native.attend(rows, ends, rows, ends, 2, 16, causal=False)
    own = rows[53:].copy()
    alone = native.attend(own, np.array([0, 17]), own, np.array([0, 17]), 2, 16, causal=False)
    assert alone.tobytes() == together[53:].tobytes()
    before = _native.threads()
    try:
        for threads in (1, 3):
            _native.set_threads(threads)
            again = native.attend(rows, ends, rows, ends, 2, 16, causal=False)
            assert again.tobytes() == together.tobytes()
    finally:
        _native.set_threads(before)


def test_large_scores_do_not_overflow():
    rows, ends = random_rows([20], 3 * 4, 5)
    rows[:, :8] *= 1e4
    out = native.attend(rows, ends, rows, ends, 1, 4, causal=True)
    np.testing.assert_allclose(out, native.attend_numpy(rows, ends, rows, ends, 1, 4, causal=True), rtol=1e-4)
