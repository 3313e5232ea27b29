"""The k best items of every query, with what must not be shown left out before anything is ranked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.dot import Float32, Int32, PackedItems, dot_scores_numpy, operands

__all__ = [
    "REMOVED",
    "Rows",
    "TopK",
    "empty_lists",
    "sorted_rows",
    "top_k",
    "top_k_dot",
    "top_k_dot_numpy",
    "top_k_numpy",
]

Mask = NDArray[np.bool_]

REMOVED = ("seen", "denied", "not allowed", "filtered", "unscored", "capped")
"""Why an item is missing from a short list: the columns of :attr:`TopK.removed`, in the order in which the rules apply.
The last one is re-ranking's; the kernels leave it at zero."""

# When fewer than this share of the items meets the condition, they are gathered and the others are not scored at all.
_GATHER_BELOW = 0.5

# What it costs to gather and score one item for one query, in items scored for a block of queries.
_OWN_ITEM_COST = 16


class Rows(NamedTuple):
    """Lists of item codes, one a query: query ``q`` has ``indices[indptr[q]:indptr[q + 1]]``. A single row serves all queries.

    Codes need not be sorted, may repeat, and are passed over when they are outside the catalogue (-1, an unknown item).
    """

    indptr: NDArray[np.int64]
    indices: Int32


class TopK(NamedTuple):
    """Lists for q queries, best first.

    Attributes:
        items: int32, q x k; -1 behind the end of a short list.
        scores: float32, q x k; NaN behind the end.
        counts: int32, q: the lengths of the lists.
        removed: int32, q x 6: how many items each rule of :data:`REMOVED` took away, every item counted once, under the first
            rule that removes it. Only for lists shorter than k; zeros elsewhere.
    """

    items: Int32
    scores: Float32
    counts: Int32
    removed: Int32


def top_k(
    scores: Float32,
    k: int,
    *,
    seen: Rows | None = None,
    deny: Rows | None = None,
    allow: Rows | None = None,
    mask: Mask | None = None,
) -> TopK:
    """The k items with the highest scores; equal scores are ordered by item code.

    An item is left out when its score is NaN (no evidence) or minus infinity (a model's way of saying never), when it is in
    ``seen`` or in ``deny``, when there is an ``allow`` and it is not in it, and when ``mask`` is false.

    Args:
        scores: float32, queries x items.
        k: the length of the lists; may exceed the number of items.
        seen: items that each query has had.
        deny: items that must not be shown, a row for each query or one for all.
        allow: the only items that may be shown, a row for each query or one for all. An empty row allows nothing.
        mask: bool, one an item: which items meet a condition that is the same for all queries.

    Raises:
        ValueError: if k is below 1 or a shape does not fit.

    >>> top_k(np.array([[1, 3, 2]], np.float32), 2).items
    array([[1, 2]], dtype=int32)
    """
    scores = np.ascontiguousarray(scores, np.float32)
    if scores.ndim != 2:
        raise ValueError(f"scores must be a matrix of queries x items, got shape {scores.shape}")
    queries, items = scores.shape
    rules = _rules(queries, items, k, seen, deny, allow, mask)
    lists = empty_lists(queries, k)
    if queries:
        kernels.top_k(scores, *rules, lists, threads())
    return lists


def top_k_dot(
    queries: Float32,
    items: Float32 | PackedItems,
    k: int,
    *,
    seen: Rows | None = None,
    deny: Rows | None = None,
    allow: Rows | None = None,
    mask: Mask | None = None,
) -> TopK:
    """What ``top_k(dot_scores(queries, items), k, ...)`` gives, without ever holding the scores in memory.

    Args:
        queries: float32, queries x factors.
        items: float32, items x factors; or the same packed once, with a bias if there is one.
        k, seen, deny, allow, mask: as in :func:`top_k`.

    Raises:
        ValueError: if k is below 1 or a shape does not fit.

    >>> top_k_dot(np.array([[1, 2]], np.float32), np.array([[3, 4], [5, 6]], np.float32), 1).scores
    array([[17.]], dtype=float32)
    """
    queries, packed = operands(queries, items)
    rules = _rules(len(queries), len(packed), k, seen, deny, allow, mask)
    lists = empty_lists(len(queries), k)
    own_lists = len(rules.allow.indptr) > 2
    if own_lists and _OWN_ITEM_COST * len(rules.allow.indices) < len(queries) * len(packed):
        bias = np.empty(0, np.float32) if packed.bias is None else packed.bias
        kernels.top_k_dot_allowed(queries, packed.items, bias, *rules, lists, threads())
    elif len(queries):
        kernels.top_k_dot(queries, *_layout(packed, rules), len(packed), *rules, lists, threads())
    return lists


