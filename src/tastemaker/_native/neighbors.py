"""Users as rating vectors: who is similar to a query, and what the similar ones say of an item.

Every function has its NumPy twin beside it, which computes the same on dense arrays and is what the tests compare with.
"""

from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = [
    "Aggregation",
    "Csr",
    "Over",
    "Similarity",
    "predict_from_neighbors",
    "predict_from_neighbors_numpy",
    "row_moments",
    "user_similarities",
    "user_similarities_numpy",
]

Similarity = Literal["cosine", "pearson", "jaccard"]
Over = Literal["all", "common"]
Aggregation = Literal["mean", "weighted", "centred", "sum"]

_SIMILARITIES = ("cosine", "pearson", "jaccard")
_AGGREGATIONS = ("mean", "weighted", "centred", "sum")


class Csr(NamedTuple):
    """A sparse matrix by rows (CSR).

    Attributes:
        indptr: int64[rows + 1].
        indices: int32[entries], no column twice in a row.
        values: float32[entries].
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.indptr) - 1

    def contiguous(self) -> "Csr":
        """The same rows in the types and layout that the kernels read (no copy where they have them already)."""
        return Csr(
            np.ascontiguousarray(self.indptr, np.int64),
            np.ascontiguousarray(self.indices, np.int32),
            np.ascontiguousarray(self.values, np.float32),
        )

    def scipy(self, columns: int) -> sp.csr_array:
        """The same matrix for SciPy, with so many columns, without a copy."""
        return sp.csr_array((self.values, self.indices, self.indptr), shape=(self.n_rows, columns))

    def dense(self, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values (blanks 0) and their mask, both float64[rows, columns]. For the twins only."""
        values, mask = np.zeros((self.n_rows, columns)), np.zeros((self.n_rows, columns))
        at = np.repeat(np.arange(self.n_rows), np.diff(self.indptr)), self.indices
        values[at] = self.values
        mask[at] = 1
        return values, mask


def row_moments(rows: Csr) -> NDArray[np.float64]:
    """float64[rows, 3]: how many entries each row has, their sum, and the sum of their squares.

    >>> row_moments(Csr(np.array([0, 2, 2]), np.array([0, 3]), np.array([3.0, 4.0])))
    array([[ 2.,  7., 25.],
           [ 0.,  0.,  0.]])
    """
    count = np.diff(rows.indptr)
    row = np.repeat(np.arange(rows.n_rows), count)
    values = rows.values.astype(np.float64)
    sums = [np.bincount(row, weights, minlength=rows.n_rows) for weights in (values, values**2)]
    return np.column_stack([count.astype(np.float64), *sums])


def user_similarities(
    queries: Csr,
    raters: Csr,
    moments: NDArray[np.float64],
    *,
    similarity: Similarity = "cosine",
    over: Over = "all",
    min_support: int = 1,
) -> NDArray[np.float64]:
    """How similar each query's rating vector is to each user's.

    With x and y the two vectors and |common| the number of items that both rated:

    * cosine: x·y / (‖x‖ ‖y‖);
    * pearson: the cosine of the two after each one's own mean is taken off;
    * jaccard: |common| / |rated by either|, whatever ``over`` is.

    Args:
        queries: one row a query; indices are items.
        raters: one row an item; indices are users.
        moments: float64[n_users, 3], :func:`row_moments` of the users' rows.
        similarity: as above.
        over: ``"all"`` takes whole vectors, blanks as 0; ``"common"`` only the items that both rated.
        min_support: with fewer items in common the similarity is 0; so it is where a norm or a variance is 0.

    Returns:
        float64[queries, n_users]. All sums are taken in double precision, in the order of the query's row.
    """
    out = np.empty((queries.n_rows, len(moments)))
    kernels.user_similarities(
        *queries.contiguous(),
        *raters.contiguous(),
        np.ascontiguousarray(moments, np.float64),
        _SIMILARITIES.index(similarity),
        over == "common",
        min_support,
        threads(),
        out,
    )
    return out


def user_similarities_numpy(
    queries: Csr,
    raters: Csr,
    moments: NDArray[np.float64],
    *,
    similarity: Similarity = "cosine",
    over: Over = "all",
    min_support: int = 1,
) -> NDArray[np.float64]:
    """The specification of :func:`user_similarities`."""
    x, x_mask = queries.dense(raters.n_rows)
    y, y_mask = raters.dense(len(moments))
    common = x_mask @ y_mask
    if similarity == "jaccard":
        top, bottom = common, x_mask.sum(1)[:, None] + moments[:, 0] - common
    elif over == "common":
        x_moments = common, x @ y_mask, x**2 @ y_mask
        y_moments = common, x_mask @ y, x_mask @ y**2
        top, bottom = _similarity_terms(similarity, common, x_moments, y_moments, x @ y)
    else:
        x_moments = x_mask.sum(1)[:, None], x.sum(1)[:, None], (x**2).sum(1)[:, None]
        y_moments = moments[:, 0], moments[:, 1], moments[:, 2]
        top, bottom = _similarity_terms(similarity, np.float64(raters.n_rows), x_moments, y_moments, x @ y)
    defined = (bottom > 0) & (common >= min_support)
    return np.where(defined, top / np.where(defined, bottom, 1), 0)


