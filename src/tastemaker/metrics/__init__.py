"""What a list or a prediction is worth. Pure functions on NumPy arrays, vectorised over users; they know no model.

Build a `RankedLists` (lists beside what was relevant) or `Predictions` (scores beside what happened), and measure by name:

>>> from tastemaker.metrics import Evidence, RankedLists, confidence_interval, definitions, parse
>>> lists = RankedLists.from_lists([[4, 2, 9], [1, 7, 3]], relevant=[{2, 9}, {7}])
>>> ndcg = parse("ndcg@3")(Evidence(lists=lists))
>>> round(ndcg.value, 4), ndcg.per_user.round(4)
(0.6622, array([0.6934, 0.6309]))
>>> print(definitions(["coverage@3"]))
coverage@3: Share of the catalogue that stands in the first 3 of at least one list. (0 to 1, higher is better)

Every metric states its definition (`definitions`), direction, range and needs (`Metric`). Every `Measurement` of a mean or a
pooled metric keeps the values per user, for `confidence_interval` and `paired_difference`. ``parse("map@5", compat="rectools")``
computes a metric as another library does. The functions behind the names are in the modules `ranking`, `ratings`,
`correlation`, `classification`, `calibration` and `beyond`.
"""

from tastemaker.metrics.calibration import CalibrationCurve, calibration_curve, calibration_plot
from tastemaker.metrics.lists import PAD, RankedLists, RelevantItems
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.metric import Evidence, Metric
from tastemaker.metrics.predictions import Predictions
from tastemaker.metrics.registry import available, definitions, parse, parse_all
from tastemaker.metrics.roc import RocCurve, roc_curve, roc_plot
from tastemaker.metrics.statistics import (
    INTERVAL_METHOD,
    TEST_METHOD,
    Difference,
    Interval,
    confidence_interval,
    paired_difference,
)

__all__ = [
    "INTERVAL_METHOD",
    "PAD",
    "TEST_METHOD",
    "CalibrationCurve",
    "Difference",
    "Evidence",
    "Interval",
    "Measurement",
    "Metric",
    "Predictions",
    "RankedLists",
    "RelevantItems",
    "RocCurve",
    "available",
    "calibration_curve",
    "calibration_plot",
    "confidence_interval",
    "definitions",
    "paired_difference",
    "parse",
    "parse_all",
    "roc_curve",
    "roc_plot",
]
