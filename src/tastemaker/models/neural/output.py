"""The output layer over all items with its loss, fused: logits are made a few rows at a time and never leave the cache."""

from typing import Any

import torch
from torch import Tensor

from tastemaker._native import softmax as native

__all__ = ["softmax_over_items"]

_NUMBERS = 1 << 19  # logits that are held at once


def softmax_over_items(hidden: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """The mean cross-entropy of the right item among all: ``full_softmax(hidden @ items.T, target)``.

    The gradients are made on the way, from each stretch of logits while it is there: it is computed once, and n x items numbers
    are never held.

    Args:
        hidden: float32[n, factors].
        items: float32[items, factors].
        target: int64[n], the right item.

    >>> softmax_over_items(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor([1, 2])).item() == torch.log(torch.tensor(4.0))
    tensor(True)
    """
    value: Tensor = _Softmax.apply(hidden, items, target)  # type: ignore[no-untyped-call]
    return value


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, target: Tensor) -> Tensor:
        rows = max(16, min(len(hidden), _NUMBERS // len(items)))
        logits = hidden.new_empty(rows, len(items))
        of_hidden, of_items = torch.empty_like(hidden), torch.zeros_like(items)
        total = hidden.new_zeros((), dtype=torch.float64)
        parts = (torch.split(whole, rows) for whole in (hidden, target, of_hidden))
        for part, right, out in zip(*parts, strict=True):
            now = torch.mm(part, items.T, out=logits[: len(part)])
            total += _cross_entropy(now, right)
            torch.mm(now, items, out=out)
            of_items.addmm_(now.T, part)
        ctx.save_for_backward(of_hidden, of_items)
        ctx.rows = len(hidden)
        return (total / len(hidden)).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_hidden, of_items = ctx.saved_tensors
        scale = gradients[0] / ctx.rows
        return of_hidden * scale, of_items * scale, None


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The sum over the rows; the gradient takes the place of the logits."""
    if logits.device.type == "cpu":
        losses = native.cross_entropy(logits.numpy(), target.numpy())
        return torch.from_numpy(losses).sum(dtype=torch.float64)
    own = target.unsqueeze(1)
    lost = torch.logsumexp(logits, 1, keepdim=True) - logits.gather(1, own)
    torch.softmax(logits, 1, out=logits)
    logits.scatter_add_(1, own, torch.full_like(lost, -1.0))
    return lost.sum(dtype=torch.float64)
