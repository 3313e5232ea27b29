"""What training does with embeddings, in one pass each: rows of tables and their gradients, products of every two fields.

Every function has its NumPy twin beside it, which says what it computes and is what the tests compare with. All run on one thread
and add in the order of the examples.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels

__all__ = [
    "Ids",
    "add_fields",
    "add_fields_numpy",
    "pair_sums",
    "pair_sums_gradient",
    "pair_sums_gradient_numpy",
    "pair_sums_numpy",
    "take_fields",
    "take_fields_numpy",
]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


class Ids(NamedTuple):
    """Which rows of a table the examples have in a field with several values.

    Attributes:
        indptr, ids: which rows of the table each row of a side has.
        rows: int64[n], the row of the side that each example has.
        without: int64[n], one row of the table for each example that is left out; empty: none is.
        mean: the mean of them is taken, else the sum.
    """

    indptr: Int64
    ids: NDArray[np.int32]
    rows: Int64
    without: Int64
    mean: bool


def take_fields(table: Float32, single: Int64, several: Sequence[Ids]) -> Float32:
    """float32[n, fields, width]: the vectors of the examples' fields; 0 for a field without any value.

    Args:
        table: float32[any, width].
        single: int64[n, any], the row of the table in each field with one value.
        several: the fields with several values, which come after these.
    """
    n, first = single.shape
    out = np.empty((n, first + len(several), table.shape[1]), np.float32)
    kernels.take_rows(table, single, out)
    for field, ids in enumerate(several, start=first):
        kernels.pool_rows(table, *ids, out, field)
    return out


def take_fields_numpy(table: Float32, single: Int64, several: Sequence[Ids]) -> Float32:
    """What :func:`take_fields` computes."""
    fields = [table[single]]
    for ids in several:
        pooled = np.zeros((len(single), 1, table.shape[1]), np.float32)
        for n, here in enumerate(_examples(ids)):
            pooled[n] = table[here].sum(0) / (max(1, len(here)) if ids.mean else 1)
        fields.append(pooled)
    return np.concatenate(fields, axis=1)


def add_fields(gradient: Float32, single: Int64, several: Sequence[Ids], table: Float32) -> None:
    """Add to ``table``, the gradient of a table, what its rows have of ``gradient``, that of :func:`take_fields`."""
    kernels.add_rows(gradient, single, table)
    for field, ids in enumerate(several, start=single.shape[1]):
        kernels.spread_rows(gradient, field, *ids, table)


def add_fields_numpy(gradient: Float32, single: Int64, several: Sequence[Ids], table: Float32) -> None:
    """What :func:`add_fields` computes."""
    np.add.at(table, single, gradient[:, : single.shape[1]])
    for field, ids in enumerate(several, start=single.shape[1]):
        for n, here in enumerate(_examples(ids)):
            np.add.at(table, here, gradient[n, field] / (max(1, len(here)) if ids.mean else 1))


def pair_sums(vectors: Float32) -> tuple[Float32, Float32]:
    """float32[n] and float32[n, width]: Σ_{f<g} <e_f, e_g> = ½ (|Σ e_f|² − Σ |e_f|²) and Σ e_f, of float32[n, fields, width]."""
    n, _, width = vectors.shape
    sums, totals = np.empty(n, np.float32), np.empty((n, width), np.float32)
    kernels.pair_sums(vectors, sums, totals)
    return sums, totals


def pair_sums_numpy(vectors: Float32) -> tuple[Float32, Float32]:
    """What :func:`pair_sums` computes."""
    products = np.einsum("nfk,ngk->nfg", vectors, vectors)
    return np.triu(products, k=1).sum((1, 2)), vectors.sum(1)


def pair_sums_gradient(vectors: Float32, totals: Float32, gradient: Float32) -> Float32:
    """float32[n, fields, width]: the gradient of the vectors from float32[n], that of the sums of :func:`pair_sums`."""
    out = np.empty_like(vectors)
    kernels.pair_sums_gradient(vectors, totals, gradient, out)
    return out


def pair_sums_gradient_numpy(vectors: Float32, totals: Float32, gradient: Float32) -> Float32:
    """What :func:`pair_sums_gradient` computes."""
    return gradient[:, None, None] * (totals[:, None] - vectors)


def _examples(field: Ids) -> list[NDArray[np.int32]]:
    """The rows of the table that each example has."""
    indptr, ids, rows, without, _ = field
    own = [ids[indptr[row] : indptr[row + 1]] for row in rows]
    return [here[here != left] for here, left in zip(own, without, strict=True)] if len(without) else own