def sorted_rows(rows: Rows) -> Rows:
    """The same lists, each in ascending order of item codes: what the kernels work on. Sorted ones are returned as they are."""
    indptr = np.ascontiguousarray(rows.indptr, np.int64)
    indices = np.ascontiguousarray(rows.indices, np.int32)
    if kernels.rows_sorted(indptr, indices):
        return Rows(indptr, indices)
    indices = indices.copy()
    kernels.sort_rows(indptr, indices, threads())
    return Rows(indptr, indices)


class _Rules(NamedTuple):
    """The rules in the kernel's types; what is not given is empty."""

    seen: Rows
    deny: Rows
    allow: Rows
    mask: Mask


def _rules(
    queries: int,
    items: int,
    k: int,
    seen: Rows | None,
    deny: Rows | None,
    allow: Rows | None,
    mask: Mask | None,
) -> _Rules:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if mask is None:
        mask = np.empty(0, np.bool_)
    elif mask.shape != (items,) or mask.dtype != np.bool_:
        raise ValueError(
            f"mask must be {items} booleans, one an item, got {mask.dtype} of shape {mask.shape}"
        )
    return _Rules(
        _checked("seen", seen, queries),
        _checked("deny", deny, queries),
        _checked("allow", allow, queries),
        np.ascontiguousarray(mask),
    )


def _checked(name: str, rows: Rows | None, queries: int) -> Rows:
    """Sorted lists whose row pointers are sound: the kernel trusts them."""
    if rows is None:
        return Rows(np.empty(0, np.int64), np.empty(0, np.int32))
    indptr, entries = np.asarray(rows.indptr), len(rows.indices)
    if indptr.shape not in ((2,), (queries + 1,)):
        raise ValueError(
            f"{name} must have one list or one for each of the {queries} queries, got {len(indptr) - 1}"
        )
    if indptr[0] != 0 or indptr[-1] != entries or (np.diff(indptr) < 0).any():
        raise ValueError(
            f"{name}: indptr must rise from 0 to the {entries} indices, got {indptr[0]} to {indptr[-1]}"
        )
    return sorted_rows(rows)


def _layout(packed: PackedItems, rules: _Rules) -> tuple[Float32, Float32, Int32]:
    """Panels of the items that may be ranked, what their lanes start from, and the item codes in the lanes."""
    keep = rules.mask if rules.mask.size else None
    if len(rules.allow.indptr) == 2:
        allowed = _members(rules.allow, 0, len(packed))
        keep = allowed if keep is None else keep & allowed
    if keep is not None and np.count_nonzero(keep) < _GATHER_BELOW * len(keep):
        codes = np.flatnonzero(keep).astype(np.int32)
        return packed.pack(codes), packed.offsets(codes), codes
    return packed.panels, packed.offsets(mask=keep), packed.codes


def empty_lists(queries: int, k: int) -> TopK:
    """Lists with nothing in them yet."""
    return TopK(
        np.full((queries, k), -1, np.int32),
        np.full((queries, k), np.nan, np.float32),
        np.zeros(queries, np.int32),
        np.zeros((queries, len(REMOVED)), np.int32),
    )


def top_k_numpy(
    scores: Float32,
    k: int,
    *,
    seen: Rows | None = None,
    deny: Rows | None = None,
    allow: Rows | None = None,
    mask: Mask | None = None,
) -> TopK:
    """:func:`top_k` by the book: apply the rules in order, sort what is left, cut."""
    lists = empty_lists(len(scores), k)
    n = scores.shape[1]
    for q, row in enumerate(scores):
        rules = (
            _members(seen, q, n),
            _members(deny, q, n),
            ~_members(allow, q, n) if allow is not None else np.zeros(n, np.bool_),
            ~mask if mask is not None else np.zeros(n, np.bool_),
            ~(row > -np.inf),
        )
        left = np.ones(n, np.bool_)
        removed = []
        for rule in rules:
            removed.append(int((left & rule).sum()))
            left &= ~rule
        codes = np.flatnonzero(left)
        best = codes[np.argsort(-row[codes], kind="stable")][:k]
        lists.items[q, : len(best)] = best
        lists.scores[q, : len(best)] = row[best]
        lists.counts[q] = len(best)
        if len(best) < k:
            lists.removed[q, : len(removed)] = removed
    return lists


def top_k_dot_numpy(
    queries: Float32,
    items: Float32 | PackedItems,
    k: int,
    *,
    seen: Rows | None = None,
    deny: Rows | None = None,
    allow: Rows | None = None,
    mask: Mask | None = None,
) -> TopK:
    """:func:`top_k_dot` by the book: the scores, then :func:`top_k_numpy`."""
    return top_k_numpy(dot_scores_numpy(queries, items), k, seen=seen, deny=deny, allow=allow, mask=mask)


def _members(rows: Rows | None, query: int, items: int) -> Mask:
    """Which of the items are in a query's list."""
    member = np.zeros(items, np.bool_)
    if rows is not None:
        row = 0 if len(rows.indptr) == 2 else query
        codes = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
        member[codes[(codes >= 0) & (codes < items)]] = True
    return member
