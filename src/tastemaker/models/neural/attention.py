"""Attention over sequences packed end to end, for training: by our own kernels on a CPU, by torch's elsewhere."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from tastemaker._native import attention as native

__all__ = ["attention"]


def attention(rows: Tensor, lengths: Tensor, heads: int, causal: bool) -> Tensor:
    """float32[tokens, factors]: what each token takes from the values of its sequence.

    Args:
        rows: float32[tokens, 3 · factors], each a query, a key and a value.
        lengths: int64[sequences], on the CPU.
        heads: parts of the factors, each with weights of its own.
        causal: whether a token sees none that comes after it.
    """
    if rows.device.type != "cpu":
        return _padded(rows, lengths, heads, causal)
    found: Tensor = _Attention.apply(rows, lengths, heads, causal)  # type: ignore[no-untyped-call]
    return found


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, lengths: Tensor, heads: int, causal: bool) -> Tensor:
        ends = np.concatenate([[0], np.cumsum(lengths.numpy())])
        taken, factors = rows.detach().numpy(), rows.shape[1] // 3
        ctx.weights = native.weights_for(ends, heads) if ctx.needs_input_grad[0] else None
        out = torch.from_numpy(native.attend(taken, ends, taken, ends, heads, factors, causal, ctx.weights))
        ctx.save_for_backward(rows, out)
        ctx.ends, ctx.heads, ctx.causal = ends, heads, causal
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        rows, out = (saved.detach().numpy() for saved in ctx.saved_tensors)
        gradient = gradients[0].contiguous().numpy()
        found = native.attend_back(rows, ctx.ends, ctx.heads, ctx.causal, ctx.weights, out, gradient)
        return torch.from_numpy(found), None, None, None


def _padded(rows: Tensor, lengths: Tensor, heads: int, causal: bool) -> Tensor:
    """The same with sequences padded to one length."""
    factors = rows.shape[1] // 3
    padded = pad_sequence(list(torch.split(rows, lengths.tolist())), batch_first=True)
    there = torch.arange(padded.shape[1])[None, :] < lengths[:, None]
    there = there.to(rows.device)
    query, key, value = padded.view(*padded.shape[:2], 3, heads, factors // heads).permute(2, 0, 3, 1, 4)
    seen = None if causal else there[:, None, None, :]  # what pads the end comes after all else
    out = functional.scaled_dot_product_attention(query, key, value, seen, is_causal=causal)
    return out.transpose(1, 2).flatten(2)[there]
