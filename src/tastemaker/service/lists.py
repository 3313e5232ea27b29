"""From a question to a choice: by the policy, by one model, or by one source alone. Every list is drawn in the same way."""

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.topk import top_k
from tastemaker.errors import CannotAnswerError, DataError
from tastemaker.models.base import Recommender
from tastemaker.policy.candidates import SOURCES, Request, Screen
from tastemaker.policy.choice import Choice, in_words
from tastemaker.policy.policy import Policy
from tastemaker.policy.pool import Labels, Pool, VectorLikeness
from tastemaker.policy.shelf import Shelf
from tastemaker.policy.slots import Rules, draw
from tastemaker.service.asks import Ask, Taken
from tastemaker.service.serving import Serving

__all__ = ["choose"]

Codes = NDArray[np.int32]
Scores = NDArray[np.float32]

_SPARE = 20  # candidates beside the list that are logged with it
_BY_CONTENT = ("content", "retrieval", "also_bought")
_BY_BASKETS = ("also_bought", "item_knn", "retrieval")


def choose(
    serving: Serving,
    ask: Ask,
    deny: Sequence[str],
    seed: int,
    deadline: float | None,
    model: str | None = None,
    features: Mapping[str, Any] | None = None,
) -> Choice:
    """The list for a question.

    Args:
        serving: what is in service.
        ask: the question.
        deny: further items that must not be shown.
        seed: of the draw.
        deadline: seconds until what can be done without is left out.
        model: the one model to ask, in place of the policy.
        features: of the user at the moment; None for those that the models were fitted on.

    Raises:
        DataError: for a filter or a cap that cannot be applied.
        CannotAnswerError: if nothing in service compares items, and that was asked for.
    """
    shelf = serving.live.shelf
    taken = _in_time(ask.history)
    request = serving.live.request(
        ask.user_id,
        history=None if taken is None else [one.item_id for one in taken],
        weights=None if taken is None else [one.weight for one in taken],
        k=ask.k,
        exclude_seen=ask.exclude_seen,
        filter=ask.filter,
        allow=ask.allow,
        deny=(*ask.exclude, *deny, *ask.seeds),
        explore=ask.explore,
        explain=ask.explain,
        seed=seed,
        deadline=None if deadline is None else time.perf_counter() + deadline,
        features=features,
        context=ask.context,
        shelf=shelf,
    )
    if model is not None:
        return _by_model(serving.models[model], request, shelf)
    if ask.seeds or ask.source is not None:
        return _by_source(serving, ask, request, shelf)
    return _adjusted(serving.policy, ask).choose(request, shelf)


def _in_time(history: Sequence[Taken] | None) -> Sequence[Taken] | None:
    """A session's history, oldest first: as given, or by its times where all are known."""
    if history is None or any(taken.time is None for taken in history):
        return history
    return sorted(history, key=lambda taken: taken.time or 0)


def _adjusted(policy: Policy, ask: Ask) -> Policy:
    """The policy with what this question wants otherwise."""
    if ask.diversify is None and ask.caps is None:
        return policy
    own = copy.copy(policy)
    own.diversity = policy.diversity if ask.diversify is None else ask.diversify
    own.caps = policy.caps if ask.caps is None else ask.caps
    return own


def _by_model(model: Recommender[Any], request: Request, shelf: Shelf) -> Choice:
    """What one model alone would show; the most popular to whom it cannot answer."""
    rules, depth = Screen.of(request, shelf).rules(), request.k + _SPARE
    if model._able(request.query)[0]:
        found = model._top_k(model._fitted, request.query, depth, rules)
    else:
        found = top_k(shelf.catalogue.popularity[None], depth, **rules.keywords())
    return _ordered(shelf, request, found.items[0, : found.counts[0]], found.scores[0], "personal")


