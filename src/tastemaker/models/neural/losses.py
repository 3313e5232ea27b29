"""Losses as pure functions of tensors; each is the mean over its examples."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["bpr", "gbce", "logistic", "sampled_softmax", "squared"]


def squared(prediction: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean of w·(ŷ − y)².

    Args:
        prediction, target: float[...], of one shape.
        weight: float[...], how much each example counts; 1 unless given.

    >>> squared(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])).item()
    2.5
    """
    error = (prediction - target).square()
    return error.mean() if weight is None else (weight * error).mean()


def logistic(logit: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean of −w·(y·log σ(x) + (1 − y)·log(1 − σ(x))): binary cross-entropy of logits, without overflow.

    Args:
        logit: float[...].
        label: float[...], 0 to 1.
        weight: float[...], how much each example counts; 1 unless given.

    >>> round(logistic(torch.tensor([0.0]), torch.tensor([1.0])).item(), 4)
    0.6931
    """
    return functional.binary_cross_entropy_with_logits(logit, label, weight)


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """The mean of −log σ(positive − negative) (Rendle et al., UAI 2009).

    Args:
        positive: float[b], scores of what was chosen.
        negative: float[b] or float[b, n], scores of what was not, against the positive of the same row.

    >>> round(bpr(torch.tensor([1.0]), torch.tensor([[1.0, 1.0]])).item(), 4)
    0.6931
    """
    if negative.ndim > positive.ndim:
        positive = positive.unsqueeze(-1)
    return functional.softplus(negative - positive).mean()


def sampled_softmax(
    positive_logit: Tensor, negative_logits: Tensor, log_q_positive: Tensor, log_q_negative: Tensor
) -> Tensor:
    """The mean cross-entropy of the positive among itself and the sampled negatives, each logit less log q of its item.

    q is the probability with which an item is drawn: less of it takes out that popular items are drawn, and so pushed down,
    more often (Bengio and Senécal, 2008; Yi et al., RecSys 2019).

    Args:
        positive_logit: float[b].
        negative_logits: float[b, n]; −inf leaves a negative out, as one that is the positive itself.
        log_q_positive: float[b], or one number.
        log_q_negative: float[b, n] or float[n], or one number.

    >>> zero = torch.zeros(())
    >>> round(sampled_softmax(torch.zeros(1), torch.zeros(1, 3), zero, zero).item(), 4)  # one of four, all alike
    1.3863
    """
    positive = positive_logit - log_q_positive
    logits = torch.cat([positive.unsqueeze(1), negative_logits - log_q_negative], dim=1)
    return (torch.logsumexp(logits, dim=1) - positive).mean()


def gbce(positive: Tensor, negative: Tensor, share: float, calibration: float) -> Tensor:
    """The mean of −(β·log σ(positive) + Σ log(1 − σ(negative))) / (1 + n) (Petrov and Macdonald, RecSys 2023).

    Of the items that were not taken only a share α is drawn, so that plain logistic loss (β = 1) learns to be too sure of the
    positive. β = α·(t·(1 − 1/α) + 1/α) goes from 1, for t = 0, to α, for t = 1, where σ(score) is a probability again.

    Args:
        positive: float[b].
        negative: float[b, n]; −inf leaves one out.
        share: α, the negatives drawn of all there are; above 0, and 1 at most counts.
        calibration: t, 0 to 1.

    >>> zero = torch.zeros(1), torch.zeros(1, 3)
    >>> [round(gbce(*zero, share=0.25, calibration=t).item() * 4 / 0.6931, 2) for t in (0, 1)]
    [4.0, 3.25]
    """
    share = min(share, 1.0)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    total = beta * functional.softplus(-positive) + functional.softplus(negative).sum(dim=1)
    return total.mean() / (1 + negative.shape[1])
