"""What an evaluation found: each metric with its interval, what it rests on, and what it means."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tastemaker.errors import TastemakerError
from tastemaker.evaluation.plan import Plan
from tastemaker.evaluation.pool import POOLING
from tastemaker.evaluation.tables import lay_out, number, paragraph, seconds
from tastemaker.metrics.calibration import CalibrationCurve, calibration_plot
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.metric import Metric
from tastemaker.metrics.roc import RocCurve, roc_plot
from tastemaker.metrics.statistics import INTERVAL_METHOD, confidence_interval

__all__ = ["Counts", "Report", "definition_lines", "draw", "draw_calibration"]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a figure rests on, summed over the folds.

    Attributes:
        folds: how many splits.
        interactions: held-out interactions.
        lists: tested users, once a fold.
        nothing_relevant: of these, how many have nothing relevant among what was held out, and so no ranking metrics.
        new_users, new_items: users and items that only the test part has.
        fallback: lists that the model could not make and popularity filled.
        short: lists with fewer than k items.
        missing: held-out pairs for which the model had no prediction.
    """

    folds: int = 0
    interactions: int = 0
    lists: int = 0
    nothing_relevant: int = 0
    new_users: int = 0
    new_items: int = 0
    fallback: int = 0
    short: int = 0
    missing: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        mine, theirs = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + theirs[name] for name in mine})


