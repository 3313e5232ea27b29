"""The ROC curve: its points, and as a plot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tastemaker.errors import require
from tastemaker.metrics.arrays import Floats
from tastemaker.metrics.predictions import Predictions

__all__ = ["RocCurve", "roc_curve", "roc_plot"]

MOST_POINTS = 400
"""A drawn curve has no more corners than this: more cannot be seen, and make the picture's file large."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The points of a ROC curve, from (0, 0) to (1, 1); one more point than there are distinct scores.

    Args:
        false_positive_rate: float64[p], share of the irrelevant pairs that score at or above the threshold.
        true_positive_rate: float64[p], share of the relevant pairs that score at or above the threshold.
        thresholds: float64[p], falling, the first infinite.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    thresholds: Floats

    @property
    def area(self) -> float:
        """The area under the curve; the same number as `auc_global`."""
        height = (self.true_positive_rate[1:] + self.true_positive_rate[:-1]) / 2
        return float(np.diff(self.false_positive_rate) @ height)


def roc_curve(pairs: Predictions) -> RocCurve:
    """Trace the ROC curve over all pairs of all users together.

    Raises:
        ValueError: if all pairs are relevant, or none.

    >>> curve = roc_curve(Predictions.of(users=[0, 0, 0], actual=[1, 0, 1], predicted=[.9, .5, .3], relevant_from=1))
    >>> curve.true_positive_rate
    array([0. , 0.5, 0.5, 1. ])
    """
    n_relevant = int(pairs.relevant.sum())
    if n_relevant in (0, pairs.users.size):
        raise ValueError(
            f"a ROC curve needs relevant and irrelevant pairs; {n_relevant} of {pairs.users.size} are relevant "
            f"({pairs.thresholds})"
        )
    order = np.argsort(-pairs.predicted, kind="stable")
    score, relevant = pairs.predicted[order], pairs.relevant[order]
    last_of_tie = np.append(np.flatnonzero(score[1:] != score[:-1]), score.size - 1)
    hits = np.cumsum(relevant)[last_of_tie]
    misses = last_of_tie + 1 - hits
    return RocCurve(
        np.append(0.0, misses / (score.size - n_relevant)),
        np.append(0.0, hits / n_relevant),
        np.append(np.inf, score[last_of_tie]),
    )


def roc_plot(curves: Mapping[str, RocCurve], path: str | Path | None = None) -> Any:
    """Draw ROC curves, one line a model, with the diagonal of a coin toss; needs the extra ``plots``.

    Args:
        curves: the curve of each model, by the name for the legend.
        path: where to write the picture: .png, .svg, .html or .json. None writes nothing.

    Returns:
        altair.LayerChart: shows itself in a notebook.

    Raises:
        MissingExtraError: if Altair, or for a picture vl-convert, is not installed.
    """
    altair = require("altair", "plots")
    points = [
        point for name, curve in curves.items() for point in _corners(f"{name} ({curve.area:.3f})", curve)
    ]
    x = altair.X("x:Q", title="false positive rate")
    y = altair.Y("y:Q", title="true positive rate")
    lines = (
        altair.Chart(altair.Data(values=points))
        .mark_line()
        .encode(x=x, y=y, color=altair.Color("model:N", title="model (area)"), order="order:Q")
    )
    coin = altair.Chart(altair.Data(values=[{"x": 0, "y": 0}, {"x": 1, "y": 1}]))
    chart = (coin.mark_line(strokeDash=[4, 4], color="gray").encode(x=x, y=y) + lines).properties(
        title="ROC curve", width=400, height=400
    )
    if path is not None:
        if Path(path).suffix in {".png", ".svg"}:
            require("vl_convert", "plots")
        chart.save(str(path))
    return chart


def _corners(name: str, curve: RocCurve) -> list[dict[str, object]]:
    n = curve.thresholds.size
    kept = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(np.int64))
    x, y = curve.false_positive_rate[kept].tolist(), curve.true_positive_rate[kept].tolist()
    return [{"model": name, "x": a, "y": b, "order": i} for i, (a, b) in enumerate(zip(x, y, strict=True))]
