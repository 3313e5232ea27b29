"""How alike two items are to those who took them: the weights behind each similarity of :class:`ItemKNN`."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import dot_scores
from tastemaker._native.item_neighbors import Measure
from tastemaker._native.neighbors import Csr, row_moments
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.columns import constant, is_constant, tally
from tastemaker.data.history import History
from tastemaker.errors import DataError

__all__ = ["SIMILARITIES", "ItemSimilarity", "ItemSpace", "cosines", "item_space"]

ItemSimilarity = Literal["cosine", "adjusted_cosine", "jaccard", "lift", "bm25"]

BM25_K1, BM25_B = (
    1.2,
    0.75,
)  # saturation and length normalization, the values of Robertson and Zaragoza (2009)


class ItemSpace(NamedTuple):
    """What :func:`tastemaker._native.item_neighbors.item_neighbors` takes.

    Attributes:
        users: one row a user: the items and x(u, i).
        scales: float32[n_items].
        measure: how sums of products become similarities.
    """

    users: Csr
    scales: NDArray[np.float32]
    measure: Measure


def item_space(data: Catalogue, similarity: ItemSimilarity) -> ItemSpace:
    """The weights whose products, summed over users and scaled, are the similarity.

    Raises:
        DataError: for ``adjusted_cosine`` without ratings and ``bm25`` with negative ones.
    """
    history = data.history
    return SIMILARITIES[similarity](Csr(history.indptr, history.indices, _products(history)), data)


def _products(history: History) -> NDArray[np.float32]:
    """value · weight; constant where both are."""
    if is_constant(history.value) and is_constant(history.weight):
        return constant(history.value[0] * history.weight[0], len(history.value))
    return history.value * history.weight


def _cosine(users: Csr, data: Catalogue) -> ItemSpace:
    """x = value · weight; Σ x(u, i) x(u, j) / (‖x(·, i)‖ ‖x(·, j)‖)."""
    squares = tally(users.indices, data.n_items, users.values, power=2)
    return ItemSpace(users, _inverse(np.sqrt(squares)), "product")


def _adjusted_cosine(users: Csr, data: Catalogue) -> ItemSpace:
    """The cosine of what remains of the ratings when each user's mean is taken off (Sarwar et al., 2001)."""
    if not data.schema.explicit:
        raise DataError('similarity="adjusted_cosine" needs ratings, these data have none; use "cosine"')
    history = data.history
    count, total = row_moments(Csr(history.indptr, history.indices, history.value)).T[:2]
    means = np.divide(total, count, out=np.zeros(len(count)), where=count > 0)
    centred = (history.value - means[history.rows()]) * history.weight
    return _cosine(Csr(users.indptr, users.indices, centred.astype(np.float32)), data)


def _jaccard(users: Csr, data: Catalogue) -> ItemSpace:
    """|users of both| / |users of either|."""
    return ItemSpace(_ones(users), _counts(users, data).astype(np.float32), "jaccard")


def _lift(users: Csr, data: Catalogue) -> ItemSpace:
    """P(i and j) / (P(i) P(j)): how many times as often as chance has them together. Give it a ``min_support``."""
    active = int(np.count_nonzero(np.diff(users.indptr)))
    return ItemSpace(_ones(users), _inverse(_counts(users, data) / max(1, active) ** 0.5), "product")


def _bm25(users: Csr, data: Catalogue) -> ItemSpace:
    """Σ of products of BM25 weights, with items as documents and users as their terms (Robertson and Zaragoza, 2009).

    x(u, i) = idf(u) · v (k1 + 1) / (v + k1 (1 − b + b · length(i) / mean length)), where v = value · weight,
    length(i) = Σ_u v(u, i) and idf(u) = ln(items / (1 + items of u)): a user who takes everything says little.
    """
    values = users.values.astype(np.float64)
    if (values < 0).any():
        raise DataError(f'similarity="bm25" needs values of at least 0, got {values.min():g}; use "cosine"')
    lengths = np.bincount(users.indices, values, data.n_items)
    relative = lengths / max(float(lengths.mean()), np.finfo(np.float64).tiny)
    saturated = values * (BM25_K1 + 1) / (values + BM25_K1 * (1 - BM25_B + BM25_B * relative[users.indices]))
    taken = np.diff(users.indptr)
    idf = np.repeat(np.log(data.n_items / (1 + taken)), taken)
    return ItemSpace(users._replace(values=(saturated * idf).astype(np.float32)), _no_scale(data), "product")


def _no_scale(data: Catalogue) -> NDArray[np.float32]:
    return np.ones(data.n_items, np.float32)


def _ones(users: Csr) -> Csr:
    return users._replace(values=constant(np.float32(1), len(users.values)))


def _counts(users: Csr, data: Catalogue) -> NDArray[np.float64]:
    return tally(users.indices, data.n_items)


def _inverse(norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """1 / norms, and 0 where the norm is 0."""
    return np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0).astype(np.float32)


SIMILARITIES: dict[str, Callable[[Csr, Catalogue], ItemSpace]] = {
    "cosine": _cosine,
    "adjusted_cosine": _adjusted_cosine,
    "jaccard": _jaccard,
    "lift": _lift,
    "bm25": _bm25,
}


def cosines(vectors: NDArray[np.float32], seeds: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32[seeds, items]: the cosine of each item's vector with each seed's; NaN for a vector of zeros.

    >>> cosines(np.array([[2, 0], [0, 3], [0, 0]], np.float32), np.array([0]))
    array([[ 1.,  0., nan]], dtype=float32)
    """
    norms = np.sqrt(np.einsum("if,if->i", vectors, vectors, dtype=np.float64))[:, None]
    unit = (vectors / np.where(norms > 0, norms, np.nan)).astype(np.float32)
    return dot_scores(unit[seeds], unit)
