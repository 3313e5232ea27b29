"""Where candidates come from: what is worth ranking for one query, out of all that may be shown."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.topk import Rows, TopK, top_k, top_k_dot
from tastemaker.data.queries import Queries
from tastemaker.models.answer import Rules
from tastemaker.models.base import Recommender
from tastemaker.models.item_knn import ItemKNN
from tastemaker.policy.pool import unit_rows
from tastemaker.policy.scoring import Asked, DotAsked
from tastemaker.policy.shelf import Shelf

__all__ = [
    "SOURCES",
    "Candidates",
    "Request",
    "Screen",
    "also_bought",
    "among",
    "personal",
    "popular",
    "related",
]

Codes = NDArray[np.int32]

SOURCES = ("personal", "also_bought", "similar", "trending", "new", "popular", "asked")
"""Where a candidate came from; one that came from several counts for the first."""

RECENT = 10  # items of a history that lead to others
_EACH = 20  # items that each of them leads to
_NONE = np.empty(0, np.int32)


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """One list to fill, in codes of a shelf.

    Attributes:
        query: one query; its history holds items that the models know.
        described: the same with what is known at the moment of whoever asks, for the ranking model; None where it is the same.
        recent: the last items of the history, newest first, arrivals included.
        k: the length of the list.
        seen: what the user has had, and deny: what must not be shown; allow: the only items that may be, None for all.
        mask: bool[items], which items meet a condition; None for all.
        now: microseconds since 1970, for the windows of items; None to leave them open.
        explore: whether to draw from the policy's exploration, or take the best.
        explain: with a reason for each item.
        seed: of the draw.
        deadline: by :func:`time.perf_counter`; what is not needed for a list is left out after it.
    """

    query: Queries
    described: Queries | None = None
    recent: Codes = field(default_factory=lambda: _NONE)
    k: int = 10
    seen: Codes = field(default_factory=lambda: _NONE)
    deny: Codes = field(default_factory=lambda: _NONE)
    allow: Codes | None = None
    mask: NDArray[np.bool_] | None = None
    now: int | None = None
    explore: bool = True
    explain: bool = True
    seed: int = 0
    deadline: float | None = None


@dataclass(frozen=True, eq=False)
class Screen:
    """What may be shown for one request: the same for every source, and for the kernels.

    Attributes:
        hidden: int32[n], what must not be shown whoever asks, and what was denied.
        gone: int32[n] ascending, that and what was seen.
        allow: int32[n] ascending, the only items that may be shown; None for all.
        mask: bool[items], which meet a condition; None for all.
    """

    shelf: Shelf
    hidden: Codes
    gone: Codes
    allow: Codes | None
    mask: NDArray[np.bool_] | None

    @classmethod
    def of(cls, request: Request, shelf: Shelf) -> "Screen":
        """The rules of a request."""
        closed = [] if request.now is None else [shelf.windows.closed(request.now)]
        hidden = np.concatenate([shelf.withdrawn, request.deny, *closed])
        allow = None if request.allow is None else np.unique(request.allow)
        return cls(shelf, hidden, np.unique(np.concatenate([hidden, request.seen])), allow, request.mask)

    def keep(self, items: Codes) -> Codes:
        """Those of the items that may be shown, in their order; repeats are kept."""
        return items[self.passes(items)]

    def passes(self, items: Codes) -> NDArray[np.bool_]:
        """bool[n]: which of the items may be shown."""
        ok = ~among(items, self.gone)
        if self.allow is not None:
            ok &= among(items, self.allow)
        if self.mask is not None:
            ok &= self.mask[items]
        return ok

    def rules(self) -> Rules:
        """As the top-k kernels take them, for the items that the models know."""
        first = self.shelf.arrivals.first
        allow = None if self.allow is None else _row(self.allow[self.allow < first])
        mask = None if self.mask is None else self.mask[:first]
        return Rules(_row(self.gone[self.gone < first]), None, allow, mask)


def among(items: Codes, ascending: Codes) -> NDArray[np.bool_]:
    """bool[n]: which items are in a list of ascending codes."""
    if not len(ascending):
        return np.zeros(len(items), np.bool_)
    at = ascending.searchsorted(items)
    found: NDArray[np.bool_] = ascending[np.minimum(at, len(ascending) - 1)] == items
    return found


def _row(codes: Codes) -> Rows:
    return Rows(np.array([0, len(codes)], np.int64), codes)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Items to rank, each once.

    Attributes:
        items: int32[n].
        source: int8[n], into :data:`SOURCES`.
        complete: whether these are all items that may be shown.
    """

    items: Codes
    source: NDArray[np.int8]
    complete: bool

    @classmethod
    def joined(cls, found: dict[str, Codes], complete: bool = False) -> "Candidates":
        """The items of all sources, in the order of :data:`SOURCES`.

        >>> Candidates.joined({"new": np.array([3, 1], np.int32), "personal": np.array([1], np.int32)}).items
        array([1, 3], dtype=int32)
        """
        parts = [(number, found[name]) for number, name in enumerate(SOURCES) if name in found]
        items = np.concatenate([_NONE, *(codes for _, codes in parts)])
        source = np.repeat(
            np.array([number for number, _ in parts], np.int8), [len(codes) for _, codes in parts]
        )
        _, first = np.unique(items, return_index=True)
        first.sort()
        return cls(items[first], source[first], complete)


