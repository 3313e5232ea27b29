"""The forward pass of the click models in NumPy and our own kernel: a row has the same bits alone and in any batch."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tastemaker._native.dot import dot_scores
from tastemaker.models.neural.encoded import Encoded, Ragged

__all__ = ["Parts", "SideTables", "Terms", "beside", "field_vectors", "row_sums", "terms"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Parts:
    """What a click model adds up to its logit.

    Attributes:
        linear: a weight for each feature.
        pairwise: inner products of the embeddings of every two fields.
        hidden: widths of the hidden layers over all embeddings; empty without a deep part.
        factors: length of the embeddings; 0 without any.
        crosses: how many weights there are for products of features.
        dropout: the share of hidden units that a step of training leaves out.
    """

    linear: bool = True
    pairwise: bool = False
    hidden: tuple[int, ...] = ()
    factors: int = 0
    crosses: int = 0
    dropout: float = 0.0


@dataclass(frozen=True, eq=False)
class SideTables:
    """What was learned for one side, that of whoever asks or that of the items.

    Attributes:
        linear: float32[rows], a weight for each row of the fused table; empty without a linear part.
        factors: float32[rows, f], an embedding for each; of no columns when there is none.
        dense_linear: float32[d], a weight for each number of this side.
        dense_factors: float32[d, f], a vector for each number; empty without a pairwise part.
    """

    linear: Float32
    factors: Float32
    dense_linear: Float32
    dense_factors: Float32


@dataclass(frozen=True, eq=False)
class Terms:
    """What n rows of one side bring to the logit.

    Attributes:
        linear: float32[n], the sum of its weights.
        total: float32[n, f], the sum of its fields' vectors.
        pairs: float32[n], the inner products of every two of them.
        deep: float32[n, w], their vectors side by side, then the numbers: what the deep part sees.
    """

    linear: Float32
    total: Float32
    pairs: Float32
    deep: Float32


def beside(left: Encoded, right: Encoded) -> Encoded:
    """Two sides of the same rows as one: single-valued fields, then multi-valued ones, then numbers, of each the left first."""
    return Encoded(
        ids=np.hstack([left.ids, right.ids]),
        bags=(*left.bags, *right.bags),
        dense=np.hstack([left.dense, right.dense]),
    )


def terms(encoded: Encoded, tables: SideTables, parts: Parts) -> Terms:
    """The terms of the rows of one side; what the model has no part for is left at 0."""
    rows = len(encoded)
    linear, pairs = np.zeros(rows, np.float32), np.zeros(rows, np.float32)
    total = np.zeros((rows, tables.factors.shape[1]), np.float32)
    if parts.linear:
        for weight in field_vectors(encoded, tables.linear[:, None]):
            linear += weight[:, 0]
        linear += _numbers(encoded.dense, tables.dense_linear[:, None])[:, 0]
    vectors = field_vectors(encoded, tables.factors) if parts.factors else []
    if parts.pairwise:
        total += _numbers(encoded.dense, tables.dense_factors)
        squares = _numbers(np.square(encoded.dense), np.square(tables.dense_factors))
        for vector in vectors:
            total += vector
            squares += np.square(vector)
        pairs += np.float32(0.5) * row_sums(np.square(total) - squares)
    seen = np.hstack([*vectors, encoded.dense]) if parts.hidden else np.empty((rows, 0), np.float32)
    return Terms(linear, total, pairs, seen)


def field_vectors(encoded: Encoded, table: Float32) -> list[Float32]:
    """float32[n, f] of each field: rows of ``table``, pooled where a field has several values."""
    single = [table[encoded.ids[:, field]] for field in range(encoded.ids.shape[1])]
    return single + [pooled(bag, table) for bag in encoded.bags]


def pooled(bag: Ragged, table: Float32) -> Float32:
    """float32[n, f]: the sum or the mean of each row's vectors, 0 for a row without values."""
    lengths = np.diff(bag.indptr)
    ones = np.ones(len(bag.ids), np.float32)
    places = sp.csr_array((ones, bag.ids, bag.indptr), shape=(len(lengths), len(table)))
    sums = np.asarray(places @ table, np.float32)
    if bag.pooling == "sum":
        return sums
    return sums / np.maximum(lengths, 1).astype(np.float32)[:, None]


def row_sums(values: Float32) -> Float32:
    """float32[n]: the sum of each row, in one order however many rows there are."""
    if not values.shape[1]:
        return np.zeros(len(values), np.float32)
    return dot_scores(values, np.ones((1, values.shape[1]), np.float32))[:, 0]


def _numbers(dense: Float32, weights: Float32) -> Float32:
    """float32[n, f]: ``dense @ weights``."""
    if not dense.shape[1]:
        return np.zeros((len(dense), weights.shape[1]), np.float32)
    return dot_scores(dense, np.ascontiguousarray(weights.T))
