"""Sparse rows in a network: what goes in and what is asked of it, both at the known entries alone. Needs torch.

On a CPU the work is done by our kernels (:mod:`tastemaker._native.linear`), forward and backward: it grows with the entries, not
with rows × columns, and its bits do not depend on the number of threads. Elsewhere torch's own dense products are quicker.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tastemaker._native.grouping import group_order
from tastemaker._native.linear import products_at, times_dense
from tastemaker._native.neighbors import Csr

__all__ = [
    "Entries",
    "Rows",
    "known_products",
    "known_products_torch",
    "weighted_sums",
    "weighted_sums_torch",
]


class Entries(NamedTuple):
    """Entries of some rows, row after row.

    Attributes:
        indptr: int64[rows + 1], where each row begins and ends.
        column: int32[n].
        value, weight: float32[n].
    """

    indptr: Tensor
    column: Tensor
    value: Tensor
    weight: Tensor

    def row(self) -> Tensor:
        """int64[n]: the row of each entry, counted among these rows."""
        lengths = self.indptr.diff()
        return torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)


class Rows:
    """Sparse rows that stay on a device.

    Args:
        indptr, column, value, weight: NumPy arrays, as those of :class:`Entries`.
        device: where they are put.
    """

    def __init__(
        self,
        indptr: NDArray[np.int64],
        column: NDArray[np.int32],
        value: NDArray[np.float32],
        weight: NDArray[np.float32],
        device: torch.device,
    ) -> None:
        whole = (indptr, column, value, weight)
        self.all = Entries(*(torch.from_numpy(np.array(array)).to(device) for array in whole))

    def __len__(self) -> int:
        return len(self.all.indptr) - 1

    def take(self, rows: Tensor) -> Entries:
        """The entries of these rows."""
        indptr, column, value, weight = self.all
        first, lengths = indptr[rows], indptr[rows + 1] - indptr[rows]
        ends = functional.pad(lengths.cumsum(0), (1, 0))
        at = torch.repeat_interleave(first - ends[:-1], lengths)
        at += torch.arange(len(at), device=at.device)
        return Entries(ends, column[at], value[at], weight[at])


def weighted_sums(entries: Entries, table: Tensor) -> Tensor:
    """float32[rows, width]: the sum of value · table[column] over the entries of each row.

    The gradient goes to the table alone.
    """
    if table.device.type == "cpu":
        product: Tensor = _WeightedSums.apply(entries.indptr, entries.column, entries.value, table)  # type: ignore[no-untyped-call]
        return product
    return weighted_sums_torch(entries, table)


def weighted_sums_torch(entries: Entries, table: Tensor) -> Tensor:
    """What :func:`weighted_sums` computes, by torch alone."""
    return functional.embedding_bag(
        entries.column.long(),
        table,
        entries.indptr[:-1],
        mode="sum",
        per_sample_weights=entries.value,
    )


def known_products(entries: Entries, left: Tensor, right: Tensor) -> Tensor:
    """float32[n]: left[row] · right[column] for each entry."""
    if left.device.type == "cpu":
        products: Tensor = _KnownProducts.apply(entries.indptr, entries.column, left, right)  # type: ignore[no-untyped-call]
        return products
    return known_products_torch(entries, left, right)


def known_products_torch(entries: Entries, left: Tensor, right: Tensor) -> Tensor:
    """What :func:`known_products` computes, by torch alone: all products, of which the known ones are taken."""
    return (left @ right.T).flatten()[entries.row() * len(right) + entries.column]


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, indptr: Tensor, column: Tensor, value: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(indptr, column, value)
        ctx.columns = len(table)
        return _times(_csr(indptr, column, value), table)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        turned = _transposed(_csr(*ctx.saved_tensors), ctx.columns)
        return None, None, None, _times(turned, gradients[0])


class _KnownProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, indptr: Tensor, column: Tensor, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(indptr, column, left, right)
        where = _csr(indptr, column, column)
        return torch.from_numpy(products_at(where, left.detach().numpy(), right.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        indptr, column, left, right = ctx.saved_tensors
        slopes = _csr(indptr, column, gradients[0])
        return None, None, _times(slopes, right), _times(_transposed(slopes, len(right)), left)


def _csr(indptr: Tensor, column: Tensor, value: Tensor) -> Csr:
    return Csr(indptr.numpy(), column.numpy(), value.detach().numpy())


def _times(rows: Csr, matrix: Tensor) -> Tensor:
    return torch.from_numpy(times_dense(rows, matrix.detach().numpy()))


def _transposed(rows: Csr, columns: int) -> Csr:
    order, indptr = group_order(rows.indices, columns)
    row = np.repeat(np.arange(rows.n_rows, dtype=np.int32), np.diff(rows.indptr))
    return Csr(indptr, row[order], rows.values[order])