def _by_source(serving: Serving, ask: Ask, request: Request, shelf: Shelf) -> Choice:
    """What goes with the seeds, what is taken a lot these days, or what has just come in."""
    screen = Screen.of(request, shelf)
    if ask.source == "trending":
        items = screen.keep(shelf.trending)
        return _ordered(shelf, request, items, shelf.trend[items], "trending")
    if ask.source == "new":
        items = screen.keep(shelf.fresh)[::-1].copy()
        return _ordered(shelf, request, items, np.linspace(1, 0, len(items), dtype=np.float32), "new")
    if not ask.seeds:
        raise DataError(f"source {ask.source!r} needs seed_items")
    order = _BY_BASKETS if ask.source == "also_bought" else _BY_CONTENT
    codes = np.array([serving.live.code(item, shelf) for item in ask.seeds], np.int32)
    scores = _likeness(_who_compares(serving, order), codes[codes >= 0], shelf)
    found = top_k(scores[None], request.k + _SPARE, **screen.rules().keywords())
    source = "also_bought" if ask.source == "also_bought" else "similar"
    title = shelf.titles(codes[:1])[0] if len(codes) == 1 else ""
    return _ordered(shelf, request, found.items[0, : found.counts[0]], found.scores[0], source, title)


def _who_compares(serving: Serving, order: Sequence[str]) -> Recommender[Any]:
    known = {**serving.models, **serving.live.shelf.models}
    for name in order:
        if name in known and "seeds" in known[name].answers:
            return known[name]
    raise CannotAnswerError("no model in service compares items; add one that does, such as item_knn")


def _likeness(model: Recommender[Any], seeds: Codes, shelf: Shelf) -> Scores:
    """float32[known items]: how alike each is to the seeds; the items most like a new seed stand for it."""
    first = shelf.arrivals.first
    total, weight = np.zeros(first, np.float64), np.zeros(first, np.float64)
    late = shelf.arrivals.row[seeds]
    for seed, row in zip(seeds.tolist(), late.tolist(), strict=True):
        if row >= 0:
            like = shelf.arrivals.like.codes[row]
            total[like[like >= 0]] += shelf.arrivals.like.weights[row][like >= 0]
            weight[like[like >= 0]] += 1
        else:
            found = model._similar(model._fitted, np.array([seed], np.int32))[0]
            there = ~np.isnan(found) & (found > 0)
            total[there] += found[there]
            weight[there] += 1
    out = np.full(first, np.nan, np.float32)
    np.divide(total, max(1, len(seeds)), out=out, where=weight > 0, casting="unsafe")
    return out


def _ordered(
    shelf: Shelf, request: Request, items: Codes, scores: Scores, source: str, seed: str = ""
) -> Choice:
    """A list in the order of its scores, drawn as all others are; ``seed`` is the title of what it goes with."""
    depth = min(len(items), request.k + _SPARE)
    items, scores = items[:depth], scores[:depth]
    utilities = np.minimum.accumulate(np.nan_to_num(scores.astype(np.float64)))
    nothing = VectorLikeness(np.empty((depth, 0), np.float32))
    pool = Pool(utilities, np.zeros(depth, np.bool_), nothing, Labels.none())
    rules = Rules(k=request.k)
    drawn = draw(pool, rules, request.seed)
    short = len(drawn.positions) < request.k
    return Choice(
        candidates=items,
        source=np.full(depth, SOURCES.index(source), np.int8),
        pool=pool,
        k=request.k,
        rules=rules,
        seed=request.seed,
        drawn=drawn,
        because=np.full(len(drawn.positions), -1, np.int32),
        reasons=(in_words(source, seed) if request.explain else "",) * len(drawn.positions),
        removed=_removed(shelf, request, len(drawn.positions)) if short else {},
        n_items=shelf.n_items,
        degraded=(),
    )


def _removed(shelf: Shelf, request: Request, found: int) -> dict[str, int]:
    """What took items away from a short list; what the source does not bring up has no score in it."""
    seen, gone = np.unique(request.seen), Screen.of(request, shelf).gone
    left = np.ones(shelf.n_items, np.bool_)
    left[gone] = False
    filtered = 0 if request.mask is None else int((left & ~request.mask).sum())
    counts = {"seen": len(seen), "denied": len(gone) - len(seen), "filtered": filtered}
    return counts | {"unscored": shelf.n_items - found - sum(counts.values())}
