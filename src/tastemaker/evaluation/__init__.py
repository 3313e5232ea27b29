"""Hold out, measure, compare: what models are worth on data that they have not seen."""

from tastemaker.evaluation.compare import compare
from tastemaker.evaluation.comparison import Comparison
from tastemaker.evaluation.evaluate import evaluate
from tastemaker.evaluation.protocols import Protocol, make_splits
from tastemaker.evaluation.report import Counts, Report

__all__ = ["Comparison", "Counts", "Protocol", "Report", "compare", "evaluate", "make_splits"]
