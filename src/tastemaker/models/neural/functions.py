"""What torch computes slowly on a CPU, by our own kernels there and by torch elsewhere: fields of tables, layers with dropout.

torch takes longer to draw a random number for each hidden unit than to multiply the matrices of a step, its gradients of
embeddings are general, and each of many small operations costs a pass over memory. The gradients here are those of dense tables,
for optimizers that go over all of it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tastemaker._native import training as native
from tastemaker._native.dropout import dropout
from tastemaker._native.tower import tower_backward, tower_forward

__all__ = ["Bag", "dropped", "gather_rows", "look_up", "pair_sums", "relu_layers", "vectors_of"]


class Bag(NamedTuple):
    """A multi-valued field of a batch.

    Attributes:
        indptr, ids: int64 and int32, the values of every row of a side.
        rows: int64[batch], the row that each example has.
        without: int64[batch], one id that is left out of each example; None: none is.
        pooling: what is taken of their vectors, ``"mean"`` or ``"sum"``.
    """

    indptr: Tensor
    ids: Tensor
    rows: Tensor
    without: Tensor | None
    pooling: str

    def pooled(self, table: Tensor) -> Tensor:
        """float32[batch, width]: the mean or the sum of each example's rows of ``table``, 0 without any."""
        return vectors_of(table, self.rows.new_empty(len(self.rows), 0), [self]).squeeze(1)

    def arrays(self) -> native.Ids:
        """As the kernels take it."""
        without = self.rows[:0] if self.without is None else self.without
        indptr, ids, rows = self.indptr.numpy(), self.ids.numpy(), self.rows.numpy()
        return native.Ids(indptr, ids, rows, without.numpy(), self.pooling == "mean")

    def by_torch(self, table: Tensor) -> Tensor:
        """What :meth:`pooled` gives, without our kernels."""
        ids, offsets = gather_rows(self.indptr, self.ids.long(), self.rows)
        if self.without is not None:
            ids, offsets = _left_out(ids, offsets, self.without)
        return functional.embedding_bag(ids, table, offsets, mode=self.pooling)


def look_up(table: Tensor, ids: Tensor) -> Tensor:
    """float32[shape of ids, width]: rows of ``table``."""
    return vectors_of(table, ids.reshape(len(ids), -1), []).view(*ids.shape, table.shape[1])


def vectors_of(table: Tensor, ids: Tensor, bags: Sequence[Bag]) -> Tensor:
    """float32[batch, fields, width]: rows of ``table``, int64[batch, any] first and then pooled ones."""
    if table.device.type != "cpu":
        single = functional.embedding(ids, table)
        return torch.cat([single, *(bag.by_torch(table).unsqueeze(1) for bag in bags)], 1)
    found: Tensor = _Vectors.apply(table, ids, bags)  # type: ignore[no-untyped-call]
    return found


class _Vectors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, bags: Sequence[Bag]) -> Tensor:
        ctx.shape, ctx.ids, ctx.bags = table.shape, ids.contiguous().numpy(), [bag.arrays() for bag in bags]
        return torch.from_numpy(native.take_fields(table.detach().numpy(), ctx.ids, ctx.bags))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        table = gradients[0].new_zeros(ctx.shape)
        native.add_fields(gradients[0].contiguous().numpy(), ctx.ids, ctx.bags, table.numpy())
        return table, None, None


