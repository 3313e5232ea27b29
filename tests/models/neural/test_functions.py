"""Rows of tables and ReLU with dropout: values and gradients are those of torch's own functions."""

import pytest
import torch
from torch.nn import functional

from tastemaker.models.neural.functions import Bag, look_up, relu_dropout


def test_rows_as_torch_looks_them_up():
    table = torch.randn(6, 3, requires_grad=True)
    ids = torch.tensor([[1, 1], [5, 0]])
    weights = torch.randn(2, 2, 3)
    (functional.embedding(ids, table) * weights).sum().backward()
    expected, table.grad = table.grad, None
    found = look_up(table, ids)
    (found * weights).sum().backward()
    assert torch.equal(found, functional.embedding(ids, table))
    assert torch.allclose(table.grad, expected)
    assert look_up(table, torch.empty(4, 0, dtype=torch.int64)).shape == (4, 0, 3)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_bags_as_torch_pools_them(pooling):
    table = torch.randn(9, 3, requires_grad=True)
    indptr, ids = torch.tensor([0, 2, 2, 5]), torch.tensor([7, 8, 1, 4, 8], dtype=torch.int32)
    bag = Bag(indptr, ids, torch.tensor([2, 1, 0, 2]), torch.tensor([4, 4, 4, 0]), pooling)
    weights = torch.randn(4, 3)
    values, starts = torch.tensor([1, 8, 7, 8, 1, 4, 8]), torch.tensor([0, 2, 2, 4])
    theirs = functional.embedding_bag(values, table, starts, mode=pooling)
    (theirs * weights).sum().backward()
    expected, table.grad = table.grad, None
    found = bag.pooled(table)
    (found * weights).sum().backward()
    assert torch.allclose(found, theirs)
    assert torch.allclose(table.grad, expected)


def test_relu_with_dropout_and_its_gradient():
    before = torch.randn(300, 200, requires_grad=True)
    after = relu_dropout(before * 1.0, 0.25, torch.Generator().manual_seed(3))
    after.sum().backward()
    kept = after > 0
    assert torch.allclose(after[kept], before[kept] / 0.75)
    assert torch.equal(before.grad, kept.float() / 0.75)
    assert kept.float().mean().item() == pytest.approx(0.5 * 0.75, abs=0.01)
    again = relu_dropout(before * 1.0, 0.25, torch.Generator().manual_seed(3))
    assert torch.equal(after, again)
