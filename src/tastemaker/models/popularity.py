"""What most people take or rate best: the floor that every other model must rise above."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import between, one_of
from tastemaker.models.new_interactions import with_new_interactions
from tastemaker.progress import Progress

__all__ = ["Popularity", "PopularityState"]

By = Literal["count", "bayesian", "trending"]

_SCORE_KINDS: dict[By, str] = {"count": "count", "bayesian": "rating", "trending": "score"}
_MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, eq=False)
class PopularityState(State):
    """What is added up over the interactions of each item.

    Attributes:
        scores: float32[items], for everybody.
        weights: float64[items], Σ w (for ``trending`` with the discount for age).
        ratings: float64[items], Σ w r.
        newest: time of the newest interaction, from which ages count.
    """

    scores: NDArray[np.float32]
    weights: NDArray[np.float64]
    ratings: NDArray[np.float64]
    newest: int


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

    def update(self, data: Dataset) -> Self:
        """A copy of this model that has also counted new interactions; it equals a refit (but for rounding of the sums).

        A repeated pair counts as in a Dataset of all interactions made with ``duplicates="auto"``.

        Args:
            data: interactions alone; users and items that are new to the model may be among them.

        Raises:
            DataError: if its ids are of another type, or it lacks the ratings or times that the model was fitted on.
        """
        fitted = self._fitted
        catalogue, gone, came = with_new_interactions(fitted.catalogue, data)
        state, n_items = fitted.state, catalogue.n_items
        newest = int(max(state.newest, came.timestamp.max(initial=state.newest)))
        weights, ratings = (
            np.pad(sums * self._discount(state.newest, newest), (0, n_items - len(sums)))
            for sums in (state.weights, state.ratings)
        )
        for history, sign in ((came, 1), (gone, -1)):
            columns = history.indices, history.value, history.weight, history.timestamp
            more = self._sums(*columns, n_items, newest)
            weights, ratings = weights + sign * more[0], ratings + sign * more[1]
        model = replace(self)
        model._hold(Fitted(self._state_of(weights, ratings, newest), catalogue))
        return model

    def _fit(self, data: Dataset, progress: Progress) -> PopularityState:
        if self.by == "bayesian" and not data.schema.explicit:
            raise DataError(
                "Popularity(by='bayesian') needs ratings; name the column in rating=, or use by='count'"
            )
        if self.by == "trending" and data.schema.timestamp is None:
            raise DataError(
                "Popularity(by='trending') needs times; name the column in timestamp=, or use by='count'"
            )
        newest = int(data.timestamp.max()) if len(data) else 0
        columns = data.item, data.value, data.weight, data.timestamp
        return self._state_of(*self._sums(*columns, data.n_items, newest), newest)

    def _sums(
        self,
        item: NDArray[np.int32],
        value: NDArray[np.float32],
        weight: NDArray[np.float32],
        timestamp: NDArray[np.int64],
        n_items: int,
        newest: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Σ w and Σ w r of each item."""
        weights = weight * self._discount(timestamp, newest)
        if self.by != "bayesian":
            return _by_item(item, weights, n_items), np.zeros(n_items)
        ratings = weight.astype(np.float64) * value
        return _by_item(item, weights, n_items), _by_item(item, ratings, n_items)

    def _discount(self, time: NDArray[np.int64] | int, newest: int) -> NDArray[np.float64] | float:
        """What an interaction of that time counts when the newest is so new."""
        if self.by != "trending":
            return 1.0
        half_lives: NDArray[np.float64] | float = (newest - time) / (
            _MICROSECONDS_PER_DAY * self.half_life_days
        )
        return np.exp2(-half_lives)

    def _state_of(
        self, weights: NDArray[np.float64], ratings: NDArray[np.float64], newest: int
    ) -> PopularityState:
        scores = self._bayesian(weights, ratings) if self.by == "bayesian" else weights
        return PopularityState(scores.astype(np.float32), weights, ratings, newest)

    def _bayesian(self, weights: NDArray[np.float64], ratings: NDArray[np.float64]) -> NDArray[np.float64]:
        mean = ratings.sum() / weights.sum()
        strength = weights[weights > 0].mean() if self.prior_strength is None else self.prior_strength
        seen = strength + weights
        scores: NDArray[np.float64] = np.full(len(weights), mean)
        np.divide(strength * mean + ratings, seen, out=scores, where=seen > 0)
        return scores

    def _score(self, fitted: Fitted[PopularityState], queries: Queries) -> NDArray[np.float32]:
        return np.broadcast_to(fitted.state.scores, (len(queries), fitted.catalogue.n_items))


def _by_item(item: NDArray[np.int32], amounts: NDArray[np.floating], n_items: int) -> NDArray[np.float64]:
    return np.bincount(item, amounts, n_items).astype(np.float64, copy=False)
