"""The stages of one answer, one after the other; what fails or is late and can be done without is left out, and told."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.topk import TopK
from tastemaker.errors import DataError
from tastemaker.models.base import Recommender
from tastemaker.policy.because import because, by_neighbors, by_vectors
from tastemaker.policy.candidates import (
    RECENT,
    SOURCES,
    Candidates,
    Request,
    Screen,
    also_bought,
    among,
    personal,
    popular,
    related,
)
from tastemaker.policy.choice import Choice, in_words
from tastemaker.policy.exploration import Greedy
from tastemaker.policy.pool import Labels, Pool, VectorLikeness, labels_of
from tastemaker.policy.scoring import Asked, DotAsked, ask
from tastemaker.policy.shelf import Shelf
from tastemaker.policy.slots import Rules, draw

__all__ = ["Settings", "choose"]

Codes = NDArray[np.int32]
Scores = NDArray[np.float32]
T = TypeVar("T")

_log = logging.getLogger(__name__)
_GIVEN = 2000  # with no more items allowed than this, all of them are ranked
_NEW = 50  # new items that are ranked


class Settings(NamedTuple):
    """What of a policy's hyper-parameters an answer depends on; see :class:`tastemaker.policy.policy.Policy`."""

    candidates: int
    pool: int
    caps: tuple[tuple[str, int], ...]
    rules: Rules


@dataclass(eq=False)
class _Answer:
    """One answer in the making: what the stages share."""

    settings: Settings
    request: Request
    shelf: Shelf
    screen: Screen
    degraded: list[str] = field(default_factory=list)
    asked: Asked | None = None
    related: TopK | None = None

    def attempt(self, stage: str, work: Callable[[], T], otherwise: T) -> T:
        """The result of a stage that can be done without."""
        if self.request.deadline is not None and time.perf_counter() > self.request.deadline:
            self.degraded.append(f"{stage}: out of time")
            return otherwise
        try:
            return work()
        except Exception as error:  # whatever goes wrong in a model must not cost the visitor the page
            _log.exception("stage %s failed", stage)
            self.degraded.append(f"{stage}: {type(error).__name__}")
            return otherwise


def choose(settings: Settings, request: Request, shelf: Shelf) -> Choice:
    """One list; see :meth:`tastemaker.policy.policy.Policy.choose`."""
    _check_caps(settings, shelf)
    answer = _Answer(settings, request, shelf, Screen.of(request, shelf))
    exploration = settings.rules.exploration if request.explore else Greedy()
    rules = replace(settings.rules, k=min(request.k, max(1, shelf.n_items)), exploration=exploration)
    model = shelf.models["retrieval"]
    if model._able(request.query)[0]:
        answer.asked = answer.attempt("retrieval", lambda: ask(model, request.query, shelf.arrivals), None)
    depth, size = max(settings.candidates, 2 * rules.k), max(settings.pool, 2 * rules.k)
    while True:
        candidates = _candidates(answer, depth, size)
        kept, pool = _pool(answer, candidates, size)
        drawn = draw(pool, rules, request.seed)
        if len(drawn.positions) == rules.k or (candidates.complete and len(candidates.items) <= size):
            break
        depth, size = 4 * depth, 4 * size  # the caps want more to choose from
    items = candidates.items[kept]
    source = candidates.source[kept]
    own, reasons = _reasons(answer, items[drawn.positions], source[drawn.positions])
    short = len(drawn.positions) < request.k
    return Choice(
        candidates=items,
        source=source,
        pool=pool,
        k=request.k,
        rules=rules,
        seed=request.seed,
        drawn=drawn,
        because=own,
        reasons=reasons,
        removed=_removed(answer.screen, request, len(drawn.positions)) if short else {},
        n_items=shelf.n_items,
        degraded=tuple(dict.fromkeys(answer.degraded)),
    )


def _check_caps(settings: Settings, shelf: Shelf) -> None:
    for column, _ in settings.caps:
        if column not in shelf.features.columns:
            there = ", ".join(map(repr, shelf.features.columns)) or "none"
            raise DataError(f"caps: the items have no feature {column!r}; there are: {there}")


def _candidates(answer: _Answer, depth: int, size: int) -> Candidates:
    """What the sources bring, without what may not be shown; filled up with popular items to ``size``."""
    request, shelf, screen = answer.request, answer.shelf, answer.screen
    if screen.allow is not None and len(screen.allow) <= _GIVEN:
        within = screen.allow[(screen.allow >= 0) & (screen.allow < shelf.n_items)]
        return Candidates.joined({"asked": screen.keep(within)}, complete=True)
    found: dict[str, Codes] = {}
    if answer.asked is not None:
        asked = answer.asked
        found = answer.attempt("retrieval", lambda: personal(asked, request, screen, depth), {})
    companion = shelf.models.get("also_bought")
    recent = request.recent[:RECENT]
    recent = recent[recent < shelf.arrivals.first]
    if companion is not None and len(recent):
        answer.related = answer.attempt("also_bought", lambda: related(companion, recent), None)
        if answer.related is not None:
            found["also_bought"] = screen.keep(also_bought(answer.related, depth))
    found["trending"] = screen.keep(shelf.trending)
    found["new"] = _new(answer)
    joined = Candidates.joined(found)
    if len(joined.items) >= size:
        return joined
    found["popular"], complete = popular(screen, size)
    return Candidates.joined(found, complete)


def _new(answer: _Answer) -> Codes:
    """The new items that suit best by what is like them; of equals the latest."""
    fresh = answer.shelf.fresh
    kept = np.flatnonzero(answer.screen.passes(fresh))[::-1]
    if answer.asked is not None and len(kept) > _NEW:
        scores = np.nan_to_num(answer.asked.of_fresh(fresh)[kept], nan=-np.inf)
        kept = kept[np.argsort(-scores, kind="stable")]
    return fresh[kept[:_NEW]]


