"""What can be shown at the moment: the fitted models with what came, went and happened since; immutable, swapped whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.models.base import Recommender
from tastemaker.policy.approximate import Approximate
from tastemaker.policy.arrivals import Arrivals
from tastemaker.policy.content import ContentIndex, Nearest
from tastemaker.ranking.filters import condition_mask

__all__ = ["DAY", "LIKE", "MOST_NEW", "Shelf", "Windows", "highest", "trends"]

DAY = 86_400_000_000  # microseconds
_TITLES = ("title", "name")
_FILTERS = 64  # conditions whose masks are kept
LIKE = 20  # known items that stand for a new one
MOST_NEW = 1000  # items that count as new at a time, the latest


@dataclass(frozen=True, eq=False)
class Windows:
    """When items may be shown.

    Attributes:
        codes: int32[n], the items that have a window.
        start, end: int64[n], microseconds since 1970; shown from ``start``, and before ``end``.
    """

    codes: NDArray[np.int32]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    @classmethod
    def none(cls) -> "Windows":
        """Everything may be shown at all times."""
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))

    def closed(self, now: int) -> NDArray[np.int32]:
        """int32[m]: the items that may not be shown at that time."""
        return self.codes[(now < self.start) | (now >= self.end)]


@dataclass(frozen=True, eq=False)
class Shelf:
    """The models and the state of the catalogue that one answer is made from.

    Item codes run over the items that the models were fitted on, then over those that came later.

    Attributes:
        models: ``retrieval``, and where there are any ``ranking`` and ``also_bought``.
        catalogue: of the models.
        arrivals: the new items.
        features: one row for each item code.
        trend: float32[items], how much each item was taken of late.
        trending: int32[n], the codes of the highest of them, falling.
        fresh: int32[n] ascending, the codes of the new items that sources may bring.
        withdrawn: int32[n], the codes of items that may not be shown.
        windows: when others may.
        approximate: an index of the vectors of the retrieval model; None where the search is exact.
        memo: masks of conditions.
    """

    models: Mapping[str, Recommender[Any]]
    catalogue: Catalogue
    arrivals: Arrivals
    features: pl.DataFrame
    trend: NDArray[np.float32]
    trending: NDArray[np.int32]
    fresh: NDArray[np.int32]
    withdrawn: NDArray[np.int32]
    windows: Windows
    approximate: Approximate | None = None
    memo: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        models: Mapping[str, Recommender[Any]],
        trend: NDArray[np.float32],
        most: int,
        index: Callable[[], ContentIndex],
    ) -> "Shelf":
        """The shelf of fitted models, to which nothing has happened since; new are the items that nobody has had.

        Args:
            models: by part.
            trend: how much each item was taken of late; the ``most`` highest are trending.
            index: of the items by content, made where there are new ones.
        """
        catalogue = models["retrieval"].catalogue
        had = catalogue.popularity > 0
        cold = np.flatnonzero(~had)[-MOST_NEW:].astype(np.int32)
        like = Nearest.nothing(len(cold), LIKE)
        if len(cold) and catalogue.item_features.width:
            like = index().nearest(catalogue.item_features[cold], LIKE, had)
        return cls(
            models=models,
            catalogue=catalogue,
            arrivals=Arrivals.among(catalogue.n_items, cold, like),
            features=catalogue.item_features,
            trend=trend,
            trending=highest(trend, most),
            fresh=cold,
            withdrawn=np.empty(0, np.int32),
            windows=Windows.none(),
        )

    def common(self, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[n]: for somebody of whom nothing is known: the trend and a tenth of the popularity, each out of 1."""
        popularity, first = self.catalogue.popularity, self.arrivals.first
        always = np.where(items < first, popularity[np.minimum(items, first - 1)], 0)
        common = self.trend[items] / _most(self.trend) + 0.1 * always / _most(popularity)
        return common.astype(np.float32)

    @property
    def n_items(self) -> int:
        """How many item codes there are."""
        return len(self.arrivals.row)

    def titles(self, codes: NDArray[np.int32]) -> list[str]:
        """What to call items; empty for -1 and where there is no title."""
        column = next((name for name in _TITLES if name in self.features.columns), None)
        if column is None or not self.features.height:
            return [""] * len(codes)
        titles = self.features[
            column
        ]  # one by one: a gather of a few would hand the interpreter to other threads
        return [str(titles.item(code) or "") if code >= 0 else "" for code in codes.tolist()]

    def mask(self, condition: pl.Expr | str) -> NDArray[np.bool_]:
        """bool[items]: which items meet a condition on their features; see :func:`tastemaker.ranking.filters.condition_mask`."""
        key = condition if isinstance(condition, str) else str(condition.meta.serialize(format="json"))
        found = self.memo.get(key)
        if found is None:
            found = condition_mask(condition, self.features)
            if len(self.memo) >= _FILTERS:
                self.memo.clear()
            self.memo[key] = found
        return found


def _most(values: NDArray[np.float32]) -> float:
    """The highest; 1 where all are 0."""
    return float(values.max(initial=0)) or 1.0


def trends(catalogue: Catalogue, half_life_days: float) -> NDArray[np.float32]:
    """float32[items]: Σ weight · 2^(−age / half-life) over the interactions of each item, ages before the newest of all.

    Without times it is the popularity.
    """
    history = catalogue.history
    if not len(history.timestamp):
        return catalogue.popularity
    ages = (history.timestamp.max() - history.timestamp) / (DAY * half_life_days)
    summed = np.bincount(history.indices, history.weight * np.exp2(-ages), catalogue.n_items)
    return summed.astype(np.float32)


def highest(values: NDArray[np.float32], most: int) -> NDArray[np.int32]:
    """int32[n ≤ most]: the codes of the highest values above 0, falling; equal ones by code.

    >>> highest(np.array([1, 0, 3, 1], np.float32), 3)
    array([2, 0, 3], dtype=int32)
    """
    found = np.flatnonzero(values > 0)
    if len(found) > most:
        least = np.partition(values[found], len(found) - most)[len(found) - most]
        found = found[values[found] >= least]
    return found[np.lexsort((found, -values[found]))][:most].astype(np.int32)
