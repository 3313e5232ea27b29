"""Scaled dot-product attention (Vaswani et al., NIPS 2017) of sequences packed end to end, without padding.

    out[i] = Σ_j a[i, j] · v[j],  a[i] = softmax_j(<q[i], k[j]> / √width),  for each head and within each sequence

Under the causal mask a query sees the keys up to its own place. Beside each function its NumPy twin.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["attend", "attend_back", "attend_back_numpy", "attend_numpy", "weights_for"]

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


def attend(
    queries: Float32,
    query_indptr: Int64,
    keys: Float32,
    key_indptr: Int64,
    heads: int,
    factors: int,
    causal: bool,
    weights: Float32 | None = None,
) -> Float32:
    """float32[queries, factors]: what each query takes from the values of its sequence.

    A sequence has the same bits alone or with any others, with any number of threads.

    Args:
        queries: float32[queries, ≥ factors], rows that begin with the query.
        query_indptr: int64[sequences + 1], which queries each sequence has; the last stands at its last key.
        keys: float32[tokens, ≥ 2 · factors], rows that end with the key and then the value.
        key_indptr: int64[sequences + 1], which keys each sequence has, at least as many as queries.
        heads: parts of the factors, each with weights of its own.
        factors: a multiple of ``heads``.
        causal: whether a query sees no key that comes after it.
        weights: from :func:`weights_for`, to be filled for :func:`attend_back`; None: they are not kept.

    >>> rows = np.array([[0, 0, 1], [0, 0, 3]], np.float32)  # query, key, value; all weights are alike
    >>> ends = np.array([0, 2])
    >>> attend(rows, ends, rows, ends, heads=1, factors=1, causal=True)
    array([[1.],
           [2.]], dtype=float32)
    """
    out = np.empty((len(queries), factors), np.float32)
    kept = np.empty(0, np.float32) if weights is None else weights
    kernels.attend(queries, query_indptr, keys, key_indptr, heads, causal, threads(), kept, out)
    return out


def attend_numpy(
    queries: Float32,
    query_indptr: Int64,
    keys: Float32,
    key_indptr: Int64,
    heads: int,
    factors: int,
    causal: bool,
) -> Float32:
    """What :func:`attend` computes, up to rounding, in float64."""
    out = np.empty((len(queries), factors))
    for q, k in zip(_slices(query_indptr), _slices(key_indptr), strict=True):
        for head in np.array_split(np.arange(factors), heads):
            key, value = keys[k, -2 * factors :][:, head], keys[k, -factors:][:, head]
            out[q, head] = _weights(queries[q, head], key, causal) @ value
    return out.astype(np.float32)


def weights_for(indptr: Int64, heads: int) -> Float32:
    """Room for the weights of sequences that attend to themselves."""
    lanes = kernels.lanes
    lengths = np.diff(indptr)
    return np.empty(int((heads * lengths * (-(-lengths // lanes) * lanes)).sum()), np.float32)


def attend_back(
    rows: Float32, indptr: Int64, heads: int, causal: bool, weights: Float32, out: Float32, gradient: Float32
) -> Float32:
    """float32[tokens, 3 · factors]: the gradient of queries, keys and values where the sequences attend to themselves.

    Args:
        rows: float32[tokens, 3 · factors], each the query, the key and the value.
        indptr, heads, causal: as in :func:`attend`.
        weights: as :func:`attend` has filled them.
        out: float32[tokens, factors], what it gave.
        gradient: float32[tokens, factors], the gradient of that.
    """
    to = np.empty_like(rows)
    kernels.attend_back(rows, indptr, heads, causal, threads(), weights, out, gradient, to)
    return to


def attend_back_numpy(rows: Float32, indptr: Int64, heads: int, causal: bool, gradient: Float32) -> Float32:
    """What :func:`attend_back` computes, up to rounding, in float64."""
    factors = rows.shape[1] // 3
    to = np.empty(rows.shape)
    for s in _slices(indptr):
        for head in np.array_split(np.arange(factors), heads):
            query, key, value = (rows[s, part * factors + head].astype(np.float64) for part in range(3))
            weights, back = _weights(query, key, causal), gradient[s, head].astype(np.float64)
            common = (weights @ value * back).sum(axis=1, keepdims=True)
            scores = weights * (back @ value.T - common) / np.sqrt(len(head))
            to[s, head], to[s, factors + head] = scores @ key, scores.T @ query
            to[s, 2 * factors + head] = weights.T @ back
    return to.astype(np.float32)


def _weights(query: NDArray[np.floating], key: NDArray[np.floating], causal: bool) -> NDArray[np.float64]:
    """float64[queries, keys]."""
    scores = query.astype(np.float64) @ key.T.astype(np.float64) / np.sqrt(key.shape[1])
    if causal:
        later = np.arange(len(key)) > (np.arange(len(query)) + len(key) - len(query))[:, None]
        scores[later] = -np.inf
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _slices(indptr: Int64) -> list[slice]:
    return [slice(begin, end) for begin, end in pairwise(indptr)]