def _pool(answer: _Answer, candidates: Candidates, size: int) -> tuple[NDArray[np.int64], Pool]:
    """The best of the candidates by the ranking model, in order; new ones for the slots that are kept for them too."""
    shelf, items = answer.shelf, candidates.items
    scores = _scores(answer, items)
    taken = _taken(shelf, items)
    known = ~np.isnan(scores)
    order = np.lexsort((items, -np.where(known, scores, taken), ~known))
    order = order[scores[order] != -np.inf]  # a model's way of saying never
    new = among(items, shelf.fresh)
    kept = order[:size]
    if wanted := 5 * answer.settings.rules.new_item_slots:
        late = order[size:]
        kept = np.concatenate([kept, late[new[late]][:wanted]])
    codes = items[kept]
    rows = pl.Series(codes.astype(np.uint32))  # as Polars takes rows fastest
    columns = [(shelf.features[name][rows], limit) for name, limit in answer.settings.caps]
    return kept, Pool(
        _utilities(scores[kept], taken[kept]),
        new[kept],
        VectorLikeness.of(_vectors(answer, codes)),
        labels_of(columns) if columns else Labels.none(),
    )


def _scores(answer: _Answer, items: Codes) -> Scores:
    """float32[n]: the scores of the ranking model; else of the retrieval model; else what most people take."""
    request, shelf = answer.request, answer.shelf
    ranking = shelf.models.get("ranking")
    if ranking is not None and ranking._able(request.described or request.query)[0]:
        found = answer.attempt("ranking", lambda: _by_pairs(ranking, request, shelf, items), None)
        if found is not None:
            return found
    if answer.asked is not None:
        return answer.asked.of(items)
    return shelf.common(items)


def _by_pairs(model: Recommender[Any], request: Request, shelf: Shelf, items: Codes) -> Scores:
    def score(known: Codes) -> Scores:
        query = request.described or request.query
        return model._predict(model._fitted, query, np.zeros(len(known), np.int64), known)

    return shelf.arrivals.scores(items, score, request.query.history.indices)


def _taken(shelf: Shelf, items: Codes) -> Scores:
    """float32[n]: the popularity of items, 0 for arrivals."""
    first = shelf.arrivals.first
    return np.where(items < first, shelf.catalogue.popularity[np.minimum(items, first - 1)], 0)


def _utilities(scores: Scores, taken: Scores) -> NDArray[np.float64]:
    """float64[n]: scores brought to 0..1, and for what has none -1..0 by popularity, to single precision; both fall."""
    known = ~np.isnan(scores)
    found = -1.0 + taken / (1.0 + float(taken.max(initial=0)))
    own = scores[known].astype(np.float64)
    finite = own[np.isfinite(own)]
    if len(finite) and finite[0] > finite[-1]:
        found[known] = (np.minimum(own, finite[0]) - finite[-1]) / (finite[0] - finite[-1])
    else:
        found[known] = np.isfinite(own) * 0.0
    return found.astype(np.float32).astype(np.float64)


def _vectors(answer: _Answer, codes: Codes) -> Scores:
    """float32[n, f]: the vectors by which candidates are alike; f is 0 where nobody asks or there are none."""
    model = answer.shelf.models["retrieval"]
    if not answer.settings.rules.diversity:
        return np.empty((len(codes), 0), np.float32)
    memo = model._fitted.memo
    if "diversity_vectors" not in memo:
        memo["diversity_vectors"] = model._diversity_vectors(model._fitted)
    return answer.shelf.arrivals.mean_rows(memo["diversity_vectors"], codes)


def _reasons(answer: _Answer, items: Codes, source: NDArray[np.int8]) -> tuple[Codes, tuple[str, ...]]:
    """For each item of the list the user's own that it has most to do with, and both in words."""
    if not answer.request.explain:
        return np.full(len(items), -1, np.int32), ("",) * len(items)
    recent = answer.request.recent[:RECENT]
    strength = np.zeros((len(items), len(recent)), np.float32)
    if strength.size and isinstance(answer.asked, DotAsked):
        strength = by_vectors(answer.asked.vectors(recent), answer.asked.vectors(items))
    if strength.size and answer.related is not None:
        bought = by_neighbors(answer.related, items)
        rows = np.flatnonzero(bought.any(axis=1))
        strength[rows] = 0
        strength[np.ix_(rows, np.flatnonzero(recent < answer.shelf.arrivals.first))] = bought[rows]
    own = np.append(recent, np.int32(-1))[because(strength)] if len(items) else items
    titles = answer.shelf.titles(own)
    names = (SOURCES[number] for number in source)
    return own, tuple(in_words(name, title) for name, title in zip(names, titles, strict=True))


def _removed(screen: Screen, request: Request, found: int) -> dict[str, int]:
    """What took items away from a short list, each counted under the first rule that removes it."""
    n = screen.shelf.n_items
    left = np.ones(n, np.bool_)
    removed = {}
    for reason, gone in (
        ("seen", _member(request.seen, n)),
        ("denied", _member(screen.hidden, n)),
        ("not allowed", np.False_ if screen.allow is None else ~_member(screen.allow, n)),
        ("filtered", np.False_ if request.mask is None else ~request.mask),
    ):
        removed[reason] = int((left & gone).sum())
        left &= ~gone
    removed["capped"] = int(left.sum()) - found
    return removed


def _member(codes: Codes, n: int) -> NDArray[np.bool_]:
    found = np.zeros(n, np.bool_)
    found[codes[(codes >= 0) & (codes < n)]] = True
    return found
