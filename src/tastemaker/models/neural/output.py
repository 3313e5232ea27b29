"""The output layer over all items with its loss, fused: logits are made a few rows at a time and never leave the cache."""

from typing import Any

import torch
from torch import Tensor

from tastemaker._native import softmax as native

__all__ = ["softmax_over_items"]

_NUMBERS = 1 << 26  # logits that are held at once on a GPU


def softmax_over_items(hidden: Tensor, items: Tensor, target: Tensor) -> Tensor:
    """The mean cross-entropy of the right item among all: ``cross_entropy(hidden @ items.T, target)``.

    The gradients are made on the way, from each stretch of logits while it is there: they are computed once, and n x items
    numbers are never held.

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
        if hidden.device.type == "cpu":
            given = (x.detach().contiguous().numpy() for x in (hidden, items, target))
            losses, *found = (torch.from_numpy(x) for x in native.softmax_layer(*given))
            total = losses.sum(dtype=torch.float64)
        else:
            total, *found = by_stretches(hidden, items, target)
        ctx.save_for_backward(*found)
        return (total / len(hidden)).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        of_hidden, of_items = ctx.saved_tensors
        scale = gradients[0] / len(of_hidden)
        return of_hidden * scale, of_items * scale, None


def by_stretches(hidden: Tensor, items: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sum of the cross-entropies (float64), and its gradients, by torch's own operations: for a GPU."""
    rows = max(16, _NUMBERS // len(items))
    of_hidden, of_items = torch.empty_like(hidden), torch.zeros_like(items)
    total = hidden.new_zeros((), dtype=torch.float64)
    parts = (torch.split(whole, rows) for whole in (hidden, target, of_hidden))
    for part, right, out in zip(*parts, strict=True):
        logits, own = part @ items.T, right.unsqueeze(1)
        losses = torch.logsumexp(logits, 1, keepdim=True) - logits.gather(1, own)
        total += losses.sum(dtype=torch.float64)
        shares = torch.softmax(logits, 1).scatter_add_(1, own, torch.full_like(losses, -1.0))
        torch.mm(shares, items, out=out)
        of_items.addmm_(shares.T, part)
    return total, of_hidden, of_items
