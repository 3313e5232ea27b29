"""Reports side by side: one row a model, the best of each column marked."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tastemaker.errors import TastemakerError
from tastemaker.evaluation.area import AREA
from tastemaker.evaluation.plan import Plan
from tastemaker.evaluation.report import Report, definition_lines, draw, draw_calibration
from tastemaker.evaluation.tables import lay_out, number, paragraph, seconds
from tastemaker.metrics.metric import Metric
from tastemaker.metrics.statistics import TEST_METHOD, Difference, confidence_interval, paired_difference

__all__ = ["REFERENCE", "Comparison"]

REFERENCE = "Popularity (reference)"
BEST, LEVEL = "*", "·"
_NEITHER_END_IS_GOOD = ("popularity_lift",)
_ACCURACY = ("ndcg", "map", "map_min", "recall", "precision", "mrr", "hit_rate", "ndcg_graded")
_OF_CLICKS = ("auc_global", "auc_grouped", "auc")
_LEGEND = (
    f"± half of the 95 % interval; {BEST} best of its column; {LEVEL} not significantly worse than the best (95 %, each against "
    f"the best, no correction for many models); – not measured. Test: {TEST_METHOD}."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """How several models did on the same splits.

    Attributes:
        plan: what was measured.
        reports: by the models' names, in the order given.
        failures: why a model has no report, by its name.
        reference: the name of the popularity that the others should beat; None if it failed.
    """

    plan: Plan
    reports: Mapping[str, Report]
    failures: Mapping[str, str]
    reference: str | None

    def __getitem__(self, model: str) -> Report:
        """The report of a model, by its name."""
        return self.reports[model]

    def best(self, metric: str | None = None) -> str:
        """The name of the best model in a metric; by default in the first of ndcg, map, recall … (of clicks: auc_global …)
        that was measured, else in the first metric.

        Raises:
            ValueError: for a metric that was not measured.
            TastemakerError: if no model could be measured in it.
        """
        chosen = self._leading if metric is None else self._metric(metric)
        values = {name: r[chosen.name] for name, r in self.reports.items() if not math.isnan(r[chosen.name])}
        if not values:
            failed = "; ".join(f"{name}: {reason}" for name, reason in self.failures.items())
            raise TastemakerError(
                f"no model could be measured in {chosen.name}" + (f" ({failed})" if failed else "")
            )
        sign = 1 if chosen.higher_is_better else -1
        return max(values, key=lambda name: sign * values[name])

    def difference(self, metric: str, first: str, second: str) -> Difference:
        """The paired test between two models; of users measured for both.

        Raises:
            ValueError: if the metric has no values per user, or one was measured on other users than the other.
        """
        name = self._metric(metric).name
        return paired_difference(
            self.reports[first].measurements[name], self.reports[second].measurements[name]
        )

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader should not overlook: models that failed, and models that do not beat popularity."""
        found = [f"{name} failed: {reason}" for name, reason in self.failures.items()]
        metric, reference = self._accuracy, self.reference
        if metric is None or reference is None:
            return tuple(found)
        floor = self.reports[reference][metric]
        if self.best(metric) == reference and len(self.reports) > 1:
            found.append(
                f"POPULARITY WINS on {metric}: no model here beats showing everybody the same popular items."
            )
        for name, report in self.reports.items():
            if name != reference and not self._beats(metric, name, reference):
                figures = f"{number(report[metric])} against {number(floor)}"
                found.append(
                    f"{name} does not beat {reference} on {metric}: {figures}{self._doubt(metric, name)}."
                )
        return tuple(found)

    def to_polars(self) -> pl.DataFrame:
        """One row a model and metric, as in the reports' tables; failed models are missing."""
        return pl.concat([report.to_polars() for report in self.reports.values()])

    def to_json(self) -> str:
        """All reports, failures and warnings."""
        content = {
            "reports": [report.as_dict() for report in self.reports.values()],
            "failures": dict(self.failures),
            "reference": self.reference,
            "warnings": list(self.warnings),
        }
        return json.dumps(content, ensure_ascii=False, indent=1)

    def roc_plot(self, path: str | Path | None = None) -> Any:
        """Draw the ROC curves of all models, into a file if a path is given.

        Raises:
            TastemakerError: if no metric that needs the curve was measured.
        """
        return draw({name: report.roc for name, report in self.reports.items()}, path)

    def calibration_plot(self, path: str | Path | None = None) -> Any:
        """Draw the calibration curves of all models of probabilities, into a file if a path is given.

        Raises:
            TastemakerError: if ``calibration_error`` was not measured, or no model gives probabilities.
        """
        return draw_calibration({name: report.calibration for name, report in self.reports.items()}, path)

    def __str__(self) -> str:
        warnings = [paragraph(f"! {warning}", "  ") for warning in self.warnings]
        if not self.reports:
            return "\n".join(["no model could be measured", *warnings])
        first = next(iter(self.reports.values()))
        marks = {m.name: self._marks(m) for m in self.plan.metrics}
        header = ["model", *(m.name for m in self.plan.metrics), "fit", "evaluate"]
        rows = [
            [name]
            + [
                f"{_with_interval(report, m)} {marks[m.name].get(name, '')}".rstrip()
                for m in self.plan.metrics
            ]
            + [seconds(report.fit_seconds), seconds(report.evaluation_seconds)]
            for name, report in self.reports.items()
        ]
        head = paragraph(f"{first.data}, {first.protocol}", "  ")
        if self.plan.sampled:
            warnings.insert(0, paragraph(f"! {self.plan.candidates}", "  "))
        notes: dict[str, list[str]] = {}
        for name, report in self.reports.items():
            for note in report.notes:
                notes.setdefault(note, []).append(name)
        said = [paragraph(f"{', '.join(names)}: {note}", "  ") for note, names in notes.items()]
        reading = [*map(paragraph, first.reading()), *said]
        parts = [
            head,
            "",
            lay_out([header, *rows]),
            "",
            *warnings,
            *([""] if warnings else []),
            paragraph(_LEGEND),
        ]
        return "\n".join([*parts, *reading, "", *definition_lines(self.plan.metrics)])

    __repr__ = __str__

    def _metric(self, name: str) -> Metric:
        for metric in self.plan.metrics:
            if metric.name == name:
                return metric
        raise ValueError(
            f"{name!r} was not measured; there are {', '.join(m.name for m in self.plan.metrics)}"
        )

    @cached_property
    def _accuracy(self) -> str | None:
        """The metric by which models are judged: the first of a fixed order that was measured."""
        names = {m.name for m in self.plan.metrics}
        if self.plan.clicks:
            return next((name for name in _OF_CLICKS if name in names), None)
        by_family = {m.name.partition("@")[0]: m.name for m in reversed(self.plan.metrics) if m.k is not None}
        for family in _ACCURACY:
            if family in by_family:
                return by_family[family]
        return AREA.name if AREA in self.plan.metrics else None

    @property
    def _leading(self) -> Metric:
        return self.plan.metrics[0] if self._accuracy is None else self._metric(self._accuracy)

    def _test(self, metric: str, first: str, second: str) -> Difference | None:
        """The paired test, where there is one."""
        a, b = (self.reports[name].measurements[metric].contributions for name in (first, second))
        if a is None or b is None:
            return None
        pooled = not self.reports[first].measurements[metric].is_mean
        if pooled and not np.array_equal(np.isnan(a), np.isnan(b)):
            return None
        return self.difference(metric, first, second)

    def _beats(self, metric: str, name: str, reference: str) -> bool:
        """Whether a model is better than the reference and the paired test is sure of it."""
        test = self._test(metric, name, reference)
        return self.reports[name][metric] > self.reports[reference][metric] and (
            test is None or test.is_significant
        )

    def _doubt(self, metric: str, name: str) -> str:
        test = self._test(metric, name, self.reference or name)
        if test is None or math.isnan(test.p_value) or test.is_significant:
            return ""
        return f", a difference that may be chance (p = {test.p_value:.2f})"

    def _marks(self, metric: Metric) -> dict[str, str]:
        """The mark of each model in one column."""
        measured = {
            name: r[metric.name] for name, r in self.reports.items() if not math.isnan(r[metric.name])
        }
        if not measured or len(self.reports) < 2 or metric.name.partition("@")[0] in _NEITHER_END_IS_GOOD:
            return {}
        best = self.best(metric.name)
        marks = {name: BEST for name, value in measured.items() if value == measured[best]}
        for name in measured.keys() - marks.keys():
            test = self._test(metric.name, best, name)
            if test is not None and not math.isnan(test.p_value) and not test.is_significant:
                marks[name] = LEVEL
        return marks


def _with_interval(report: Report, metric: Metric) -> str:
    """A value with half the width of its interval, where it has one."""
    interval = confidence_interval(report.measurements[metric.name])
    half = (interval.high - interval.low) / 2
    value = number(report[metric.name])
    return value if math.isnan(half) else f"{value} ±{half:.1g}".replace("±0.", "±.")
