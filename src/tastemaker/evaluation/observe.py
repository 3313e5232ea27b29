"""What one fitted model shows on one split: its lists and its predictions, gathered in blocks so that memory stays bounded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.topk import Rows
from tastemaker.data.queries import context_of
from tastemaker.evaluation.area import AREA, FoldEvidence, miss_rates
from tastemaker.evaluation.trial import Trial
from tastemaker.metrics.lists import RankedLists
from tastemaker.metrics.metric import Metric, Need
from tastemaker.metrics.predictions import Predictions
from tastemaker.models.answer import FALLBACK
from tastemaker.models.base import Recommender
from tastemaker.progress import Task, current
from tastemaker.ranking.blocks import query_blocks

__all__ = ["MEAN_WHERE_MISSING", "Observation", "observe"]

_BYTES = 16 << 20  # of scores at a time, where all of them are looked at
_USERS = 1024  # whose lists are made at a time
_PAIRS = 1 << 20  # held-out pairs that are predicted at a time
_PAIRS_IN_CONTEXT = 1 << 16  # the same where each is a query of its own
MEAN_WHERE_MISSING = ("rating", "probability")
"""Kinds of scores for which the training mean stands where a model has none."""


@dataclass(frozen=True, eq=False)
class Observation:
    """Evidence for the metrics, and what to say about how it came about.

    Attributes:
        evidence: for the metrics.
        fallback: how many lists the model could not make itself and popularity filled.
        short: how many lists are shorter than k.
        missing: how many held-out pairs the model had no prediction for.
        vectors_from: where the item vectors came from; empty when none were needed.
    """

    evidence: FoldEvidence
    fallback: int = 0
    short: int = 0
    missing: int = 0
    vectors_from: str = ""


def observe(model: Recommender[Any], trial: Trial, metrics: Sequence[Metric], title: str) -> Observation:
    """Gather what the metrics need from a fitted model.

    Args:
        model: fitted on the training part.
        trial: what it is asked.
        metrics: what is to be measured.
        title: under which progress is shown.
    """
    needs = {need for metric in metrics for need in metric.needs}
    passes = ("predictions" in needs) + ("lists" in needs) + (AREA in metrics)
    with current().start(title, total=passes * len(trial.users), unit="user") as task:
        seen = _passes(model, trial, metrics, needs, task)
    given: dict[str, Any] = {
        need: getattr(trial, need)
        for need in ("popularity", "n_training_users", "consumed", "baseline")
        if need in needs
    }
    if "vectors" in needs:
        given["vectors"], source = trial.vectors
        seen = replace(seen, vectors_from=source)
    return replace(seen, evidence=replace(seen.evidence, **given))


def _passes(
    model: Recommender[Any], trial: Trial, metrics: Sequence[Metric], needs: set[Need], task: Task
) -> Observation:
    """What takes one pass over the tested users each: predictions, lists, areas."""
    seen = Observation(FoldEvidence(relevant=trial.relevant, n_items=trial.train.n_items))
    if "predictions" in needs:
        pairs, missing = _predictions(model, trial, task)
        seen = replace(seen, evidence=replace(seen.evidence, predictions=pairs), missing=missing)
    if "lists" in needs:
        lists, fallback = _lists(model, trial, task)
        short = int((lists.lengths < trial.plan.k).sum())
        seen = replace(seen, evidence=replace(seen.evidence, lists=lists), fallback=fallback, short=short)
    if AREA in metrics:
        seen = replace(seen, evidence=replace(seen.evidence, misses=_misses(model, trial, task)))
    return seen


def _lists(model: Recommender[Any], trial: Trial, task: Task) -> tuple[RankedLists, int]:
    """The lists of the tested users; how many of them are not the model's own."""
    users, k = trial.users, trial.plan.k
    items = np.full((len(users), k), -1, np.int32)
    fallback = 0
    for start in range(0, len(users), _USERS):
        rows = slice(start, min(start + _USERS, len(users)))
        found = model.recommend(**_asked(trial, rows), k=k, allow=_part(trial.candidates, rows))
        items[rows, : found.items.shape[1]] = found.items
        fallback += sum(source == FALLBACK != model.name for source in found.sources)
        task.advance(len(found.items))
    return RankedLists(items, trial.relevant), fallback


