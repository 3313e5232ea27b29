"""Gated recurrent units over packed sequences, with their gradients. Imported only by a fit.

On a CPU, torch's own takes a slice of all tokens for every step, and the gradient of each is a table as large as all tokens: its
time grows with the square of the steps. Here a step is one product and a few passes over its own rows, both ways. All that does
not depend on another step is done for all tokens at once.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["by_step", "gated_units"]


def by_step(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """How tokens that stand sequence after sequence stand step after step, the longest sequence first in each.

    Returns:
        int64[tokens], the place of each in the first order; int64[steps], how many sequences have so many tokens.

    >>> [part.tolist() for part in by_step(torch.tensor([1, 3]))]
    [[1, 0, 2, 3], [2, 1, 1]]
    """
    order = torch.argsort(lengths, descending=True, stable=True)
    start = (lengths.cumsum(0) - lengths)[order]
    going = torch.arange(int(lengths.max()))[:, None] < lengths[order]
    step, sequence = going.nonzero(as_tuple=True)
    return start[sequence] + step, going.sum(dim=1)


def gated_units(given: Tensor, going: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """h of every token, of sequences that begin with h = 0 (Cho et al., EMNLP 2014):

        r = σ(given_r + B_r·h)    z = σ(given_z + B_z·h)    n = tanh(given_n + r·(B_n·h))    h ← (1 − z)·n + z·h

    Args:
        given: float32[tokens, 3 · width], what comes from below for r, z and n, in the order of :func:`by_step`.
        going: int64[steps], on the CPU, how many sequences take each step.
        weight, bias: float32[3 · width, width] and float32[3 · width], B and what is added to it.

    Returns:
        float32[tokens, width].
    """
    out: Tensor = _Units.apply(given, going, weight, bias)  # type: ignore[no-untyped-call]
    return out


class _Units(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, going: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        width, steps = weight.shape[1], going.tolist()
        gates = given.clone()  # r, z and n, once their step is over
        inner, out = given.new_empty(len(given), width), given.new_empty(len(given), width)
        h, kept = given.new_zeros(steps[0], width), given.new_empty(steps[0], 3 * width)
        parts = (torch.split(rows, steps) for rows in (gates, inner, out))
        for count, gate, within, now in zip(steps, *parts, strict=True):
            h = h[:count]
            torch.addmm(bias, h, weight.T, out=kept[:count])
            gate[:, : 2 * width].add_(kept[:count, : 2 * width]).sigmoid_()
            within.copy_(kept[:count, 2 * width :])
            new = gate[:, 2 * width :].addcmul_(gate[:, :width], within).tanh_()
            h = torch.lerp(new, h, gate[:, width : 2 * width], out=now)
        ctx.save_for_backward(gates, inner, out, weight)
        ctx.going = going
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
        gates, inner, out, weight = ctx.saved_tensors
        steps: list[int] = ctx.going.tolist()
        before = _one_step_before(out, ctx.going)
        reset, update, new = gates.chunk(3, dim=1)
        of_new = (1 - update) * (1 - new.square())  # what a change of h changes before tanh
        of_kept = torch.cat(  # and in B·h
            [of_new * inner * reset * (1 - reset), (before - new) * update * (1 - update), of_new * reset],
            dim=1,
        ).view(len(out), 3, -1)
        of_h = gradients[0].clone()
        parts = [torch.split(rows, steps) for rows in (of_kept, of_h, update)]
        for step in range(len(steps) - 1, -1, -1):
            kept, h, stays = (part[step] for part in parts)
            kept.mul_(h.unsqueeze(1))
            if step:
                earlier = parts[1][step - 1][: len(h)]
                earlier.addcmul_(h, stays).addmm_(kept.view(len(h), -1), weight)
        flat = of_kept.view(len(out), -1)
        of_given = torch.cat([flat[:, : 2 * out.shape[1]], of_new * of_h], dim=1)
        return of_given, None, flat.T @ before, flat.sum(dim=0)


def _one_step_before(out: Tensor, going: Tensor) -> Tensor:
    """float32[tokens, width]: h of the same sequence at the step before, 0 at the first."""
    first = int(going[0])
    place = torch.arange(first, len(out)) - going[:-1].repeat_interleave(going[1:])
    return torch.cat([out.new_zeros(first, out.shape[1]), out.index_select(0, place.to(out.device))])
