"""Whether predicted probabilities come true: the calibration curve, its distance from the diagonal, and its plot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from tastemaker.errors import require
from tastemaker.metrics.arrays import Floats, Ints
from tastemaker.metrics.classification import refuse_other_than_probabilities
from tastemaker.metrics.grouped import average_ranks
from tastemaker.metrics.measurement import Measurement, whole
from tastemaker.metrics.predictions import Predictions

__all__ = ["BINS", "CalibrationCurve", "calibration_curve", "calibration_error", "calibration_plot"]

BINS = 10
"""How many bins of equally many pairs, unless said otherwise."""


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """Predicted probability beside what happened, in bins of equally many pairs, lowest predictions first.

    Args:
        predicted: float64[b], the mean prediction of each bin.
        observed: float64[b], the share of relevant pairs in each bin.
        low, high: float64[b], the ends of the 95 % interval of ``observed``.
        counts: int64[b], how many pairs each bin has.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    counts: Ints

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |observed - predicted| over bins, weighted by their counts."""
        return float(np.abs(self.observed - self.predicted) @ self.counts / self.counts.sum())


def calibration_curve(pairs: Predictions, bins: int = BINS) -> CalibrationCurve:
    """Part all pairs by their predictions into ``bins`` of equally many, and compare means.

    Pairs are ordered by prediction; pair number r of n is in bin floor((r - 1/2) bins / n). Equal predictions share the mean of
    their numbers, so that they are in one bin whatever the order of the rows; a bin without pairs is left out.

    The interval is Wilson's (1927) for a share, in which a bin's pairs count for fewer where those of one user are alike: as many
    as give a binomial share the variance that the bin has with users as clusters (Korn & Graubard, 1998).

    Raises:
        ValueError: if a predicted score is not a probability, or ``bins`` is below 1.

    >>> pairs = Predictions.of([0, 1, 2, 3], actual=[0, 1, 0, 1], predicted=[.2, .3, .6, .8], relevant_from=1)
    >>> curve = calibration_curve(pairs, bins=2)
    >>> curve.predicted, curve.observed, round(curve.error, 3)
    (array([0.25, 0.7 ]), array([0.5, 0.5]), 0.225)
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    refuse_other_than_probabilities(pairs, "a calibration curve")
    bin_of = _bins(pairs.predicted, bins)
    counts = np.bincount(bin_of)
    predicted = np.bincount(bin_of, pairs.predicted) / counts
    observed = np.bincount(bin_of, pairs.relevant) / counts
    low, high = _wilson(observed, _effective_counts(pairs, bin_of, observed, counts))
    return CalibrationCurve(predicted, observed, low, high, counts.astype(np.int64))


def calibration_error(pairs: Predictions) -> Measurement:
    """Measure the expected calibration error over 10 bins of equally many pairs; see `CalibrationCurve`.

    It has no interval: where predictions are right, chance alone keeps it above 0, the more so the fewer pairs there are.
    """
    return whole(calibration_curve(pairs).error)


def _bins(predicted: Floats, bins: int) -> npt.NDArray[np.intp]:
    """int[n]: the bin of each pair, numbered from 0 without gaps."""
    rank = average_ranks(np.zeros(predicted.size, np.intp), predicted)
    number = np.floor((rank - 0.5) * bins / predicted.size)
    codes: npt.NDArray[np.intp] = np.unique(number, return_inverse=True)[1]
    return codes


def _effective_counts(
    pairs: Predictions, bin_of: npt.NDArray[np.intp], observed: Floats, counts: npt.NDArray[np.intp]
) -> Floats:
    """float64[b]: how many independent pairs would tell as much about each bin's share; at most its count."""
    cell = bin_of * pairs.n_users + pairs.group
    filled, at = np.unique(cell, return_inverse=True)
    owner = filled // pairs.n_users
    residuals = np.bincount(at, pairs.relevant - observed[bin_of])  # summed over a user's pairs in a bin
    users = np.bincount(owner)
    spread = np.bincount(owner, residuals * residuals) * users / np.maximum(users - 1, 1)
    binomial = counts * observed * (1 - observed)
    inflation = np.divide(spread, binomial, out=np.ones(len(counts)), where=binomial > 0)
    return counts / np.maximum(inflation, 1)


def _wilson(share: Floats, count: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """The score interval of a share of so many."""
    z = float(special.ndtri((1 + confidence) / 2))
    center = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    # At the ends rounding could leave the share itself outside.
    return np.minimum(center - half, share), np.maximum(center + half, share)


def calibration_plot(curves: Mapping[str, CalibrationCurve], path: str | Path | None = None) -> Any:
    """Draw calibration curves with their intervals, and the diagonal of predictions that come true; needs the extra ``plots``.

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
        point for name, curve in curves.items() for point in _points(f"{name} ({curve.error:.4f})", curve)
    ]
    most = max(max(curve.predicted.max(), curve.high.max()) for curve in curves.values())
    base = altair.Chart(altair.Data(values=points)).encode(
        x=altair.X("predicted:Q", title="mean predicted probability"),
        color=altair.Color("model:N", title="model (calibration error)"),
    )
    y = altair.Y("observed:Q", title="observed share")
    bars = base.mark_rule().encode(y=altair.Y("low:Q", title="observed share"), y2="high:Q")
    lines = base.mark_line(point=True).encode(y=y, order="predicted:Q")
    ends = [{"predicted": 0, "observed": 0}, {"predicted": float(most), "observed": float(most)}]
    right = altair.Chart(altair.Data(values=ends)).mark_line(strokeDash=[4, 4], color="gray")
    chart = (right.encode(x="predicted:Q", y=y) + bars + lines).properties(
        title="calibration", width=400, height=400
    )
    if path is not None:
        if Path(path).suffix in {".png", ".svg"}:
            require("vl_convert", "plots")
        chart.save(str(path))
    return chart


def _points(name: str, curve: CalibrationCurve) -> list[dict[str, object]]:
    columns = {"predicted": curve.predicted, "observed": curve.observed, "low": curve.low, "high": curve.high}
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [{"model": name, **dict(zip(columns, row, strict=True))} for row in rows]