def _asked(trial: Trial, rows: slice) -> dict[str, Any]:
    """Who asks, in ids: users, or what somebody without an id did before."""
    if trial.split.history is None:
        return {"users": trial.train.users.decode_list(trial.users[rows])}
    before = trial.seen[rows]
    items = trial.train.items.decode_list(before.indices)
    ends = before.indptr.tolist()
    return {"history": [items[start:end] for start, end in pairwise(ends)]}


def _part(lists: Rows | None, rows: slice) -> Rows | None:
    if lists is None or len(lists.indptr) == 2:
        return lists
    indptr = lists.indptr[rows.start : rows.stop + 1]
    return Rows(indptr - indptr[0], lists.indices[indptr[0] : indptr[-1]])


def _predictions(model: Recommender[Any], trial: Trial, task: Task) -> tuple[Predictions, int]:
    """A score for every held-out pair, in the order of the test part; how many the model did not have.

    A model of ratings or probabilities gets the training mean for them, so that no model gains by staying silent where it is
    hard; other scores are ordered below all that the model gave.
    """
    test = trial.split.test
    predicted = np.empty(len(test), np.float64)
    context = context_of(test) if "context" in model.answers else pl.DataFrame()
    for rows in _user_blocks(test.user, _PAIRS_IN_CONTEXT if context.width else _PAIRS):
        where = context[rows] if context.width else None
        predicted[rows] = model.predict_codes(test.user[rows], test.item[rows], context=where)
        task.advance(len(np.unique(test.user[rows])))
    missing = ~np.isfinite(predicted)
    if missing.any():
        predicted[missing] = _instead(model.score_kind, trial, predicted[~missing])
    least = trial.plan.relevant_from
    return Predictions.of(test.user, test.value, predicted, relevant_from=least), int(missing.sum())


def _instead(kind: str, trial: Trial, predicted: NDArray[np.float64]) -> float:
    """What counts where a model has no prediction."""
    values, least = trial.train.value, trial.plan.relevant_from
    if kind == "probability" and least is not None:
        return float((values >= least).mean())
    if kind in MEAN_WHERE_MISSING:
        return float(values.mean(dtype=np.float64))
    return float(predicted.min() - 1) if len(predicted) else 0.0


def _user_blocks(user: NDArray[np.int32], pairs: int) -> Iterator[NDArray[np.int64]]:
    """Row numbers of whole users, about so many ``pairs`` at a time."""
    order = np.argsort(user, kind="stable")
    last = np.append(np.flatnonzero(np.diff(user[order])) + 1, len(user)).astype(np.int64)
    start = 0
    while start < len(user):
        stop = int(last[min(int(last.searchsorted(start + pairs)), len(last) - 1)])
        yield order[start:stop]
        start = stop


def _misses(model: Recommender[Any], trial: Trial, task: Task) -> NDArray[np.float64]:
    """For each relevant item, how much stands above it; one block of scores in memory at a time."""
    relevant = trial.relevant
    misses = np.empty(len(relevant.indices), np.float64)
    for rows, scores in _score_blocks(model, trial):
        part = slice(relevant.indptr[rows.start], relevant.indptr[rows.stop])
        block = type(relevant)(
            relevant.indptr[rows.start : rows.stop + 1] - part.start, relevant.indices[part]
        )
        misses[part] = miss_rates(scores, trial.seen[rows], block)
        task.advance(len(scores))
    return misses


def _score_blocks(model: Recommender[Any], trial: Trial) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Scores of all items for some users after the other; popularity's where the model has none."""
    fitted = model._fitted
    catalogue = fitted.catalogue
    for rows in query_blocks(len(trial.users), catalogue.n_items, limit_bytes=_BYTES):
        queries = trial.queries(rows, catalogue)
        able = model._able(queries)
        scores = np.empty((len(queries), catalogue.n_items), np.float32)
        scores[~able] = catalogue.popularity
        if able.any():
            scores[able] = model._score(fitted, queries.take(np.flatnonzero(able)))
        yield rows, scores