def gather_rows(indptr: Tensor, indices: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The ragged ``rows`` of a matrix in compressed rows: their indices end to end, and where each row begins.

    >>> [part.tolist() for part in gather_rows(torch.tensor([0, 2, 2, 3]), torch.tensor([7, 8, 9]), torch.tensor([2, 1, 0]))]
    [[9, 7, 8], [0, 1, 1]]
    """
    start = indptr[rows]
    lengths = indptr[rows + 1] - start
    offsets = lengths.cumsum(0) - lengths
    shift = torch.repeat_interleave(start - offsets, lengths)
    return indices[torch.arange(len(shift), device=rows.device) + shift], offsets


def _left_out(ids: Tensor, offsets: Tensor, without: Tensor) -> tuple[Tensor, Tensor]:
    """Ragged rows less one id each.

    >>> ids, offsets = torch.tensor([7, 8, 9]), torch.tensor([0, 2])
    >>> [part.tolist() for part in _left_out(ids, offsets, torch.tensor([7, 5]))]
    [[8, 9], [0, 1]]
    """
    lengths = torch.diff(offsets, append=offsets.new_tensor([len(ids)]))
    keep = ids != without.repeat_interleave(lengths)
    kept_before = torch.cat([offsets.new_zeros(1), keep.cumsum(0)])
    return ids[keep], kept_before[offsets]


def pair_sums(vectors: Tensor) -> Tensor:
    """float32[batch]: Σ_{f<g} <e_f, e_g> = ½ (|Σ e_f|² − Σ |e_f|²) of float32[batch, fields, width]."""
    if vectors.device.type != "cpu":
        return 0.5 * (vectors.sum(1).square() - vectors.square().sum(1)).sum(1)
    found: Tensor = _PairSums.apply(vectors)  # type: ignore[no-untyped-call]
    return found


class _PairSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        ctx.save_for_backward(vectors)
        sums, ctx.totals = native.pair_sums(vectors.detach().contiguous().numpy())
        return torch.from_numpy(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (vectors,) = ctx.saved_tensors
        gradient = gradients[0].contiguous().numpy()
        return torch.from_numpy(native.pair_sums_gradient(vectors.contiguous().numpy(), ctx.totals, gradient))


def dropped(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """x with a share of about ``rate`` set to 0, the rest raised to keep the mean."""
    if x.device.type != "cpu":
        return x * torch.empty_like(x).bernoulli_(1 - rate, generator=generator) / (1 - rate)
    key = int(torch.randint(1 << 32, (), generator=generator).item())
    found: Tensor = _Dropout.apply(x, rate, key)  # type: ignore[no-untyped-call]
    return found


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float, key: int) -> Tensor:
        ctx.rate, ctx.key = rate, key
        return _without(x.detach(), key, rate)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _without(gradients[0], ctx.key, ctx.rate), None, None


def _without(x: Tensor, key: int, rate: float) -> Tensor:
    """What the key leaves of x."""
    return torch.from_numpy(dropout(x.contiguous().view(-1).numpy(), key, rate)).view(x.shape)


def relu_layers(
    x: Tensor,
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    rate: float,
    generator: torch.Generator | None,
) -> Tensor:
    """Layer after layer, max(0, W x + b) with a share of about ``rate`` set to 0 and the rest raised to keep the mean.

    Args:
        x: float32[batch, inputs].
        weights, biases: float32[outputs, inputs] and float32[outputs] of each layer.
        rate: below 1.
        generator: of what is set to 0; not used with a rate of 0.
    """
    if x.device.type == "cpu" and weights:
        found: Tensor = _ReluLayers.apply(x, rate, generator, *weights, *biases)  # type: ignore[no-untyped-call]
        return found
    for weight, bias in zip(weights, biases, strict=True):
        x = functional.relu(functional.linear(x, weight, bias))
        x = dropped(x, rate, generator) if rate else x
    return x


class _ReluLayers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, rate: float, generator: torch.Generator | None, *parameters: Tensor
    ) -> Tensor:
        layers = len(parameters) // 2
        keys = torch.randint(1 << 32, (layers if rate else 0,), generator=generator).numpy().astype(np.uint32)
        inputs, *arrays = (part.detach().contiguous().numpy() for part in (x, *parameters))
        weights, biases = arrays[:layers], arrays[layers:]
        hidden = tower_forward(inputs, weights, biases, rate, keys if rate else np.zeros(layers, np.uint32))
        ctx.given = inputs, weights, hidden
        ctx.rate = rate
        return torch.from_numpy(hidden[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, hidden = ctx.given
        found = tower_backward(x, weights, hidden, gradients[0].contiguous().numpy(), ctx.rate)
        parameters = map(torch.from_numpy, [*found.weights, *found.biases])
        return torch.from_numpy(found.x), None, None, *parameters
