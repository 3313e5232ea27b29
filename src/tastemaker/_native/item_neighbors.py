"""Items as the sets of their users: which items are similar to an item, and what that says to a history.

Every function has its NumPy twin beside it, which computes the same on dense arrays and is what the tests compare with.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.neighbors import Csr

__all__ = [
    "Measure",
    "item_neighbors",
    "item_neighbors_numpy",
    "score_from_neighbors",
    "score_from_neighbors_numpy",
    "update_item_neighbors",
    "update_item_neighbors_numpy",
]

Measure = Literal["product", "jaccard"]

_MEASURES = ("product", "jaccard")


def item_neighbors(
    users: Csr,
    scales: NDArray[np.float32],
    neighbors: int,
    *,
    measure: Measure = "product",
    min_support: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The most similar items of every item, from the users who have both. No items × items matrix is ever held.

    With x(u, i) the values and g(i) the scales:

    * product: s(i, j) = g(i) g(j) Σ_u x(u, i) x(u, j)
    * jaccard: s(i, j) = n(i, j) / (g(i) + g(j) − n(i, j)), where n counts the users with both (values must be 1)

    Args:
        users: one row a user; indices are items.
        scales: float32[n_items].
        neighbors: how many to keep of each item.
        measure: as above.
        min_support: with fewer users in common two items are not neighbors.

    Returns:
        int32 and float32[n_items, neighbors]: neighbors and similarities, most similar first, equals by item code; only
        positive similarities count, and unused places hold −1 and 0.
    """
    shape = (len(scales), neighbors)
    codes, similarities = np.empty(shape, np.int32), np.empty(shape, np.float32)
    kernels.item_neighbors(
        *_without_ones(users),
        np.ascontiguousarray(scales, np.float32),
        _MEASURES.index(measure),
        min_support,
        threads(),
        codes,
        similarities,
    )
    return codes, similarities


def _without_ones(users: Csr) -> Csr:
    """As the kernels read it: no values where all are 1."""
    first = users.values[:1] if users.values.strides == (0,) else users.values
    return users.contiguous() if (first != 1).any() else users._replace(values=first[:0]).contiguous()


def item_neighbors_numpy(
    users: Csr,
    scales: NDArray[np.float32],
    neighbors: int,
    *,
    measure: Measure = "product",
    min_support: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The specification of :func:`item_neighbors`."""
    values, mask = users.dense(len(scales))
    product = (values.T @ values).astype(np.float32)
    if measure == "product":
        similarity = product * (scales[:, None] * scales)
    else:
        either = scales[:, None] + scales - product
        similarity = product / np.where(either > 0, either, 1)
    similarity[mask.T @ mask < min_support] = 0
    np.fill_diagonal(similarity, 0)
    return _best(similarity, neighbors)


def _best(similarity: NDArray[np.float32], neighbors: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The largest of each row that are above 0."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbors]
    best = np.zeros((len(similarity), neighbors), np.float32)
    codes = np.full((len(similarity), neighbors), -1, np.int32)
    best[:, : order.shape[1]] = np.maximum(np.take_along_axis(similarity, order, 1), 0)
    codes[:, : order.shape[1]] = order
    codes[best <= 0] = -1
    return codes, best


def update_item_neighbors(
    old: tuple[NDArray[np.int32], NDArray[np.float32]],
    users: Csr,
    columns: Csr,
    moved: NDArray[np.int32],
    scales: NDArray[np.float32],
    neighbors: int,
    *,
    measure: Measure = "product",
    min_support: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The lists of :func:`item_neighbors`, with those of the ``moved`` items as they are for ``users``.

    The lists of the others lose the moved items, and take them in again, with the similarity that they have now, where they
    are among the most similar. Other pairs keep the similarity that they had.

    Args:
        old: neighbors and similarities as they were, maybe of fewer items.
        users: one row a user; indices are items.
        columns: one row a moved item: its users, ascending, and its values.
        moved: distinct items.
        scales, neighbors, measure, min_support: as for :func:`item_neighbors`.
    """
    shape = (len(scales), neighbors)
    codes, similarities = np.empty(shape, np.int32), np.empty(shape, np.float32)
    kernels.update_item_neighbors(
        *_without_ones(users),
        *columns.contiguous(),
        np.ascontiguousarray(moved, np.int32),
        np.ascontiguousarray(scales, np.float32),
        _MEASURES.index(measure),
        min_support,
        *map(np.ascontiguousarray, old),
        threads(),
        codes,
        similarities,
    )
    return codes, similarities


def update_item_neighbors_numpy(
    old: tuple[NDArray[np.int32], NDArray[np.float32]],
    users: Csr,
    columns: Csr,
    moved: NDArray[np.int32],
    scales: NDArray[np.float32],
    neighbors: int,
    *,
    measure: Measure = "product",
    min_support: int = 1,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The specification of :func:`update_item_neighbors`; it finds the columns itself."""
    n_items = len(scales)
    now = item_neighbors_numpy(users, scales, n_items, measure=measure, min_support=min_support)
    similarity, fresh = _dense_similarities(old, n_items), _dense_similarities(now, n_items)
    similarity[moved], similarity[:, moved] = fresh[moved], fresh[:, moved]
    return _best(similarity, neighbors)


def _dense_similarities(
    lists: tuple[NDArray[np.int32], NDArray[np.float32]], n_items: int
) -> NDArray[np.float32]:
    """float32[n_items, n_items]: what the lists say, 0 elsewhere."""
    similarity = np.zeros((n_items, n_items), np.float32)
    row, place = np.nonzero(lists[0] >= 0)
    similarity[row, lists[0][row, place]] = lists[1][row, place]
    return similarity


def score_from_neighbors(
    queries: Csr, neighbors: NDArray[np.int32], similarities: NDArray[np.float32]
) -> NDArray[np.float32]:
    """score(q, j) = Σ over the items i of the query's row that have j among their neighbors of value(q, i) · s(i, j).

    Args:
        queries: one row a query; indices are items.
        neighbors: int32[n_items, n], as :func:`item_neighbors` gives them.
        similarities: float32[n_items, n].

    Returns:
        float32[queries, n_items], NaN where no item of the row has j among its neighbors. Added up in the row's order.
    """
    out = np.empty((queries.n_rows, len(neighbors)), np.float32)
    kernels.score_from_neighbors(
        *queries.contiguous(),
        np.ascontiguousarray(neighbors, np.int32),
        np.ascontiguousarray(similarities, np.float32),
        threads(),
        out,
    )
    return out


def score_from_neighbors_numpy(
    queries: Csr, neighbors: NDArray[np.int32], similarities: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The specification of :func:`score_from_neighbors`."""
    out = np.full((queries.n_rows, len(neighbors)), np.nan, np.float32)
    for q in range(queries.n_rows):
        for entry in range(queries.indptr[q], queries.indptr[q + 1]):
            item = queries.indices[entry]
            found = neighbors[item][neighbors[item] >= 0]
            parts = queries.values[entry] * similarities[item, : len(found)]
            out[q, found] = np.where(np.isnan(out[q, found]), parts, out[q, found] + parts)
    return out
