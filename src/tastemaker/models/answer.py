"""Filter → score → rank → top K for a set of queries, in blocks, so that memory stays bounded however many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.topk import Rows, TopK, top_k
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.history import History
from tastemaker.data.queries import Queries, as_rows, of_users
from tastemaker.errors import DataError
from tastemaker.models.checks import whole
from tastemaker.ranking.blocks import query_blocks
from tastemaker.ranking.filters import code_rows, condition_mask, join_rows
from tastemaker.ranking.recommendations import Found
from tastemaker.ranking.rerank import Cap, Diversity, rerank
from tastemaker.ranking.shortfall import shortfalls

if TYPE_CHECKING:
    from tastemaker.models.base import Fitted, Recommender

__all__ = ["FALLBACK", "Rules", "Wish", "answer"]

FALLBACK = "popularity"  # what fills the list of a query that the model cannot score


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the caller wants of the lists; see :meth:`tastemaker.models.base.Recommender.recommend`."""

    k: int
    exclude_seen: bool = True
    filter: pl.Expr | str | None = None
    allow: Any = None
    deny: Any = None
    diversify: float | None = None
    caps: dict[str, int] | None = None

    def __post_init__(self) -> None:
        whole("k", self.k)


@dataclass(frozen=True, eq=False)
class Rules:
    """What may be shown, in codes: a mask for all queries, and lists for each."""

    seen: Rows | None
    deny: Rows | None
    allow: Rows | None
    mask: NDArray[np.bool_] | None

    def take(self, rows: NDArray[np.integer]) -> Rules:
        """The rules of these queries."""
        return Rules(_take(self.seen, rows), _take(self.deny, rows), _take(self.allow, rows), self.mask)

    def keywords(self) -> dict[str, Any]:
        """As the top-k kernels take them."""
        return {"seen": self.seen, "deny": self.deny, "allow": self.allow, "mask": self.mask}


def answer(model: Recommender[Any], fitted: Fitted[Any], queries: Queries, wish: Wish) -> Found:
    """The lists for ``queries``, by the model where it can score them and by popularity where it cannot."""
    rules = _rules(fitted.catalogue, queries, wish)
    able = model._able(queries)
    k = max(1, min(wish.k, fitted.catalogue.n_items))

    def retrieve(rows: NDArray[np.int64], depth: int) -> TopK:
        return _retrieve(model, fitted, queries, rules, able, rows, depth)

    features = fitted.catalogue.item_features
    caps = [Cap.from_column(_column(features, name), limit) for name, limit in (wish.caps or {}).items()]
    if caps or wish.diversify:
        variety = Diversity(model._diversity_vectors(fitted), wish.diversify) if wish.diversify else None
        lists = rerank(retrieve, len(queries), k, caps=caps, diversity=variety)
    else:
        lists = retrieve(np.arange(len(queries)), k)
    short = shortfalls(lists, wish.k, fitted.catalogue.n_items)
    return Found(
        items=lists.items,
        scores=lists.scores,
        sources=[model.name if a else FALLBACK for a in able],
        shortfalls=[str(short[q]) if q in short else "" for q in range(len(queries))],
    )


def _column(features: pl.DataFrame, name: str) -> pl.Series:
    if name not in features.columns:
        there = ", ".join(map(repr, features.columns)) or "none"
        raise DataError(f"caps: the items have no feature {name!r}; there are: {there}")
    return features[name]


