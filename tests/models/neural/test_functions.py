"""Fields of tables, products of every two, layers with dropout: values and gradients are those of torch's own functions."""

import pytest
import torch
from torch.nn import functional

from tastemaker.models.neural.functions import Bag, look_up, pair_sums, relu_layers, vectors_of


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


def test_fields_side_by_side_are_those_alone():
    table = torch.randn(9, 3)
    indptr, ids = torch.tensor([0, 2, 2, 5]), torch.tensor([7, 8, 1, 4, 8], dtype=torch.int32)
    bags = [Bag(indptr, ids, torch.tensor([2, 1, 0, 2]), None, pooling) for pooling in ("mean", "sum")]
    single = torch.tensor([[1, 1], [5, 0], [2, 8], [0, 3]])
    found = vectors_of(table, single, bags)
    assert torch.equal(found[:, :2], look_up(table, single))
    for place, bag in enumerate(bags, start=2):
        assert torch.equal(found[:, place], bag.pooled(table))


def test_products_of_every_two_fields_as_torch_has_them():
    vectors = torch.randn(5, 4, 3, requires_grad=True)
    weights = torch.randn(5)
    theirs = 0.5 * (vectors.sum(1).square() - vectors.square().sum(1)).sum(1)
    (theirs * weights).sum().backward()
    expected, vectors.grad = vectors.grad, None
    found = pair_sums(vectors)
    (found * weights).sum().backward()
    assert torch.allclose(found, theirs, atol=1e-5)
    assert torch.allclose(vectors.grad, expected, atol=1e-5)


def test_layers_as_torch_has_them():
    shapes = ((50, 7), (9, 7), (4, 9), (9,), (4,))
    x, *parameters = (torch.randn(*shape, requires_grad=True) for shape in shapes)
    weights, biases, counts = parameters[:2], parameters[2:], torch.randn(50, 4)
    theirs = x
    for weight, bias in zip(weights, biases, strict=True):
        theirs = functional.relu(functional.linear(theirs, weight, bias))
    expected = torch.autograd.grad((theirs * counts).sum(), (x, *parameters))
    found = relu_layers(x, weights, biases, 0.0, None)
    gradients = torch.autograd.grad((found * counts).sum(), (x, *parameters))
    assert torch.allclose(found, theirs, atol=1e-5)
    for gradient, other in zip(gradients, expected, strict=True):
        assert torch.allclose(gradient, other, atol=1e-4)


def test_dropout_is_the_generators_and_in_the_gradient():
    before, one, nothing = torch.randn(300, 200, requires_grad=True), torch.eye(200), torch.zeros(200)
    after, again = (
        relu_layers(before, [one], [nothing], 0.25, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(after, again)
    after.sum().backward()
    kept = after > 0
    assert torch.allclose(after[kept], before[kept] / 0.75)
    assert torch.allclose(before.grad, kept.float() / 0.75)
    assert kept.float().mean().item() == pytest.approx(0.5 * 0.75, abs=0.01)
