"""Losses against the same by hand, in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tastemaker.models.neural.losses import bpr, gbce, logistic, sampled_softmax, squared


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def t(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float64))


def test_squared(rng):
    prediction, target, weight = rng.normal(size=(3, 7))
    weight = np.abs(weight)
    assert squared(t(prediction), t(target)).item() == pytest.approx(np.mean((prediction - target) ** 2))
    expected = sum(w * (p - y) ** 2 for w, p, y in zip(weight, prediction, target, strict=True)) / 7
    assert squared(t(prediction), t(target), t(weight)).item() == pytest.approx(expected)


def test_logistic(rng):
    logit = rng.normal(size=(4, 3))
    label, weight = rng.random((2, 4, 3))
    p = sigmoid(logit)
    each = -(label * np.log(p) + (1 - label) * np.log(1 - p))
    assert logistic(t(logit), t(label)).item() == pytest.approx(each.mean())
    assert logistic(t(logit), t(label), t(weight)).item() == pytest.approx((weight * each).mean())


def test_logistic_does_not_overflow():
    far = logistic(torch.tensor([1000.0, -1000.0]), torch.tensor([0.0, 1.0]))
    assert far.item() == 1000


def test_bpr(rng):
    positive, negative = rng.normal(size=5), rng.normal(size=(5, 3))
    expected = np.mean([-math.log(sigmoid(positive[b] - n)) for b in range(5) for n in negative[b]])
    assert bpr(t(positive), t(negative)).item() == pytest.approx(expected)
    one_each = np.mean(-np.log(sigmoid(positive - negative[:, 0])))
    assert bpr(t(positive), t(negative[:, 0])).item() == pytest.approx(one_each)


def test_sampled_softmax(rng):
    positive, negatives = rng.normal(size=4), rng.normal(size=(4, 6))
    q_positive, q_negatives = rng.random(4), rng.random((4, 6))
    expected = []
    for b in range(4):
        own = math.exp(positive[b]) / q_positive[b]
        others = (np.exp(negatives[b]) / q_negatives[b]).sum()
        expected.append(-math.log(own / (own + others)))
    loss = sampled_softmax(t(positive), t(negatives), t(np.log(q_positive)), t(np.log(q_negatives)))
    assert loss.item() == pytest.approx(np.mean(expected))


def test_sampled_softmax_over_everything_else_is_the_full_one(rng):
    logits, target = rng.normal(size=(3, 8)), np.array([2, 0, 7])
    others = np.array([np.delete(row, i) for row, i in zip(logits, target, strict=True)])
    zero = torch.zeros(())
    sampled = sampled_softmax(t(logits[np.arange(3), target]), t(others), zero, zero)
    assert sampled.item() == pytest.approx(cross_entropy(t(logits), torch.from_numpy(target)).item())


def test_the_correction_makes_the_sampled_gradient_that_of_the_full_softmax(rng):
    """Mean over many samples: items drawn by a skewed q, corrected by log q, are pushed as the full softmax pushes them."""
    logits = rng.normal(size=6)
    q = np.array([0.4, 0.25, 0.15, 0.1, 0.07, 0.03])
    full = t(logits).requires_grad_()
    cross_entropy(full.unsqueeze(0), torch.tensor([0])).backward()
    sampled = t(logits).requires_grad_()
    drawn = torch.from_numpy(rng.choice(6, size=(400, 3000), p=q))
    log_q = t(np.log(q))
    count = math.log(3000)  # so many draws stand for the sum over all items
    loss = sampled_softmax(
        sampled[torch.zeros(400, dtype=torch.int64)],
        sampled[drawn].masked_fill(drawn == 0, -math.inf),
        torch.zeros(()),
        log_q[drawn] + count,
    )
    loss.backward()
    np.testing.assert_allclose(sampled.grad.numpy(), full.grad.numpy(), atol=0.01)


@pytest.mark.parametrize("calibration", [0.0, 0.4, 1.0])
def test_gbce_is_logistic_loss_with_a_power_of_the_positive(rng, calibration):
    positive, negative, share = rng.normal(size=4), rng.normal(size=(4, 3)), 0.2
    negative[1, 2] = -math.inf  # left out
    power = share * (calibration * (1 - 1 / share) + 1 / share)
    of_positive = (1 / (1 + np.exp(-positive))) ** power
    of_negative = 1 - 1 / (1 + np.exp(-negative))
    expected = -np.mean(np.log(of_positive) + np.log(of_negative).sum(axis=1)) / 4
    assert gbce(t(positive), t(negative), share, calibration).item() == pytest.approx(expected)
    assert power == pytest.approx({0.0: 1.0, 1.0: share}.get(calibration, power))