def popular(screen: Screen, depth: int) -> tuple[Codes, bool]:
    """The ``depth`` items that most people took, arrivals last; whether these are all that may be shown."""
    catalogue = screen.shelf.catalogue
    found = top_k(catalogue.popularity[None], depth, **screen.rules().keywords())
    first = screen.shelf.arrivals.first
    late = screen.keep(np.arange(first, screen.shelf.n_items, dtype=np.int32))
    return np.concatenate([found.items[0, : found.counts[0]], late]), int(found.counts[0]) < depth


def personal(asked: Asked, request: Request, screen: Screen, depth: int) -> dict[str, Codes]:
    """What the retrieval model scores highest, and what is similar to the recent items.

    Similar is what has the highest inner products with the mean of their directions, newer ones counting more: both are found
    in one pass over the items.
    """
    rules = screen.rules()
    if not isinstance(asked, DotAsked):
        return {"personal": _codes(asked.top(depth, rules), 0)}
    vectors = asked.vector
    if len(request.recent):
        unit = unit_rows(asked.vectors(request.recent[:RECENT]))
        fade = 1 / np.sqrt(np.arange(1, len(unit) + 1, dtype=np.float32))
        vectors = np.concatenate([vectors, (fade @ unit)[None]])
    lists = _nearly_all(vectors, screen, rules, depth)
    if lists is None:
        found = top_k_dot(vectors, asked.packed, depth, **rules.keywords())
        lists = [_codes(found, row) for row in range(len(vectors))]
    return dict(
        zip(("personal", "similar"), (lists[0], *(one[: depth // 4] for one in lists[1:])), strict=False)
    )


def _nearly_all(vectors: NDArray[np.float32], screen: Screen, rules: Rules, depth: int) -> list[Codes] | None:
    """By the approximate index, where there is one; None where the exact search is called for."""
    index = screen.shelf.approximate
    if index is None or screen.allow is not None or not index.suits(rules.mask):
        return None
    found = index.top(vectors, depth + min(depth, len(screen.gone)), rules.mask)
    lists = [screen.keep(codes)[:depth] for codes in found]
    return lists if len(lists[0]) >= depth // 2 else None


def _codes(found: TopK, row: int) -> Codes:
    return found.items[row, : found.counts[row]]


def related(model: Recommender[Any], items: Codes, each: int = _EACH) -> TopK:
    """The items that go with each of these, by a model that compares items."""
    if isinstance(model, ItemKNN):
        state = model._fitted.state
        codes, scores = state.codes[items, :each], state.similarities[items, :each]
        counts = (codes >= 0).sum(axis=1).astype(np.int32)
        return TopK(codes, scores, counts, np.zeros((len(items), 6), np.int32))
    return top_k(model._similar(model._fitted, items), each)


def also_bought(found: TopK, limit: int) -> Codes:
    """The items that go with several of the recent ones or closely with one: the sums of their similarities, the newest first."""
    there = (found.items >= 0) & (found.scores > 0)
    fade = 1 / np.sqrt(np.arange(1, len(found.items) + 1))[:, None]
    items, at = np.unique(found.items[there], return_inverse=True)
    total = np.bincount(at, (found.scores * fade)[there], len(items))
    return items[np.lexsort((items, -total))][:limit]
