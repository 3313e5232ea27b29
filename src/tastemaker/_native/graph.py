"""Training on a graph: embeddings smoothed over it, comparisons of what a user has with what not, and their gradient.

Every function has its NumPy twin beside it, which says what it computes and is what the tests compare with. The bits do not
depend on the number of threads.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.draws import draw_bits, place_of
from tastemaker._native.grouping import group_order

__all__ = [
    "Graph",
    "Taken",
    "compare",
    "compare_numpy",
    "draw_comparisons",
    "draw_comparisons_numpy",
    "smooth",
    "smooth_numpy",
]

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

_TRIES = 64


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without weights: the neighbours of every node.

    Attributes:
        indptr: int64[nodes + 1].
        indices: int32[2 · edges]; every edge stands with both of its nodes.
    """

    indptr: Int64
    indices: Int32

    @classmethod
    def bipartite(cls, user: Int32, item: Int32, n_users: int, n_items: int) -> "Graph":
        """The graph of users, which come first, and items; each pair is an edge, and no pair is there twice."""
        by_user, users = group_order(user, n_users)
        by_item, items = group_order(item, n_items)
        indices = np.concatenate([item[by_user] + np.int32(n_users), user[by_item]])
        return cls(np.concatenate([users, users[-1] + items[1:]]), indices)

    @property
    def degrees(self) -> Int64:
        """int64[nodes]."""
        return np.diff(self.indptr)


def smooth(graph: Graph, table: Float32, layers: int) -> Float32:
    """float32[nodes, width]: (1 + Â + Â² + … + Â^layers) / (layers + 1) · table with Â = D^−½ A D^−½.

    A is the adjacency of the graph, D its degrees; a node without neighbours keeps table / (layers + 1). The matrix is
    symmetric, so that this is also what takes the gradient back.
    """
    out = np.empty_like(table)
    kernels.smooth(graph.indptr, graph.indices, table, layers, threads(), out)
    return out


def smooth_numpy(graph: Graph, table: Float32, layers: int) -> Float32:
    """The specification of :func:`smooth`, up to rounding."""
    nodes = len(table)
    adjacency = np.zeros((nodes, nodes))
    np.add.at(adjacency, (np.repeat(np.arange(nodes), graph.degrees), graph.indices), 1)
    root = np.sqrt(np.maximum(graph.degrees, 1))
    normalized = adjacency / root[:, None] / root
    total = layer = table.astype(np.float64)
    for _ in range(layers):
        layer = normalized @ layer
        total = total + layer
    return (total / (layers + 1)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Taken:
    """What to draw comparisons from.

    Attributes:
        indptr, items: int64[users + 1] and int32[n]: the items of each user, ascending.
        users: int32[any], who has any.
        pool: int32[any], the items from which negatives are drawn.
    """

    indptr: Int64
    items: Int32
    users: Int32
    pool: Int32

    @classmethod
    def of(cls, user: Int32, item: Int32, n_users: int, n_items: int) -> "Taken":
        """From pairs; negatives are drawn from all items that anybody has."""
        order = np.lexsort((item, user))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))]).astype(np.int64)
        users, pool = np.unique(user).astype(np.int32), np.unique(item).astype(np.int32)
        return cls(indptr, item[order].astype(np.int32), users, pool)


def draw_comparisons(taken: Taken, key: int, first: int, count: int) -> Int32:
    """int32[count, 3]: a user, one of the user's items and an item that is none of them; the draws from number ``first`` on.

    Users are drawn alike, whatever they have. Of someone who has nearly everything the negative may be the positive, which
    teaches nothing.

    Args:
        taken: who has what.
        key: below 2⁶⁴; equal keys, equal draws.
        first: ≥ 0.
        count: how many.
    """
    out = np.empty((count, 3), np.int32)
    kernels.draw_comparisons(taken.indptr, taken.items, taken.users, taken.pool, key, first, threads(), out)
    return out


def draw_comparisons_numpy(taken: Taken, key: int, first: int, count: int) -> Int32:
    """What :func:`draw_comparisons` computes."""
    out = np.empty((count, 3), np.int32)
    for n in range(count):
        start = (first + n) * (_TRIES + 2)
        user = taken.users[_place(key, start, len(taken.users))]
        own = taken.items[taken.indptr[user] : taken.indptr[user + 1]]
        positive = own[_place(key, start + 1, len(own))]
        drawn = (int(taken.pool[_place(key, start + 2 + t, len(taken.pool))]) for t in range(_TRIES))
        out[n] = user, positive, next((item for item in drawn if item not in own), positive)
    return out


def _place(key: int, n: int, size: int) -> int:
    """One of 0 … size − 1: draw ``n`` of a key."""
    return place_of(draw_bits(key, n), size)


def compare(table: Float32, triples: Int32) -> tuple[float, Float32]:
    """The mean of log(1 + exp(u · (j − i))) over triples (u, i, j) of rows of ``table``, and its gradient by the table.

    Args:
        table: float32[rows, width].
        triples: int32[n, 3]: a user, what the user has, and what not.

    Returns:
        The loss and float32[rows, width].
    """
    gradient = np.empty_like(table)
    loss: float = kernels.compare(table, triples, threads(), gradient)
    return loss, gradient


def compare_numpy(table: Float32, triples: Int32) -> tuple[float, Float32]:
    """What :func:`compare` computes."""
    rows = table.astype(np.float64)
    u, i, j = (rows[column] for column in triples.T)
    x = np.einsum("nf,nf->n", u, j - i)
    slope = np.exp(-np.logaddexp(0, -x))[:, None] / max(1, len(triples))
    gradient = np.zeros_like(rows)
    for column, part in zip(triples.T, (slope * (j - i), -slope * u, slope * u), strict=True):
        np.add.at(gradient, column, part)
    return float(np.logaddexp(0, x).mean()), gradient.astype(np.float32)
