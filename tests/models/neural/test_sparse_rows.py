"""Sparse rows in a network: our kernels against torch's own dense products, forward and backward."""

import numpy as np
import pytest
import torch

from tastemaker import _native
from tastemaker.models.neural.sparse_rows import (
    Entries,
    Rows,
    known_products,
    known_products_torch,
    weighted_sums,
    weighted_sums_torch,
)

CPU = torch.device("cpu")
COLUMNS = 11


def rows(seed: int = 0, lengths: tuple[int, ...] = (3, 0, 11, 1, 6, 0)) -> Rows:
    rng = np.random.default_rng(seed)
    column = np.concatenate([rng.permutation(COLUMNS)[:n] for n in lengths]).astype(np.int32)
    value, weight = rng.normal(size=(2, len(column))).astype(np.float32)
    return Rows(np.concatenate([[0], np.cumsum(lengths)]), column, value, weight, CPU)


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def test_rows_are_taken_with_all_that_is_theirs() -> None:
    whole = rows()
    order = [4, 1, 0, 4]
    taken = whole.take(torch.tensor(order))
    assert taken.indptr.tolist() == [0, 6, 6, 9, 15]
    assert taken.row().tolist() == [0] * 6 + [2] * 3 + [3] * 6
    for name in ("column", "value", "weight"):
        column = getattr(whole.all, name).numpy()
        expected = np.concatenate([column[slice(*whole.all.indptr[r : r + 2])] for r in order])
        np.testing.assert_array_equal(getattr(taken, name), expected)
    everything = whole.take(torch.arange(len(whole)))
    assert all(torch.equal(a, b) for a, b in zip(everything, whole.all, strict=True))


def test_sums_and_products_by_hand() -> None:
    entries = Entries(
        torch.tensor([0, 2, 3]),
        torch.tensor([2, 0, 1], dtype=torch.int32),
        torch.tensor([1.0, -2.0, 0.5]),
        torch.ones(3),
    )
    table = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    assert weighted_sums(entries, table).tolist() == [[1.0, 10.0], [1.0, 10.0]]
    left = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert known_products(entries, left, table).tolist() == [3.0, 1.0, 22.0]


def test_sums_and_their_gradient_are_torchs() -> None:
    entries = rows().all
    table, slope = numbers(1, COLUMNS, 20), numbers(2, 6, 20).detach()
    found = []
    for function in (weighted_sums, weighted_sums_torch):
        table.grad = None
        out = function(entries, table)
        out.backward(slope)
        found.append((out.detach(), table.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_products_and_their_gradients_are_torchs() -> None:
    entries = rows().all
    left, right = numbers(1, 6, 20), numbers(2, COLUMNS, 20)
    slope = numbers(3, len(entries.column)).detach()
    found = []
    for function in (known_products, known_products_torch):
        left.grad = right.grad = None
        out = function(entries, left, right)
        out.backward(slope)
        found.append((out.detach(), left.grad, right.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    entries = rows(lengths=(7,) * 300).all
    before = _native.threads()
    found = []
    try:
        for count in (1, 2, 3):
            _native.set_threads(count)
            table, right = numbers(1, COLUMNS, 40), numbers(2, COLUMNS, 40)
            out = known_products(entries, weighted_sums(entries, table), right)
            out.square().sum().backward()
            found.append([x.detach().numpy().tobytes() for x in (out, table.grad, right.grad)])
    finally:
        _native.set_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_computes_the_same() -> None:
    entries, table, right = rows().all, numbers(1, COLUMNS, 20), numbers(2, COLUMNS, 20)
    there = Entries(*(part.cuda() for part in entries))
    ours = known_products(entries, weighted_sums(entries, table), right)
    theirs = known_products(there, weighted_sums(there, table.cuda()), right.cuda())
    torch.testing.assert_close(ours, theirs.cpu(), rtol=1e-3, atol=1e-4)
