"""What torch computes slowly on a CPU, by our own kernels there and by torch elsewhere: rows of tables, and dropout.

torch takes longer to draw a random number for each hidden unit than to multiply the matrices of a step, and its gradients of
embeddings are general. The gradients here are those of dense tables, for optimizers that go over all of it.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tastemaker._native import training as native

__all__ = ["Bag", "dropped", "gather_rows", "look_up", "relu_dropout"]


def look_up(table: Tensor, ids: Tensor) -> Tensor:
    """float32[shape of ids, width]: rows of ``table``."""
    if table.device.type != "cpu":
        return functional.embedding(ids, table)
    found: Tensor = _LookUp.apply(table, ids)  # type: ignore[no-untyped-call]
    return found


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape = table.shape
        return table.index_select(0, ids.reshape(-1)).view(*ids.shape, table.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (ids,) = ctx.saved_tensors
        table = gradients[0].new_zeros(ctx.shape)
        gradient = gradients[0].reshape(-1, ctx.shape[1])
        native.add_rows(gradient.contiguous().numpy(), ids.reshape(-1).numpy(), table.numpy())
        return table, None


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
        if table.device.type == "cpu":
            found: Tensor = _Pool.apply(table, self)  # type: ignore[no-untyped-call]
            return found
        ids, offsets = gather_rows(self.indptr, self.ids.long(), self.rows)
        if self.without is not None:
            ids, offsets = _left_out(ids, offsets, self.without)
        return functional.embedding_bag(ids, table, offsets, mode=self.pooling)

    def arrays(self) -> tuple[Any, Any, Any, Any, bool]:
        """As the kernels take it."""
        without = self.rows[:0] if self.without is None else self.without
        indptr, ids, rows = self.indptr.numpy(), self.ids.numpy(), self.rows.numpy()
        return indptr, ids, rows, without.numpy(), self.pooling == "mean"


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, bag: Bag) -> Tensor:
        ctx.bag, ctx.shape = bag, table.shape
        return torch.from_numpy(native.pool_rows(table.detach().numpy(), *bag.arrays()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        table, gradient = gradients[0].new_zeros(ctx.shape), gradients[0].contiguous()
        indptr, ids, rows, without, mean = ctx.bag.arrays()
        native.spread_rows(gradient.numpy(), indptr, ids, rows, without, mean, table.numpy())
        return table, None


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


def dropped(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """x with a share of about ``rate`` set to 0, the rest raised to keep the mean."""
    if x.device.type != "cpu":
        return x * torch.empty_like(x).bernoulli_(1 - rate, generator=generator) / (1 - rate)
    found: Tensor = _Dropout.apply(x, rate, _key(generator))  # type: ignore[no-untyped-call]
    return found


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float, key: int) -> Tensor:
        ctx.rate, ctx.key = rate, key
        flat = x.detach().contiguous().view(-1).numpy()
        return torch.from_numpy(native.dropout(flat, key, rate)).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        flat = gradients[0].contiguous().view(-1).numpy()
        return torch.from_numpy(native.dropout(flat, ctx.key, ctx.rate)).view(gradients[0].shape), None, None


def _key(generator: torch.Generator | None) -> int:
    return int(torch.randint(1 << 32, (), generator=generator).item())


def relu_dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """max(0, x) with a share of about ``rate`` set to 0, the rest raised to keep the mean; ``x`` may be overwritten."""
    if x.device.type != "cpu":
        keep = torch.empty_like(x).bernoulli_(1 - rate, generator=generator)
        return functional.relu(x) * keep / (1 - rate)
    found: Tensor = _ReluDropout.apply(x, rate, generator)  # type: ignore[no-untyped-call]
    return found


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
        key = _key(generator)
        x = x.contiguous()
        native.relu_dropout(x.detach().view(-1).numpy(), key, rate)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        ctx.rate = rate
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (given,) = ctx.saved_tensors
        gradient = gradients[0].contiguous().view(-1).numpy()
        before = native.relu_dropout_gradient(gradient, given.view(-1).numpy(), ctx.rate)
        return torch.from_numpy(before).view(given.shape), None, None
