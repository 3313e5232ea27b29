"""The k best items of every query, with what must not be shown left out before anything is ranked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.dot import Float32, Int32, PackedItems, dot_scores_numpy, operands

__all__ = ["REMOVED", "Rows", "TopK", "sorted_rows", "top_k", "top_k_dot", "top_k_dot_numpy", "top_k_numpy"]

Mask = NDArray[np.bool_]

REMOVED = ("seen", "denied", "not allowed", "filtered", "unscored")
"""Why an item is missing from a short list: the columns of :attr:`TopK.removed`, in the order in which the rules apply."""

# When fewer than this share of the items meets the condition, they are gathered and the others are not scored at all.
_GATHER_BELOW = 0.5


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
        removed: int32, q x 5: how many items each rule of :data:`REMOVED` took away, every item counted once, under the first
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
        mask: bool, one a item: which items meet a condition that is the same for all queries.

    Raises:
        ValueError: if k is below 1 or a shape does not fit.

    >>> top_k(np.array([[1, 3, 2]], np.float32), 2).items
    array([[1, 2]], dtype=int32)
    """
    scores = np.ascontiguousarray(scores, np.float32)
    if scores.ndim != 2:
        raise ValueError(f"scores must be a matrix of queries x items, got shape {scores.shape}")
    rules = _Rules.of(*scores.shape, k, seen, deny, allow, mask)
    lists = _empty(len(scores), k)
    if len(scores):
        kernels.top_k(scores, k, *rules, *lists, threads())
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
    rules = _Rules.of(len(queries), len(packed), k, seen, deny, allow, mask)
    lists = _empty(len(queries), k)
    if len(queries):
        kernels.top_k_dot(queries, packed.items, *_layout(packed, rules), k, *rules, *lists, threads())
    return lists


def sorted_rows(rows: Rows) -> Rows:
    """The same lists, each in ascending order of item codes: what the kernels work on. Sorted ones are returned as they are."""
    indptr = np.ascontiguousarray(rows[0], np.int64)
    indices = np.ascontiguousarray(rows[1], np.int32)
    if kernels.rows_sorted(indptr, indices):
        return Rows(indptr, indices)
    indices = indices.copy()
    kernels.sort_rows(indptr, indices, threads())
    return Rows(indptr, indices)


class _Rules(NamedTuple):
    """The rules in the kernel's types; what is not given is empty."""

    seen_ptr: NDArray[np.int64]
    seen: Int32
    deny_ptr: NDArray[np.int64]
    deny: Int32
    allow_ptr: NDArray[np.int64]
    allow: Int32
    mask: Mask

    @classmethod
    def of(
        cls,
        queries: int,
        items: int,
        k: int,
        seen: Rows | None,
        deny: Rows | None,
        allow: Rows | None,
        mask: Mask | None,
    ) -> "_Rules":
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if mask is None:
            mask = np.empty(0, np.bool_)
        elif mask.shape != (items,) or mask.dtype != np.bool_:
            raise ValueError(
                f"mask must be {items} booleans, one a item, got {mask.dtype} of shape {mask.shape}"
            )
        lists = (
            _checked(name, rows, queries) for name, rows in (("seen", seen), ("deny", deny), ("allow", allow))
        )
        return cls(*(array for rows in lists for array in rows), np.ascontiguousarray(mask))


def _checked(name: str, rows: Rows | None, queries: int) -> Rows:
    """Sorted lists whose row pointers are sound: the kernel trusts them."""
    if rows is None:
        return Rows(np.empty(0, np.int64), np.empty(0, np.int32))
    indptr = np.asarray(rows[0])
    if indptr.shape not in ((2,), (queries + 1,)):
        raise ValueError(
            f"{name} must have one list or one for each of the {queries} queries, got {len(indptr) - 1}"
        )
    if indptr[0] != 0 or indptr[-1] != len(rows[1]) or (np.diff(indptr) < 0).any():
        raise ValueError(
            f"{name}: indptr must rise from 0 to the {len(rows[1])} indices, got {indptr[0]} to {indptr[-1]}"
        )
    return sorted_rows(rows)


def _layout(packed: PackedItems, rules: _Rules) -> tuple[Float32, Float32, Int32]:
    """Panels, offsets and lane codes of the items that may be ranked for some query."""
    keep = rules.mask if rules.mask.size else None
    if len(rules.allow_ptr) == 2:
        allowed = np.zeros(len(packed), np.bool_)
        allowed[rules.allow[(rules.allow >= 0) & (rules.allow < len(packed))]] = True
        keep = allowed if keep is None else keep & allowed
    per_query = len(rules.allow_ptr) > 2
    if keep is not None and not per_query and np.count_nonzero(keep) < _GATHER_BELOW * len(keep):
        codes = np.flatnonzero(keep).astype(np.int32)
        panels = (
            packed.pack(codes) if len(codes) else np.empty((0, packed.factors, kernels.panel), np.float32)
        )
        return panels, packed.offsets(codes), codes
    return packed.panels, packed.offsets(mask=keep), np.empty(0, np.int32)


def _empty(queries: int, k: int) -> TopK:
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
    lists = _empty(len(scores), k)
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
            lists.removed[q] = removed
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
        row = 0 if len(rows[0]) == 2 else query
        codes = rows[1][rows[0][row] : rows[0][row + 1]]
        member[codes[(codes >= 0) & (codes < items)]] = True
    return member
