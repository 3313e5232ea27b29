"""Each optimizer against its published update, number by number."""

import numpy as np
import pytest
import torch
from torch import nn

from tastemaker.models.neural.optimizers import FTRL, RowwiseAdaGrad, TouchedAdam, dense_adam


def table(rows: int, width: int, seed: int = 0) -> nn.Parameter:
    numbers = np.random.default_rng(seed).normal(size=(rows, width))
    return nn.Parameter(torch.from_numpy(numbers.astype(np.float32)))


def gradients(rows: int, width: int, steps: int = 8) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each step the rows touched and their gradients."""
    rng = np.random.default_rng(9)
    chosen = [np.sort(rng.choice(rows, 3, replace=False)) for _ in range(steps)]
    return [(r, rng.normal(size=(3, width)).astype(np.float32)) for r in chosen]


def give(parameter: nn.Parameter, rows: np.ndarray, values: np.ndarray, sparse: bool) -> None:
    """Set the gradient; a sparse one in two halves that add up, as repeated look-ups bring them."""
    if sparse:
        twice = torch.from_numpy(np.concatenate([rows, rows])).unsqueeze(0)
        halves = torch.from_numpy(np.concatenate([values / 2, values / 2]))
        parameter.grad = torch.sparse_coo_tensor(twice, halves, parameter.shape)
    else:
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[torch.from_numpy(rows)] = torch.from_numpy(values)


@pytest.mark.parametrize("sparse", [False, True])
def test_rowwise_adagrad(sparse):
    weights = table(6, 4)
    w = weights.detach().numpy().astype(np.float64)
    s = np.full(6, 0.01)
    optimizer = RowwiseAdaGrad([weights], lr=0.5, initial=0.01)
    for rows, values in gradients(6, 4):
        give(weights, rows, values, sparse)
        optimizer.step()
        for row, value in zip(rows, values, strict=True):
            s[row] += np.mean(value**2)
            w[row] -= 0.5 * value / (np.sqrt(s[row]) + 1e-10)
        np.testing.assert_allclose(weights.detach().numpy(), w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_ftrl_is_algorithm_1_of_mcmahan_et_al(sparse):
    alpha, beta, l1, l2 = 0.3, 0.7, 0.4, 0.2
    weights = nn.Parameter(torch.zeros(6, 2))
    z, n, w = np.zeros((6, 2)), np.zeros((6, 2)), np.zeros((6, 2))
    optimizer = FTRL([weights], alpha=alpha, beta=beta, l1=l1, l2=l2)
    for rows, values in gradients(6, 2):
        give(weights, rows, values, sparse)
        optimizer.step()
        for row, value in zip(rows, values, strict=True):
            for i, g in enumerate(value):
                sigma = (np.sqrt(n[row, i] + g**2) - np.sqrt(n[row, i])) / alpha
                z[row, i] += g - sigma * w[row, i]
                n[row, i] += g**2
                # the paper writes w where the next prediction is made, from z and n as they are then
                if abs(z[row, i]) <= l1:
                    w[row, i] = 0
                else:
                    rate = (beta + np.sqrt(n[row, i])) / alpha + l2
                    w[row, i] = -(z[row, i] - np.sign(z[row, i]) * l1) / rate
        np.testing.assert_allclose(weights.detach().numpy(), w, rtol=1e-4, atol=1e-6)
    assert (w == 0).any(), "some weights have too little evidence"
    assert np.array_equal(weights.detach().numpy() == 0, w == 0)


def test_ftrl_leaves_weights_that_do_not_start_at_zero_until_they_have_a_gradient():
    weights = table(3, 2)
    before = weights.detach().clone()
    optimizer = FTRL([weights], l1=0.1, l2=0.1)
    tiny = np.full((1, 2), 1e-12, np.float32)
    give(weights, np.array([1]), tiny, sparse=True)
    optimizer.step()
    torch.testing.assert_close(weights.detach(), before)


def test_dense_adam_decays_whole_tables():
    rows = 5
    weights = table(rows, 3)
    w = weights.detach().numpy().astype(np.float64)
    m, v = np.zeros((rows, 3)), np.zeros((rows, 3))
    optimizer = dense_adam([weights], lr=0.01, weight_decay=0.1)
    for t, (touched, values) in enumerate(gradients(rows, 3), start=1):
        give(weights, touched, values, sparse=False)
        g = 0.1 * w
        g[touched] += values
        optimizer.step()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(weights.detach().numpy(), w, rtol=1e-4, atol=1e-5)


def test_what_is_not_to_decay_does_not():
    decayed, free = (nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = dense_adam([decayed], lr=0.1, weight_decay=0.5, undecayed=[free])
    decayed.grad, free.grad = torch.zeros(3), torch.zeros(3)
    optimizer.step()
    assert (decayed < 1).all()
    assert (free == 1).all()


def test_dense_adam_takes_a_module():
    layer = nn.Linear(2, 1)
    assert len(dense_adam(layer, lr=0.1).param_groups[0]["params"]) == 2


@pytest.mark.parametrize("kind", [RowwiseAdaGrad, FTRL])
def test_a_closure_is_refused(kind):
    optimizer = kind([table(2, 2)], 0.1)
    with pytest.raises(ValueError, match="takes no closure"):
        optimizer.step(lambda: 0)


def test_touched_adam_is_adam_with_dense_gradients():
    dense, touched = table(30, 4), table(30, 4)
    slow, quick = dense_adam([dense], lr=0.01), TouchedAdam(touched, lr=0.01)
    rng = np.random.default_rng(4)
    for step in range(400):
        ids = torch.from_numpy(
            rng.integers(0, 29 if step % 50 else 3, (2, 3))
        )  # some rows rest for long, one for ever
        target = torch.from_numpy(rng.normal(size=(2, 3, 4)).astype(np.float32))
        slow.zero_grad()
        (nn.functional.embedding(ids, dense) - target).square().mean().backward()
        slow.step()
        rows = quick.look_up(ids)
        (rows - target).square().mean().backward()
        quick.step()
    quick.settle()
    start = table(30, 4).detach()
    moved = (dense.detach() - start).abs().max()
    assert moved > 0.3
    assert (dense - touched).abs().max() < 1e-3 * moved
    assert torch.equal(touched[29], start[29])


def test_touched_adam_goes_on_from_its_state():
    def run(optimizer: TouchedAdam, steps: range) -> None:
        for step in steps:
            optimizer.look_up(torch.tensor([step % 7, 3])).square().sum().backward()
            optimizer.step()
        optimizer.settle()

    through, first = table(9, 2), table(9, 2)
    whole, half = TouchedAdam(through, lr=0.1), TouchedAdam(first, lr=0.1)
    run(whole, range(5))
    run(whole, range(5, 10))
    run(half, range(5))
    second = nn.Parameter(first.detach().clone())
    rest = TouchedAdam(second, lr=0.1)
    rest.load_state_dict(half.state_dict())
    run(rest, range(5, 10))
    assert torch.equal(through, second)