_Moments = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _similarity_terms(
    similarity: Similarity,
    length: NDArray[np.float64] | np.float64,
    x: _Moments,
    y: _Moments,
    product: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator and denominator of a cosine or a correlation of vectors of ``length`` entries."""
    if similarity == "cosine":
        return product, np.sqrt(x[2] * y[2])
    return length * product - x[1] * y[1], np.sqrt(_spread(length, x) * _spread(length, y))


def _spread(length: NDArray[np.float64] | np.float64, moments: _Moments) -> NDArray[np.float64]:
    """length² times the variance; exactly 0 for a constant vector, whatever the rounding left of it."""
    value = length * moments[2] - moments[1] ** 2
    return np.where(value > 1e-12 * length * moments[2], value, 0)


def predict_from_neighbors(
    queries: Csr,
    query_users: NDArray[np.int32],
    raters: Csr,
    moments: NDArray[np.float64],
    targets: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None,
    *,
    neighbors: int,
    aggregation: Aggregation = "weighted",
    similarity: Similarity = "cosine",
    over: Over = "all",
    min_support: int = 1,
) -> NDArray[np.float32]:
    """What the users most similar to a query, among those who rated an item, say of that item.

    The neighbors N of a query q for an item i are the ``neighbors`` users v of greatest similarity s(q, v) > 0 who rated
    i; of equals those whose ratings stand first in the item's row. They are put together, in the row's order:

    * mean: Σ r(v, i) / |N|
    * weighted: Σ s(q, v) r(v, i) / Σ s(q, v)
    * centred: mean(q) + Σ s(q, v) (r(v, i) − mean(v)) / Σ s(q, v)
    * sum: Σ s(q, v) r(v, i)

    Args:
        queries: one row a query, as in :func:`user_similarities`, with the arguments that are the same there.
        query_users: int32[queries], the user that a query is and that cannot be its neighbor; −1 for none.
        raters: one row an item; indices are users.
        moments: float64[n_users, 3].
        targets: the items to predict for each query as (indptr int64[queries + 1], items int32[targets]);
            None for every item.
        neighbors: how many neighbors to take at most.
        aggregation: as above.
        similarity, over, min_support: which similarity, see :func:`user_similarities`.

    Returns:
        float32[targets], or float32[queries, n_items] without ``targets``; NaN where there is no neighbor.
    """
    every = targets is None
    indptr, items = (np.empty(0, np.int64), np.empty(0, np.int32)) if targets is None else targets
    out = np.empty(queries.n_rows * raters.n_rows if every else len(items), np.float32)
    kernels.predict_from_neighbors(
        *queries.contiguous(),
        np.ascontiguousarray(query_users, np.int32),
        *raters.contiguous(),
        np.ascontiguousarray(moments, np.float64),
        np.ascontiguousarray(indptr, np.int64),
        np.ascontiguousarray(items, np.int32),
        every,
        _SIMILARITIES.index(similarity),
        over == "common",
        min_support,
        neighbors,
        _AGGREGATIONS.index(aggregation),
        threads(),
        out,
    )
    return out.reshape(queries.n_rows, raters.n_rows) if every else out


def predict_from_neighbors_numpy(
    queries: Csr,
    query_users: NDArray[np.int32],
    raters: Csr,
    moments: NDArray[np.float64],
    targets: tuple[NDArray[np.int64], NDArray[np.int32]] | None = None,
    *,
    neighbors: int,
    aggregation: Aggregation = "weighted",
    similarity: Similarity = "cosine",
    over: Over = "all",
    min_support: int = 1,
) -> NDArray[np.float32]:
    """The specification of :func:`predict_from_neighbors`."""
    similarities = user_similarities_numpy(
        queries, raters, moments, similarity=similarity, over=over, min_support=min_support
    )
    own = row_moments(queries)
    if targets is None:
        grid = np.tile(np.arange(raters.n_rows, dtype=np.int32), queries.n_rows)
        targets = np.arange(queries.n_rows + 1) * raters.n_rows, grid
        shape: tuple[int, ...] = (queries.n_rows, raters.n_rows)
    else:
        shape = (len(targets[1]),)
    out = np.full(len(targets[1]), np.nan, np.float32)
    for q in range(queries.n_rows):
        for t in range(targets[0][q], targets[0][q + 1]):
            row = slice(*raters.indptr[targets[1][t] : targets[1][t] + 2])
            users, ratings = raters.indices[row], raters.values[row].astype(np.float64)
            near = np.where(users == query_users[q], 0, similarities[q, users])
            best = np.argsort(-near, kind="stable")[:neighbors]
            best = best[near[best] > 0]
            if len(best) == 0:
                continue
            weight = np.ones(len(best)) if aggregation == "mean" else near[best]
            if aggregation == "centred":
                means = moments[users[best], 1] / moments[users[best], 0]
                out[t] = own[q, 1] / own[q, 0] + weight @ (ratings[best] - means) / weight.sum()
            else:
                out[t] = weight @ ratings[best] / (1 if aggregation == "sum" else weight.sum())
    return out.reshape(shape)
