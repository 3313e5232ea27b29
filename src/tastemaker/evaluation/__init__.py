"""Hold out, measure, compare: what models are worth on data that they have not seen."""

from tastemaker.evaluation.compare import compare
from tastemaker.evaluation.comparison import Comparison
from tastemaker.evaluation.evaluate import evaluate
from tastemaker.evaluation.protocols import Protocol, make_splits
from tastemaker.evaluation.report import Counts, Report
from tastemaker.evaluation.tune import Tuned, tune

__all__ = [
    "Comparison",
    "Counts",
    "Protocol",
    "Report",
    "Tuned",
    "compare",
    "evaluate",
    "make_splits",
    "tune",
]
