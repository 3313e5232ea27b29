"""Gated recurrent units over packed sequences, with their gradients. Imported only by a fit.

On a CPU, torch's own takes a slice of all tokens for every step, and the gradient of each is a table as large as all tokens: its
time grows with the square of the steps. Here a step is one product and a few passes over its own rows, both ways. All that does
not depend on another step is done for all tokens at once. A step is too small to be shared by threads, which would change its
bits, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Units", "by_step", "gated_units"]


class Units(NamedTuple):
    """The weights of a layer, each of r, z and n one under the other.

    Attributes:
        below: float32[3 · width, inputs], A.
        before: float32[3 · width, width], B.
        below_bias, before_bias: float32[3 · width], what is added to both products.
    """

    below: Tensor
    before: Tensor
    below_bias: Tensor
    before_bias: Tensor


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


def gated_units(x: Tensor, going: Tensor, units: Units) -> Tensor:
    """h of every token, of sequences that begin with h = 0 (Cho et al., EMNLP 2014):

        r = σ(A_r·x + B_r·h)    z = σ(A_z·x + B_z·h)    n = tanh(A_n·x + r·(B_n·h))    h ← (1 − z)·n + z·h

    Args:
        x: float32[tokens, inputs], in the order of :func:`by_step`.
        going: int64[steps], on the CPU, how many sequences take each step.
        units: A and B.

    Returns:
        float32[tokens, width].
    """
    out: Tensor = _Recurrence.apply(x, going, *units)  # type: ignore[no-untyped-call]
    return out


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, going: Tensor, *weights: Tensor) -> Tensor:
        units, steps = Units(*weights), going.tolist()
        width = units.before.shape[1]
        with _one_thread():
            gates = torch.addmm(units.below_bias, x, units.below.T)  # r, z and n, once their step is over
            inner, out = x.new_empty(len(x), width), x.new_empty(len(x), width)
            h, kept = x.new_zeros(steps[0], width), x.new_empty(steps[0], 3 * width)
            parts = (torch.split(rows, steps) for rows in (gates, inner, out))
            for count, gate, within, now in zip(steps, *parts, strict=True):
                h = h[:count]
                torch.addmm(units.before_bias, h, units.before.T, out=kept[:count])
                gate[:, : 2 * width].add_(kept[:count, : 2 * width]).sigmoid_()
                within.copy_(kept[:count, 2 * width :])
                new = gate[:, 2 * width :].addcmul_(gate[:, :width], within).tanh_()
                h = torch.lerp(new, h, gate[:, width : 2 * width], out=now)
        ctx.save_for_backward(x, gates, inner, out, units.below, units.before)
        ctx.going = going
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, gates, inner, out, below, before = ctx.saved_tensors
        steps: list[int] = ctx.going.tolist()
        with _one_thread():
            earlier = _one_step_before(out, ctx.going)
            reset, update, new = gates.chunk(3, dim=1)
            of_new = (1 - update) * (1 - new.square())  # what a change of h changes before tanh
            of_kept = torch.cat(  # and in B·h
                [
                    of_new * inner * reset * (1 - reset),
                    (earlier - new) * update * (1 - update),
                    of_new * reset,
                ],
                dim=1,
            ).view(len(out), 3, -1)
            of_h = gradients[0].clone()
            parts = [torch.split(rows, steps) for rows in (of_kept, of_h, update)]
            for step in range(len(steps) - 1, -1, -1):
                kept, h, stays = (part[step] for part in parts)
                kept.mul_(h.unsqueeze(1))
                if step:
                    before_h = parts[1][step - 1][: len(h)]
                    before_h.addcmul_(h, stays).addmm_(kept.view(len(h), -1), before)
            flat = of_kept.view(len(out), -1)
            of_given = torch.cat([flat[:, : 2 * out.shape[1]], of_new * of_h], dim=1)
            of_weights = Units(of_given.T @ x, flat.T @ earlier, of_given.sum(dim=0), flat.sum(dim=0))
            return of_given @ below, None, *of_weights


def _one_step_before(out: Tensor, going: Tensor) -> Tensor:
    """float32[tokens, width]: h of the same sequence at the step before, 0 at the first."""
    first = int(going[0])
    place = torch.arange(first, len(out)) - going[:-1].repeat_interleave(going[1:])
    return torch.cat([out.new_zeros(first, out.shape[1]), out.index_select(0, place.to(out.device))])


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
