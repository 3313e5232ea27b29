"""What most people take or rate best: the floor that every other model must rise above."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import between, one_of
from tastemaker.progress import Progress

__all__ = ["Popularity", "PopularityState"]

By = Literal["count", "bayesian", "trending"]

_SCORE_KINDS: dict[By, str] = {"count": "count", "bayesian": "rating", "trending": "score"}
_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class PopularityState(State):
    """float32[items]: the score of each item, for everybody."""

    scores: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class Popularity(Recommender[PopularityState]):
    """The same items for everybody, by one of three scores of an item with weights w, ratings r and ages a.

    ``"count"``
        Σ w, the (weighted) number of interactions.
    ``"bayesian"``
        (C m + Σ w r) / (C + Σ w): the mean rating, drawn towards the mean m = Σ w r / Σ w of all ratings as if each item had
        C further ratings of m, so that one enthusiast does not make a best seller. It predicts a rating.
    ``"trending"``
        Σ w · 2^(−a / half-life), ages counted back from the newest interaction in the data.

    Args:
        by: which score.
        prior_strength: C; by default the mean number (weight) of ratings of the items that have any.
        half_life_days: of ``"trending"``.

    Example:
        >>> import polars as pl
        >>> seen = pl.DataFrame({"user": ["ann", "bob", "bob"], "item": ["dark", "dark", "lost"]})
        >>> Popularity().fit(Dataset.from_interactions(seen)).recommend(users=["eve"], k=2).lists()
        [['dark', 'lost']]
    """

    name: ClassVar[str] = "popularity"
    score_kind: ClassVar[str] = "count"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous"})
    cold_start: ClassVar[str] = (
        "a new user gets what everybody gets; a new item counts 0, or has the mean rating of all (bayesian)."
    )
    state_type: ClassVar[type[State]] = PopularityState

    by: By = "count"
    prior_strength: float | None = None
    half_life_days: float = 30.0

    def __post_init__(self) -> None:
        one_of("by", self.by, get_args(By))
        if self.prior_strength is not None:
            between("prior_strength", self.prior_strength)
        between("half_life_days", self.half_life_days, open_low=True)
        vars(self)["score_kind"] = _SCORE_KINDS[self.by]

    def _fit(self, data: Dataset, progress: Progress) -> PopularityState:
        scores = {"count": _count, "bayesian": self._bayesian, "trending": self._trending}[self.by](data)
        return PopularityState(scores.astype(np.float32))

    def _bayesian(self, data: Dataset) -> NDArray[np.float64]:
        if not data.schema.explicit:
            raise DataError(
                "Popularity(by='bayesian') needs ratings; name the column in rating=, or use by='count'"
            )
        count = _count(data)
        total = _sum_by_item(data, data.weight.astype(np.float64) * data.value)
        mean = total.sum() / count.sum()
        strength = count[count > 0].mean() if self.prior_strength is None else self.prior_strength
        seen = strength + count
        scores: NDArray[np.float64] = np.full(data.n_items, mean)
        np.divide(strength * mean + total, seen, out=scores, where=seen > 0)
        return scores

    def _trending(self, data: Dataset) -> NDArray[np.float64]:
        if data.schema.timestamp is None:
            raise DataError(
                "Popularity(by='trending') needs times; name the column in timestamp=, or use by='count'"
            )
        age_days = (data.timestamp.max() - data.timestamp) / _MICROSECONDS_PER_DAY
        return _sum_by_item(data, data.weight * np.exp2(-age_days / self.half_life_days))

    def _score(self, fitted: Fitted[PopularityState], queries: Queries) -> NDArray[np.float32]:
        return np.broadcast_to(fitted.state.scores, (len(queries), fitted.catalogue.n_items))


def _count(data: Dataset) -> NDArray[np.float64]:
    return _sum_by_item(data, data.weight)


def _sum_by_item(data: Dataset, amounts: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.bincount(data.item, amounts, data.n_items).astype(np.float64, copy=False)