@dataclass(frozen=True, eq=False, kw_only=True)
class Report:
    """How one model did.

    Attributes:
        model: what it is called in tables.
        parameters: its hyper-parameters.
        data: the name of the data.
        protocol: how the splits came about, in words.
        plan: what was measured.
        candidates: what the lists were chosen from, in words.
        measurements: by metric name; values per user in the order of ``users``.
        users: ids of all tested users.
        fold_values: by metric name, the value in each fold.
        counts: what the figures rest on.
        notes: what else a reader has to know.
        fit_seconds, evaluation_seconds: over all folds.
        roc: the ROC curve, over held-out pairs (``auc``, ``auc_global``, ``auc_grouped``) or over the catalogue
            (``auc_catalogue``); None unless one of these was measured.
        calibration: of the predicted probabilities, in bins; None unless ``calibration_error`` was measured.
    """

    model: str
    parameters: Mapping[str, Any]
    data: str
    protocol: str
    plan: Plan
    candidates: str
    measurements: Mapping[str, Measurement]
    users: pl.Series
    fold_values: Mapping[str, tuple[float, ...]]
    counts: Counts
    notes: tuple[str, ...]
    fit_seconds: float
    evaluation_seconds: float
    roc: RocCurve | None = None
    calibration: CalibrationCurve | None = None

    def __getitem__(self, metric: str) -> float:
        """The value of a metric: ``report["ndcg@10"]``.

        Raises:
            KeyError: for a metric that was not measured; the message lists those that were.
        """
        if metric not in self.measurements:
            raise KeyError(f"{metric!r} was not measured; there are {', '.join(self.measurements)}")
        return self.measurements[metric].value

    @cached_property
    def per_user(self) -> pl.DataFrame:
        """One row a tested user, one column a metric that has values per user (null: left out)."""
        columns = {
            name: pl.Series(m.per_user, nan_to_null=True)
            for name, m in self.measurements.items()
            if m.per_user is not None
        }
        return pl.DataFrame({"user": self.users, **columns})

    def to_polars(self) -> pl.DataFrame:
        """One row a metric: model, metric, value, low, high (95 % interval), users, left_out, sampled, definition."""
        return pl.DataFrame([self._row(metric) for metric in self.plan.metrics], schema_overrides=_TYPES)

    def to_json(self) -> str:
        """Everything but the values per user; what could not be measured is null."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=1)

    def as_dict(self) -> dict[str, Any]:
        """What :meth:`to_json` writes."""
        metrics = [
            self._row(metric) | {"folds": [_finite(v) for v in self.fold_values[metric.name]]}
            for metric in self.plan.metrics
        ]
        return {
            "model": self.model,
            "parameters": {name: _plain(value) for name, value in self.parameters.items()},
            "data": self.data,
            "protocol": self.protocol,
            "relevant": self.plan.relevance,
            "candidates": self.candidates,
            "sampled": self.plan.sampled is not None,
            "metrics": metrics,
            "counts": asdict(self.counts),
            "notes": list(self.notes),
            "fit_seconds": self.fit_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }

    def roc_plot(self, path: str | Path | None = None) -> Any:
        """Draw the ROC curve, into a file if a path is given; see :func:`tastemaker.metrics.roc_plot`.

        Raises:
            TastemakerError: if no metric that needs the curve was measured.
        """
        return draw({self.model: self.roc}, path)

    def calibration_plot(self, path: str | Path | None = None) -> Any:
        """Draw the calibration curve, into a file if a path is given; see :func:`tastemaker.metrics.calibration_plot`.

        Raises:
            TastemakerError: if ``calibration_error`` was not measured, or the model gives no probabilities.
        """
        return draw_calibration({self.model: self.calibration}, path)

    def __str__(self) -> str:
        c = self.counts
        settings = ", ".join(f"{name}={_plain(value)}" for name, value in self.parameters.items())
        figures = [
            ["metric", "value", "95 % interval", "users"],
            *(self._cells(m) for m in self.plan.metrics),
        ]
        head = [
            paragraph(f"{self.model} ({settings})" if settings else self.model, "  "),
            paragraph(f"on {self.data}, {self.protocol}", "  "),
            *([paragraph(f"! {self.plan.candidates}", "  ")] if self.plan.sampled else []),
        ]
        time = f"Fitted in {seconds(self.fit_seconds)}, evaluated in {seconds(self.evaluation_seconds)}"
        foot = [*self.reading(), *self.notes, time + (f" ({c.folds} folds)." if c.folds > 1 else ".")]
        definitions = definition_lines(self.plan.metrics)
        return "\n".join([*head, "", lay_out(figures), "", *map(paragraph, foot), "", *definitions])

    __repr__ = __str__

    def reading(self) -> list[str]:
        """How the figures are to be read: what they rest on, sentence by sentence."""
        c = self.counts
        tested = f"{len(self.users):,} users tested"
        lines = [
            f"{c.interactions:,} held-out {'impressions' if self.plan.clicks else 'interactions'}, {tested}"
            + (f" {c.lists:,} times." if c.folds > 1 else ".")
        ]
        if self.plan.ranks:
            lines.append(f"Relevant: {self.plan.relevance}. Ranked: {self.candidates}.")
            if c.nothing_relevant:
                these = "tests" if c.folds > 1 else "users"
                left_out = f"{c.nothing_relevant:,} of these {these} have nothing relevant"
                lines.append(f"{left_out} and are left out of the ranking metrics.")
        elif self.plan.relevant_from is not None:
            lines.append(f"Relevant: {self.plan.relevance}.")
        if c.new_users or c.new_items:
            lines.append(
                f"Only in the test part: {c.new_users:,} users and {c.new_items:,} items; they count like all others."
            )
        if c.folds > 1:
            lines.append(POOLING)
        return lines

    def _cells(self, metric: Metric) -> list[str]:
        row = self._row(metric)
        low, high = row["low"], row["high"]
        between = "" if low is None or high is None else f"{number(low)} – {number(high)}"
        value = self.measurements[metric.name].value
        return [metric.name, number(value), between, f"{row['users']:,}" if row["users"] else ""]

    def _row(self, metric: Metric) -> dict[str, Any]:
        measured = self.measurements[metric.name]
        interval = confidence_interval(measured)
        return {
            "model": self.model,
            "metric": metric.name,
            "value": _finite(measured.value),
            "low": _finite(interval.low),
            "high": _finite(interval.high),
            "users": measured.n_users,
            "left_out": measured.n_left_out,
            "sampled": self.plan.sampled is not None,
            "definition": metric.definition,
        }


_TYPES = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def definition_lines(metrics: tuple[Metric, ...]) -> list[str]:
    """What each metric is, and how its interval is made, wrapped."""
    lines = [paragraph(f"{metric.name}: {metric.definition}", "  ") for metric in metrics]
    return [*lines, paragraph(f"95 % interval: {INTERVAL_METHOD}.", "  ")]


def draw(curves: Mapping[str, RocCurve | None], path: str | Path | None) -> Any:
    """Plot those curves that there are.

    Raises:
        TastemakerError: if there is none.
    """
    there = {name: curve for name, curve in curves.items() if curve is not None}
    if not there:
        raise TastemakerError(
            "there is no ROC curve: evaluate with a metric that needs it, auc_global (ratings) or auc_catalogue"
        )
    return roc_plot(there, path)


def draw_calibration(curves: Mapping[str, CalibrationCurve | None], path: str | Path | None) -> Any:
    """Plot those curves that there are.

    Raises:
        TastemakerError: if there is none.
    """
    there = {name: curve for name, curve in curves.items() if curve is not None}
    if not there:
        raise TastemakerError(
            "there is no calibration curve: evaluate a model of probabilities with the metric calibration_error"
        )
    return calibration_plot(there, path)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    """A hyper-parameter for print and JSON: what is not a number, a text or a truth value by the name of its type."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else f"<{type(value).__name__}>"
