"""One model on one or several splits, summed up in a report."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tastemaker.data.splits import Split
from tastemaker.errors import DataError
from tastemaker.evaluation.fold import MOST_POINTS, Fold, measure, obstacle, without_checkpoint
from tastemaker.evaluation.observe import MEAN_WHERE_MISSING
from tastemaker.evaluation.plan import Plan, Sampled
from tastemaker.evaluation.pool import pool
from tastemaker.evaluation.protocols import Data, Protocol, splits_of
from tastemaker.evaluation.report import Counts, Report
from tastemaker.evaluation.trial import Trial
from tastemaker.metrics.calibration import CalibrationCurve, calibration_curve
from tastemaker.metrics.predictions import Predictions
from tastemaker.metrics.roc import RocCurve
from tastemaker.models.base import Recommender

__all__ = ["evaluate", "sum_up"]


def evaluate(
    model: Recommender[Any],
    data: Data,
    *,
    metrics: str | Iterable[str] | None = None,
    k: int = 10,
    protocol: Protocol = "holdout",
    folds: int = 5,
    seed: int = 0,
    relevant_from: float | None = None,
    sampled: Sampled = None,
) -> Report:
    """Measure a model on data that it has not seen.

    For each split a fresh copy of the model, with its hyper-parameters and nothing that it has learned, is fitted on the
    training part. It then makes a list for every user with held-out interactions, out of the full catalogue without what the
    user had in training, and predicts every held-out rating. A user who is only in the test part is tested like anybody else.
    Where nobody has an id (``protocol="session"``), a list is made from what the session holds before the item that is held
    out. Memory does not grow with users times items.

    Args:
        model: its hyper-parameters are used; it is not changed. On several splits it is fitted without its ``checkpoint``, a
            file of one fit.
        data: a Dataset, which is split by ``protocol``; or a Split, or several, such as folds.
        metrics: names, as a list or separated by commas; ``"map"`` is short for ``"map@{k}"``. By default rmse and mae
            (ratings only), ndcg, map, precision and recall, coverage, novelty; of click-through data auc_global, auc (over
            users), log_loss and calibration_error.
        k: the length of the lists, for metrics that do not say.
        protocol, folds, seed: how to split a Dataset; see :func:`tastemaker.evaluation.make_splits`.
        relevant_from: the rating from which a held-out item is relevant. By default the upper-quarter point of the
            scale, low + 3/4 (high - low): 4 of 1 to 5. Without ratings every held-out item is relevant; of impressions,
            those that were clicked.
        sampled: None ranks the full catalogue. A number ranks the relevant items among so many random items that the user
            never had; ``"published"`` among those that came with the split. Figures are much higher and not
            comparable, and the report says so.

    A held-out rating or impression for which a model of ratings or probabilities has no prediction counts with the training mean,
    and the report counts them.

    Raises:
        DataError: for data that cannot be split or lack what the metrics need.
        ValueError: for an unknown metric or a number out of range.

    >>> from tastemaker import Dataset, Popularity
    >>> data = Dataset.from_interactions({"user": list("aaabbbccc"), "item": [1, 2, 3, 1, 2, 4, 1, 3, 4]})
    >>> report = evaluate(Popularity(), data, metrics=["hit_rate@2", "ndcg@2"], protocol="leave-last")
    >>> report.counts.lists, round(report["hit_rate@2"], 3)
    (3, 1.0)
    """
    if not isinstance(model, Recommender):
        raise DataError(f"expected a model such as Popularity(), got {type(model).__name__}")
    splits = splits_of(data, protocol, folds=folds, seed=seed)
    schema = splits[0].train.schema
    plan = Plan.of(schema, metrics=metrics, k=k, relevant_from=relevant_from, sampled=sampled, seed=seed)
    name = type(model).__name__
    fitted = without_checkpoint(model) if len(splits) > 1 else model
    folds_of = [measure(fitted, Trial.of(split, plan), name) for split in splits]
    return sum_up(model, name, plan, splits, folds_of)


def sum_up(
    model: Recommender[Any], name: str, plan: Plan, splits: Sequence[Split], folds: Sequence[Fold]
) -> Report:
    """The report of a model, under a name, from what was measured on each split."""
    data = splits[0].train
    users = [fold.users for fold in folds]
    counts = sum((fold.counts for fold in folds), Counts())
    return Report(
        model=name,
        parameters=model.parameters(),
        data=data.schema.name,
        protocol=_protocol(splits),
        plan=plan,
        candidates=_candidates(plan, splits[0]),
        measurements={m.name: pool(users, [f.measurements[m.name] for f in folds])[1] for m in plan.metrics},
        users=data.users.decode(np.unique(np.concatenate(users))),
        fold_values={m.name: tuple(f.measurements[m.name].value for f in folds) for m in plan.metrics},
        counts=counts,
        notes=_notes(model, plan, counts, folds[0].vectors_from),
        fit_seconds=sum(fold.fit_seconds for fold in folds),
        evaluation_seconds=sum(fold.evaluation_seconds for fold in folds),
        roc=_mean_curve([fold.roc for fold in folds]),
        calibration=_calibration([fold.probabilities for fold in folds]),
    )


def _protocol(splits: Sequence[Split]) -> str:
    first = splits[0]
    drawn = "" if first.seed is None else f" (seed {first.seed})"
    if len(splits) == 1:
        return f"{first.name}: {first.description}{drawn}"
    return f"{len(splits)} splits; {first.name}: {first.description}{drawn}, and so on"


def _candidates(plan: Plan, split: Split) -> str:
    """What the lists are chosen from, in words."""
    if split.candidates is not None:
        return f"the {len(split.candidates):,} candidates of the split, without what the user had in training"
    if split.history is not None and plan.sampled is None:
        return "the full catalogue, without the items before"
    return plan.candidates


def _notes(model: Recommender[Any], plan: Plan, counts: Counts, vectors_from: str) -> tuple[str, ...]:
    obstacles: dict[str, list[str]] = {}
    for metric in plan.metrics:
        if reason := obstacle(metric, model):
            obstacles.setdefault(reason, []).append(metric.name)
    notes = [f"Not measured: {', '.join(names)}, for {reason}." for reason, names in obstacles.items()]
    if counts.missing:
        share = counts.missing / counts.interactions
        filled = "the training mean" if model.score_kind in MEAN_WHERE_MISSING else "a score below all others"
        notes.append(
            f"No prediction for {counts.missing:,} ({share:.2%}) held-out pairs; they count with {filled}."
        )
    if counts.fallback:
        notes.append(f"{counts.fallback:,} lists are of popular items: the model cannot score these users.")
    if counts.short:
        notes.append(f"{counts.short:,} lists have fewer than {plan.k} items; empty slots are misses.")
    if vectors_from:
        notes.append(f"diversity compares items by {vectors_from}.")
    if any(metric.name.startswith("ndcg_graded") for metric in plan.metrics):
        notes.append(
            "Gain of a relevant item in ndcg_graded: its rating above the lowest on the scale, or 1."
        )
    return tuple(notes)


def _mean_curve(curves: Sequence[RocCurve | None]) -> RocCurve | None:
    """Curves of several folds averaged at equal false positive rates (vertical averaging: Fawcett, 2006)."""
    there = [curve for curve in curves if curve is not None]
    if len(there) < 2:
        return there[0] if there else None
    x = np.linspace(0, 1, MOST_POINTS)
    heights = [np.interp(x, c.false_positive_rate, c.true_positive_rate) for c in there]
    up = np.append(0.0, np.mean(heights, axis=0))
    return RocCurve(np.append(0.0, x), up, np.full(len(up), np.nan))


def _calibration(folds: Sequence[Predictions | None]) -> CalibrationCurve | None:
    """The curve over the held-out pairs of all folds together."""
    there = [pairs for pairs in folds if pairs is not None]
    if not there:
        return None
    users, actual, predicted = (
        np.concatenate([getattr(pairs, name) for pairs in there]) for name in ("users", "actual", "predicted")
    )
    return calibration_curve(Predictions.of(users, actual, predicted, there[0].relevant_from))
