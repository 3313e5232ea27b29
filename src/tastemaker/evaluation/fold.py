"""One model on one split: a fresh copy is fitted on the training part, and measured."""

import time
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.evaluation.area import FoldEvidence, area_curve
from tastemaker.evaluation.observe import Observation, observe
from tastemaker.evaluation.report import Counts
from tastemaker.evaluation.trial import Trial
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.metric import Metric
from tastemaker.metrics.predictions import Predictions
from tastemaker.metrics.roc import RocCurve, roc_curve
from tastemaker.models.base import Recommender

__all__ = ["MOST_POINTS", "Fold", "measure", "obstacle", "without_checkpoint"]

T = TypeVar("T")

_ON_THE_SCALE = ("rmse", "mae", "precision", "precision_global", "recall", "recall_global")
_OVER_PAIRS = {"auc", "auc_global", "auc_grouped"}
MOST_POINTS = 1000
"""A ROC curve is kept with no more points than this."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One model measured on one split.

    Attributes:
        users: int32[q]: the tested users, rising.
        measurements: by metric name, values per user in the order of ``users``.
        counts: what they rest on.
        vectors_from: where the item vectors for diversity came from; empty when none were needed.
        fit_seconds, evaluation_seconds: how long it took.
        roc: None unless an area under it was asked for.
        probabilities: beside what happened; None unless their calibration was asked for.
    """

    users: NDArray[np.int32]
    measurements: dict[str, Measurement]
    counts: Counts
    vectors_from: str
    fit_seconds: float
    evaluation_seconds: float
    roc: RocCurve | None
    probabilities: Predictions | None


def measure(model: Recommender[Any], trial: Trial, name: str) -> Fold:
    """Fit a copy of ``model``, which has its hyper-parameters and nothing that it has learned, and measure it."""
    start = time.perf_counter()
    fitted = replace(model).fit(trial.train)
    middle = time.perf_counter()
    able = [metric for metric in trial.plan.metrics if not obstacle(metric, model)]
    seen = observe(fitted, trial, able, f"evaluate {name}, {trial.split.name}")
    measurements = {metric.name: Measurement(float("nan"), None) for metric in trial.plan.metrics}
    measurements |= {metric.name: metric(seen.evidence) for metric in able}
    curve, counts = _curve(seen.evidence, trial), _counts(trial, seen)
    took = time.perf_counter() - middle
    asked = any(metric.name == "calibration_error" for metric in able)
    probabilities = seen.evidence.predictions if asked else None
    return Fold(
        trial.users, measurements, counts, seen.vectors_from, middle - start, took, curve, probabilities
    )


def without_checkpoint(model: T) -> T:
    """A copy of a model, and of those that it is made of, for several fits: a checkpoint is of one alone."""
    if isinstance(model, dict):
        return type(model)({name: without_checkpoint(member) for name, member in model.items()})
    if not isinstance(model, Recommender):
        return model
    settings = {f.name: without_checkpoint(getattr(model, f.name)) for f in fields(model)}
    return replace(model, **settings | ({"checkpoint": None} if "checkpoint" in settings else {}))


def obstacle(metric: Metric, model: Recommender[Any]) -> str:
    """Why the metric has no meaning for the scores of this model; empty where it has."""
    kind = model.score_kind
    if metric.name in _ON_THE_SCALE and kind != "rating":
        return f"its scores are of kind {kind!r}, not ratings"
    if metric.name in ("log_loss", "calibration_error") and kind != "probability":
        return f"its scores are of kind {kind!r}, not probabilities"
    return ""


def _counts(trial: Trial, seen: Observation) -> Counts:
    return Counts(
        folds=1,
        interactions=len(trial.split.test),
        lists=len(trial.users),
        nothing_relevant=int((trial.relevant.counts == 0).sum()),
        new_users=len(trial.split.test_only_users),
        new_items=len(trial.split.test_only_items),
        fallback=seen.fallback,
        short=seen.short,
        missing=seen.missing,
    )


def _curve(evidence: FoldEvidence, trial: Trial) -> RocCurve | None:
    """The ROC curve behind the area that was asked for: over held-out pairs, else over the catalogue, else none."""
    pairs, asked = evidence.predictions, {metric.name for metric in trial.plan.metrics}
    if pairs is not None and asked & _OVER_PAIRS and 0 < pairs.relevant.sum() < len(pairs.users):
        curve = roc_curve(pairs)
    elif evidence.misses is not None and np.isfinite(evidence.misses).any():
        curve = area_curve(evidence.misses, trial.relevant)
    else:
        return None
    n = len(curve.thresholds)
    kept = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(np.int64))
    return RocCurve(curve.false_positive_rate[kept], curve.true_positive_rate[kept], curve.thresholds[kept])