def _retrieve(
    model: Recommender[Any],
    fitted: Fitted[Any],
    queries: Queries,
    rules: Rules,
    able: NDArray[np.bool_],
    rows: NDArray[np.int64],
    depth: int,
) -> TopK:
    """The ``depth`` best items of the queries ``rows``."""
    n_items = fitted.catalogue.n_items
    parts = [(np.empty(0, np.int64), top_k(np.empty((0, n_items), np.float32), depth))]
    mine, others = np.flatnonzero(able[rows]), np.flatnonzero(~able[rows])
    for block in query_blocks(len(mine), n_items):
        at = mine[block]
        parts.append((at, _by_model(model, fitted, queries.take(rows[at]), rules.take(rows[at]), depth)))
    for block in query_blocks(len(others), n_items):
        at = others[block]
        scores = np.broadcast_to(fitted.catalogue.popularity, (len(at), n_items))
        parts.append((at, top_k(scores, depth, **rules.take(rows[at]).keywords())))
    order = np.argsort(np.concatenate([at for at, _ in parts]))
    return TopK(
        *(np.concatenate(columns)[order] for columns in zip(*(lists for _, lists in parts), strict=True))
    )


def _by_model(
    model: Recommender[Any], fitted: Fitted[Any], queries: Queries, rules: Rules, depth: int
) -> TopK:
    if queries.seeds is not None:
        return top_k(_similar_to_seeds(model, fitted, queries.seeds), depth, **rules.keywords())
    return model._top_k(fitted, queries, depth, rules)


def _similar_to_seeds(model: Recommender[Any], fitted: Fitted[Any], seeds: History) -> NDArray[np.float32]:
    """float32[q, items]: the mean similarity to the seeds of each query, over those seeds that have one."""
    if (seeds.lengths == 1).all():
        return model._similar(fitted, seeds.indices)
    distinct, at = np.unique(seeds.indices, return_inverse=True)
    similar = model._similar(fitted, distinct.astype(np.int32))
    scores = np.empty((len(seeds), fitted.catalogue.n_items), np.float32)
    for q in range(len(seeds)):
        rows = similar[at[seeds.indptr[q] : seeds.indptr[q + 1]]]
        known = ~np.isnan(rows)
        with np.errstate(invalid="ignore"):
            scores[q] = np.where(known, rows, 0).sum(axis=0) / known.sum(axis=0)
    return scores


def _take(lists: Rows | None, rows: NDArray[np.integer]) -> Rows | None:
    if lists is None or len(lists.indptr) == 2:
        return lists
    part = History.of_lengths(np.diff(lists.indptr), lists.indices).take(rows)
    return Rows(part.indptr, part.indices)


def _rules(catalogue: Catalogue, queries: Queries, wish: Wish) -> Rules:
    mask = None if wish.filter is None else condition_mask(wish.filter, catalogue.item_features)
    return Rules(
        seen=_seen(catalogue, queries, wish.exclude_seen),
        deny=_id_lists(catalogue, wish.deny, "deny", len(queries)),
        allow=_id_lists(catalogue, wish.allow, "allow", len(queries)),
        mask=mask,
    )


def _seen(catalogue: Catalogue, queries: Queries, exclude: bool) -> Rows | None:
    """Seeds always; else, if wished, the union of the stored and the given history."""
    if queries.seeds is not None:
        return Rows(queries.seeds.indptr, queries.seeds.indices)
    if not exclude:
        return None
    given = Rows(queries.history.indptr, queries.history.indices)
    both = queries.given & (queries.users >= 0)
    if not both.any():
        return given
    stored = of_users(np.where(both, queries.users, -1).astype(np.int32), catalogue).history
    return join_rows(given, Rows(stored.indptr, stored.indices))


def _id_lists(catalogue: Catalogue, given: Any, what: str, queries: int) -> Rows | None:
    """One list of item ids for all queries, or one a query, as codes (or codes already); unknown ids have no effect."""
    if given is None or isinstance(given, Rows):
        return given
    rows = as_rows(given, what)
    nested = [hasattr(r, "__iter__") and not isinstance(r, str | bytes) for r in rows]
    if any(nested) and not all(nested):
        raise DataError(f"{what}: expected item ids, or one list of item ids a query, got a mixture")
    if not any(nested):
        return code_rows(catalogue.items.encode(rows), queries)
    if len(rows) != queries:
        raise DataError(f"{what}: expected one list for each of {queries} queries, got {len(rows)}")
    return code_rows([catalogue.items.encode(as_rows(r, what)) for r in rows], queries)
