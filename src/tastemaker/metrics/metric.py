"""What a metric is: a name, its definition in words, its range, what it needs, and how it is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from tastemaker.metrics.arrays import Floats
from tastemaker.metrics.beyond import Vectors
from tastemaker.metrics.lists import RankedLists
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.predictions import Predictions

__all__ = ["Evidence", "Family", "Metric", "Need", "given"]

T = TypeVar("T")

Need = Literal[
    "lists", "predictions", "n_items", "popularity", "n_training_users", "consumed", "baseline", "vectors"
]
"""The name of a field of `Evidence` that a metric reads."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything that metrics may ask for; give what the metrics in use declare in ``needs``.

    Args:
        lists: the recommendations beside what was relevant.
        predictions: scores of held-out pairs.
        n_items: size of the catalogue.
        popularity: float64[n_items], training users who had each item.
        n_training_users: how many users the training part has.
        consumed: float64[q], mean popularity of the items in each list's user's training history, NaN without one.
        baseline: int32[q, w] or int32[1, w], the most-popular list of each user, or one for everybody.
        vectors: float[n_items, f], what items are, for diversity; dense or CSR.
    """

    lists: RankedLists | None = None
    predictions: Predictions | None = None
    n_items: int | None = None
    popularity: Floats | None = None
    n_training_users: int | None = None
    consumed: Floats | None = None
    baseline: npt.NDArray[np.int32] | None = None
    vectors: Vectors | None = None


def given(value: T | None, need: Need) -> T:
    """Return a part of the evidence, or say that it is missing.

    Raises:
        ValueError: if it was not given.
    """
    if value is None:
        raise ValueError(f"the metric needs `{need}`, which the evidence does not have")
    return value


@dataclass(frozen=True)
class Metric:
    """One metric at one cut-off. Call it on `Evidence` to measure.

    Args:
        name: as printed, e.g. ``"ndcg@10"``.
        definition: what it computes, in words, to print in reports.
        low: the smallest value it can take.
        high: the largest.
        higher_is_better: the direction of good.
        needs: the fields of `Evidence` that it reads.
        k: the cut-off, None for metrics of predictions.
        measure: from evidence to a measurement.
    """

    name: str
    definition: str
    low: float
    high: float
    higher_is_better: bool
    needs: tuple[Need, ...]
    k: int | None
    measure: Callable[[Evidence], Measurement]

    def __call__(self, evidence: Evidence) -> Measurement:
        """Measure.

        Raises:
            ValueError: if the evidence lacks something in ``needs``, naming it.
        """
        missing = [need for need in self.needs if getattr(evidence, need) is None]
        if missing:
            raise ValueError(f"{self.name} needs {', '.join(missing)} in its Evidence")
        return self.measure(evidence)


@dataclass(frozen=True)
class Family:
    """A metric before its cut-off is chosen: ``"ndcg"`` makes ``"ndcg@10"``.

    Args:
        definition: with ``{k}`` where the cut-off goes; a family with no ``{k}`` takes no cut-off.
        needs: the fields of `Evidence` that it reads.
        compute: from evidence and cut-off (0 where there is none) to a measurement.
        low: the smallest value it can take.
        high: the largest.
        higher_is_better: the direction of good.
    """

    definition: str
    needs: tuple[Need, ...]
    compute: Callable[[Evidence, int], Measurement]
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True

    @property
    def takes_k(self) -> bool:
        """Whether the name carries a cut-off."""
        return "{k}" in self.definition

    def at(self, name: str, k: int | None) -> Metric:
        """Make the metric of this name and cut-off."""

        def measure(evidence: Evidence) -> Measurement:
            return self.compute(evidence, k or 0)

        definition = self.definition.replace("{k}", str(k))
        return Metric(name, definition, self.low, self.high, self.higher_is_better, self.needs, k, measure)
