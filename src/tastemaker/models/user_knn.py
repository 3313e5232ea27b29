"""Ratings as users like you would give them: the K most similar users who rated the item, and what they say."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.insertion import Entries, find_entries, insert_entries
from tastemaker._native.neighbors import (
    Aggregation,
    Csr,
    Over,
    Similarity,
    predict_from_neighbors,
    row_moments,
    user_similarities,
)
from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.queries import Queries, as_rows, of_users
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import one_of, whole
from tastemaker.models.new_interactions import with_new_interactions
from tastemaker.progress import Progress
from tastemaker.ranking.blocks import query_blocks
from tastemaker.ranking.reasons import Reason

__all__ = ["UserKNN", "UserKNNState"]


@dataclass(frozen=True, eq=False)
class UserKNNState(State):
    """The ratings by item, and what there is to say without neighbors.

    Attributes:
        indptr, raters, ratings: int64[n_items + 1], int32[n], float32[n]: who rated each item and how, in training order.
        moments: float64[n_users, 3]: number of each user's ratings, their sum, the sum of their squares.
        item_moments: float64[n_items, 3]: the same of each item's.
        item_means: float32[n_items], NaN for items without ratings; for implicit feedback how many users an item has.
        global_mean: the mean of all ratings.
    """

    indptr: NDArray[np.int64]
    raters: NDArray[np.int32]
    ratings: NDArray[np.float32]
    moments: NDArray[np.float64]
    item_moments: NDArray[np.float64]
    item_means: NDArray[np.float32]
    global_mean: float

    @property
    def by_item(self) -> Csr:
        """The ratings, one row an item."""
        return Csr(self.indptr, self.raters, self.ratings)


@dataclass(eq=False, kw_only=True)
class UserKNN(Recommender[UserKNNState]):
    """Neighborhoods of users (Resnick et al., "GroupLens", 1994).

    A user is the vector of their ratings. The neighbors of a user u for an item i are the ``neighbors`` users v of
    greatest similarity s(u, v) > 0 *who rated i* (equals in the order of their training rows), and the prediction is

    * ``aggregation="mean"``: Σ r(v, i) / K, the naive walk-through;
    * ``"weighted"``: Σ s(u, v) r(v, i) / Σ s(u, v);
    * ``"centred"``: mean(u) + Σ s(u, v) (r(v, i) − mean(v)) / Σ s(u, v), which allows for strict and generous raters.

    Weights of ratings are not used. For implicit feedback an average of ones says nothing: there the vectors hold the
    weights of the interactions, and the score is Σ s(u, v) · weight(v, i).

    Predictions are kept within the rating scale; the scores that lists are ranked by are not, so that those at its end
    still have an order.

    Attributes:
        neighbors: how many of the most similar raters to ask.
        similarity: ``"cosine"``, ``"pearson"`` (the cosine of mean-centred vectors) or ``"jaccard"`` (share of common items).
        similarity_over: ``"all"`` compares whole rating vectors, blanks as 0; ``"common"`` only what both rated.
        aggregation: as above.
        min_support: users with fewer items in common are not similar.

    >>> data = Dataset.from_interactions(
    ...     {"user": ["ann", "ann", "bob", "bob", "cleo"], "item": ["tea", "jam", "tea", "ham", "ham"], "stars": [5, 4, 5, 2, 4]},
    ...     rating="stars", scale=(1, 5))
    >>> UserKNN(aggregation="weighted").fit(data).predict(["ann"], ["ham"]).tolist()
    [2.0]
    """

    name: ClassVar[str] = "user_knn"
    score_kind: ClassVar[str] = "rating"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous"})
    cold_start: ClassVar[str] = (
        "A user without a history gets the items' mean ratings. An item that no neighbor rated is not recommended; it is "
        "predicted as the user's mean (centred) or the global mean, as is an item that nobody rated (the global mean)."
    )
    state_type: ClassVar[type[State]] = UserKNNState

    neighbors: int = 40
    similarity: Similarity = "cosine"
    similarity_over: Over = "all"
    aggregation: Aggregation = "centred"
    min_support: int = 1

    def __post_init__(self) -> None:
        whole("neighbors", self.neighbors)
        one_of("similarity", self.similarity, ("cosine", "pearson", "jaccard"))
        one_of("similarity_over", self.similarity_over, ("all", "common"))
        one_of("aggregation", self.aggregation, ("mean", "weighted", "centred"))
        whole("min_support", self.min_support)

    def update(self, data: Dataset) -> Self:
        """A copy of this model that has also learned from new interactions; it equals a refit (but for rounding of the means).

        A repeated pair counts as in a Dataset of all interactions made with ``duplicates="auto"``.

        Args:
            data: interactions alone; users and items that are new to the model may be among them.

        Raises:
            DataError: if its ids are of another type, or it lacks the ratings or times that the model was fitted on.
        """
        fitted = self._fitted
        new = with_new_interactions(fitted.catalogue, data)
        catalogue, state = new.catalogue, fitted.state
        gone, came = new.gone_by_item, new.came_by_item
        old = Entries(state.indptr, state.raters, state.ratings)
        dropped = np.sort(find_entries(old, Entries(gone.indptr, gone.indices), catalogue.n_users))
        by_item = insert_entries(old, dropped, Entries(*_ratings(came, catalogue.schema)))
        moments, item_moments = (
            _grown(state.moments, catalogue.n_users),
            _grown(state.item_moments, len(came)),
        )
        for sign, user_side, item_side in ((1, new.came, came), (-1, new.gone, gone)):
            moments += sign * row_moments(_ratings(user_side, catalogue.schema))
            item_moments += sign * row_moments(_ratings(item_side, catalogue.schema))
        model = replace(self)
        raters = Csr(by_item.indptr, by_item.indices, by_item.value)
        model._hold(Fitted(_state(raters, moments, item_moments, catalogue.schema), catalogue))
        return model

    def similar_users(self, users: Any, *, k: int = 10) -> pl.DataFrame:
        """The ``k`` users most similar to each of ``users``, whatever they rated.

        Returns:
            A table of ``user``, ``neighbor`` and ``similarity`` > 0, most similar first, equals in the order of user codes.

        Raises:
            DataError: if a user is unknown.
        """
        fitted = self._fitted
        ids = as_rows(users, "users")
        codes = fitted.catalogue.users.encode(ids)
        if (codes < 0).any():
            raise DataError(f"user {ids[int(np.argmax(codes < 0))]!r} is unknown")
        queries = of_users(codes, fitted.catalogue)
        found = []
        for block in query_blocks(len(queries), 2 * fitted.catalogue.n_users):  # float64
            similarities = self._similarities(fitted, queries[block])
            similarities[np.arange(len(similarities)), codes[block]] = 0
            for code, row in zip(codes[block], similarities, strict=True):
                best = np.argsort(-row, kind="stable")[:k]
                best = best[row[best] > 0]
                found.append((np.full(len(best), code), best, row[best]))
        user, neighbor, similarity = (
            np.concatenate([np.empty(0, dtype), *(part[n] for part in found)])
            for n, dtype in enumerate((np.int32, np.int64, np.float64))
        )
        decode = fitted.catalogue.users.decode
        return pl.DataFrame({"user": decode(user), "neighbor": decode(neighbor), "similarity": similarity})

    def _fit(self, data: Dataset, progress: Progress) -> UserKNNState:
        by_item, by_user = _ratings(data.by_item, data.schema), _ratings(data.by_user, data.schema)
        return _state(by_item, row_moments(by_user), row_moments(by_item), data.schema)

    def _score(self, fitted: Fitted[UserKNNState], queries: Queries) -> NDArray[np.float32]:
        scores = self._from_neighbors(fitted, queries, None)
        scores[queries.history.lengths == 0] = fitted.state.item_means
        return scores

    def _predict(
        self,
        fitted: Fitted[UserKNNState],
        queries: Queries,
        rows: NDArray[np.integer],
        items: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        order = np.argsort(rows, kind="stable")
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(queries)))])
        scores = np.empty(len(rows), np.float32)
        scores[order] = self._from_neighbors(fitted, queries, (indptr, items[order]))
        schema = fitted.catalogue.schema
        if schema.scale is None:
            empty = queries.history.lengths[rows] == 0
            return np.where(empty, fitted.state.item_means[items], scores)
        without = self._without_neighbors(fitted, queries)[rows]
        item_means = fitted.state.item_means[items]
        without = np.where(queries.history.lengths[rows] == 0, item_means, without)
        without = np.where(np.isnan(item_means), fitted.state.global_mean, without)
        return np.clip(np.where(np.isnan(scores), without, scores), *schema.scale).astype(np.float32)

    def _explain(self, fitted: Fitted[UserKNNState], query: Queries, item: int) -> list[Reason]:
        state = fitted.state
        if query.history.lengths[0] == 0:
            return [_average(float(state.item_means[item]), fitted.catalogue.schema)]
        row = slice(*state.indptr[item : item + 2])
        users, ratings = state.raters[row], state.ratings[row].astype(np.float64)
        similar = np.where(users == query.users[0], 0, self._similarities(fitted, query)[0, users])
        best = np.argsort(-similar, kind="stable")[: self.neighbors]
        best = best[similar[best] > 0]
        parts = self._contributions(fitted, similar[best], ratings[best], state.moments[users[best]])
        return [
            Reason(
                "user",
                int(user),
                float(part),
                f"someone with a similar taste ({alike:.2f}) gave it {rating:g}",
            )
            for user, part, alike, rating in zip(
                users[best], parts, similar[best], ratings[best], strict=True
            )
        ]

    def _contributions(
        self,
        fitted: Fitted[UserKNNState],
        similar: NDArray[np.float64],
        ratings: NDArray[np.float64],
        moments: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """What each neighbor adds to the score (for ``centred``: to the user's mean)."""
        how = self._aggregation(fitted.catalogue.schema)
        weights = np.ones_like(similar) if how == "mean" else similar
        said = ratings - moments[:, 1] / moments[:, 0] if how == "centred" else ratings
        return (
            weights * said if how == "sum" else weights * said / max(weights.sum(), np.finfo(np.float64).tiny)
        )

    def _aggregation(self, schema: Schema) -> Aggregation:
        return self.aggregation if schema.explicit else "sum"

    def _from_neighbors(
        self,
        fitted: Fitted[UserKNNState],
        queries: Queries,
        targets: tuple[NDArray[np.int64], NDArray[np.int32]] | None,
    ) -> NDArray[np.float32]:
        return predict_from_neighbors(
            _ratings(queries.history, fitted.catalogue.schema),
            queries.users,
            fitted.state.by_item,
            fitted.state.moments,
            targets,
            neighbors=self.neighbors,
            aggregation=self._aggregation(fitted.catalogue.schema),
            similarity=self.similarity,
            over=self.similarity_over,
            min_support=self.min_support,
        )

    def _similarities(self, fitted: Fitted[UserKNNState], queries: Queries) -> NDArray[np.float64]:
        return user_similarities(
            _ratings(queries.history, fitted.catalogue.schema),
            fitted.state.by_item,
            fitted.state.moments,
            similarity=self.similarity,
            over=self.similarity_over,
            min_support=self.min_support,
        )

    def _without_neighbors(self, fitted: Fitted[UserKNNState], queries: Queries) -> NDArray[np.float64]:
        """float64[queries]: what is predicted of an item that others, but no neighbor rated."""
        everywhere = np.full(len(queries), fitted.state.global_mean)
        if self.aggregation != "centred":
            return everywhere
        count, total = row_moments(_ratings(queries.history, fitted.catalogue.schema)).T[:2]
        np.divide(total, count, out=everywhere, where=count > 0)
        return everywhere


def _state(
    by_item: Csr, moments: NDArray[np.float64], item_moments: NDArray[np.float64], schema: Schema
) -> UserKNNState:
    count, total = item_moments.T[:2]
    means = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return UserKNNState(
        indptr=by_item.indptr,
        raters=by_item.indices,
        ratings=by_item.values,
        moments=moments,
        item_moments=item_moments,
        item_means=(means if schema.explicit else count).astype(np.float32),
        global_mean=float(total.sum() / max(1, count.sum())),
    )


def _grown(moments: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """A copy with rows of zeros up to so many."""
    return np.pad(moments, ((0, rows - len(moments)), (0, 0)))


def _ratings(history: History, schema: Schema) -> Csr:
    """The ratings of a history; for implicit feedback how much each interaction counts."""
    values = history.value if schema.explicit else history.value * history.weight
    return Csr(history.indptr, history.indices, values)


def _average(value: float, schema: Schema) -> Reason:
    """Why someone without a history is shown an item."""
    if schema.explicit:
        return Reason("popularity", "mean rating", value, f"rated {value:.1f} on average")
    return Reason("popularity", "users", value, f"taken by {value:.0f} users")
