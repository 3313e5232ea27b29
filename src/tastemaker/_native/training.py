"""What training does beside matrix products, in one pass each: pooled rows of tables, their gradients, dropout, also with ReLU.

Every function has its NumPy twin beside it, which says what it computes and is what the tests compare with. All run on one thread
and add in the order of the examples.
"""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels

__all__ = [
    "add_rows",
    "add_rows_numpy",
    "dropout",
    "dropout_numpy",
    "pool_rows",
    "pool_rows_numpy",
    "relu_dropout",
    "relu_dropout_gradient",
    "relu_dropout_gradient_numpy",
    "relu_dropout_numpy",
    "spread_rows",
    "spread_rows_numpy",
]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

_ALL = 1 << 31


def pool_rows(
    table: Float32, indptr: Int64, ids: NDArray[np.int32], rows: Int64, without: Int64, mean: bool
) -> Float32:
    """float32[n, width]: for each example the sum or the mean of the table's rows that it has, 0 without any.

    Args:
        table: float32[any, width].
        indptr, ids: which rows of the table each row of a side has.
        rows: int64[n], the row of the side that each example has.
        without: int64[n], one row of the table for each example that is left out; empty: none is.
        mean: the mean, else the sum.
    """
    out = np.empty((len(rows), table.shape[1]), np.float32)
    kernels.pool_rows(table, indptr, ids, rows, without, mean, out)
    return out


def pool_rows_numpy(
    table: Float32, indptr: Int64, ids: NDArray[np.int32], rows: Int64, without: Int64, mean: bool
) -> Float32:
    """What :func:`pool_rows` computes."""
    out = np.zeros((len(rows), table.shape[1]), np.float32)
    for n, here in enumerate(_examples(indptr, ids, rows, without)):
        out[n] = table[here].sum(0) / (max(1, len(here)) if mean else 1)
    return out


def spread_rows(
    gradient: Float32,
    indptr: Int64,
    ids: NDArray[np.int32],
    rows: Int64,
    without: Int64,
    mean: bool,
    table: Float32,
) -> None:
    """Add to ``table``, the gradient of a table, what its rows have of ``gradient``, that of :func:`pool_rows`."""
    kernels.spread_rows(gradient, indptr, ids, rows, without, mean, table)


def spread_rows_numpy(
    gradient: Float32,
    indptr: Int64,
    ids: NDArray[np.int32],
    rows: Int64,
    without: Int64,
    mean: bool,
    table: Float32,
) -> None:
    """What :func:`spread_rows` computes."""
    for n, here in enumerate(_examples(indptr, ids, rows, without)):
        np.add.at(table, here, gradient[n] / (max(1, len(here)) if mean else 1))


def add_rows(gradient: Float32, ids: Int64, table: Float32) -> None:
    """table[ids[n]] += gradient[n], for float32[n, width]."""
    kernels.add_rows(gradient, ids, table)


def add_rows_numpy(gradient: Float32, ids: Int64, table: Float32) -> None:
    """What :func:`add_rows` computes."""
    np.add.at(table, ids, gradient)


def relu_dropout(x: Float32, key: int, rate: float) -> None:
    """In place max(0, x), of which a share of about ``rate`` becomes 0 and the rest is raised to keep the mean; NaN may stay.

    Args:
        x: float32[n].
        key: below 2³²; says which.
        rate: below 1.
    """
    kernels.relu_dropout(x, key, round((1 - rate) * _ALL), 1 / (1 - rate))


def relu_dropout_numpy(x: Float32, key: int, rate: float) -> None:
    """What :func:`relu_dropout` computes."""
    x[:] = dropout_numpy(np.maximum(x, 0), key, rate)


def dropout(x: Float32, key: int, rate: float) -> Float32:
    """float32[n]: x, of which a share of about ``rate`` becomes 0 and the rest is raised to keep the mean.

    With the same key the same places become 0: so it is its own gradient.

    Args:
        x: float32[n].
        key: below 2³²; says which.
        rate: below 1.
    """
    out = np.empty_like(x)
    kernels.dropout(x, key, round((1 - rate) * _ALL), 1 / (1 - rate), out)
    return out


def dropout_numpy(x: Float32, key: int, rate: float) -> Float32:
    """What :func:`dropout` computes."""
    n = np.uint32(key) + np.arange(len(x), dtype=np.uint32) * np.uint32(0x9E3779B9)
    n = (n ^ (n >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    n = (n ^ (n >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    kept = (n ^ (n >> np.uint32(16))) >> np.uint32(1) < round((1 - rate) * _ALL)
    return np.where(kept, x * np.float32(1 / (1 - rate)), np.float32(0))


def relu_dropout_gradient(gradient: Float32, given: Float32, rate: float) -> Float32:
    """float32[n]: the gradient before :func:`relu_dropout`, from that after it and what it has given."""
    out = np.empty_like(given)
    kernels.relu_dropout_gradient(gradient, given, 1 / (1 - rate), out)
    return out


def relu_dropout_gradient_numpy(gradient: Float32, given: Float32, rate: float) -> Float32:
    """What :func:`relu_dropout_gradient` computes."""
    return np.where(given > 0, gradient * np.float32(1 / (1 - rate)), np.float32(0))


def _examples(indptr: Int64, ids: NDArray[np.int32], rows: Int64, without: Int64) -> list[NDArray[np.int32]]:
    """The ids of each example."""
    own = [ids[indptr[row] : indptr[row + 1]] for row in rows]
    return [here[here != left] for here, left in zip(own, without, strict=True)] if len(without) else own
