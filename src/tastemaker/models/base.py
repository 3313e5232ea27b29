"""The contract of every model: ``fit`` and a private scorer by the model, everything else once, here."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.topk import TopK, top_k, top_k_dot
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import KINDS, Queries, as_rows, queries_from_ids, queries_of_pairs
from tastemaker.errors import CannotAnswerError, DataError, NotFittedError
from tastemaker.models.answer import FALLBACK, Rules, Wish, answer
from tastemaker.models.checks import a_dataset
from tastemaker.models.similarity import cosines
from tastemaker.progress import Progress, current
from tastemaker.ranking.blocks import query_blocks
from tastemaker.ranking.reasons import Explanation, Reason
from tastemaker.ranking.recommendations import Recommendations

__all__ = ["DotProduct", "Fitted", "Recommender", "State"]


@dataclass(frozen=True, eq=False)
class State:
    """What a model learned: named arrays, tuples of arrays, tables, histories, numbers, texts. Subclasses declare the fields."""


S = TypeVar("S", bound=State)


@dataclass(frozen=True, eq=False)
class Fitted(Generic[S]):
    """A learned state with the catalogue that gives its codes their meaning."""

    state: S
    catalogue: Catalogue
    memo: dict[str, Any] = field(default_factory=dict)  # what is derived from the state once, on demand


@dataclass(eq=False, kw_only=True)
class Recommender(ABC, Generic[S]):
    """f(users, items) → scores, with all that hangs on it: lists, filters, predictions, explanations, saving.

    A subclass is a dataclass of keyword-only hyper-parameters and declares:

    Attributes:
        name: the name under which it is registered and saved.
        score_kind: what a score is: ``"rating"``, ``"similarity"``, ``"count"``, ``"score"``, or ``"probability"`` of a click,
            from models that learn from the labels of impressions. All others learn from the clicks alone.
        answers: which kinds of query it can score (``known``, ``history``, ``anonymous``, ``seeds``). A model that answers
            ``history`` scores known users from their stored histories. What it cannot score is answered with the most
            popular items, and the list says so in ``source``. With ``features`` it scores whoever has user features, given or
            stored; with ``context`` it looks at the context. A model without them refuses them.
        cold_start: what it does for users and items that it has not seen.
        state_type: the dataclass of what it learns.
    """

    name: ClassVar[str]
    score_kind: ClassVar[str]
    answers: ClassVar[frozenset[str]]
    cold_start: ClassVar[str]
    state_type: ClassVar[type[State]]

    # What a model writes.

    @abstractmethod
    def _fit(self, data: Dataset, progress: Progress) -> S:
        """Learn from ``data``."""

    @abstractmethod
    def _score(self, fitted: Fitted[S], queries: Queries) -> NDArray[np.float32]:
        """float32[queries, items]; NaN where there is no evidence. A row is bit-identical alone or in any batch."""

    def _predict(
        self, fitted: Fitted[S], queries: Queries, rows: NDArray[np.integer], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """float32[n]: the score of item ``items[j]`` for query ``rows[j]``; by default picked from :meth:`_score`."""
        scores = np.empty(len(rows), np.float32)
        order = np.argsort(rows, kind="stable")
        for block in query_blocks(len(queries), fitted.catalogue.n_items):
            low, high = np.searchsorted(rows[order], [block.start, block.stop])
            at = order[low:high]
            scores[at] = self._score(fitted, queries[block])[rows[at] - block.start, items[at]]
        return scores

    def _top_k(self, fitted: Fitted[S], queries: Queries, k: int, rules: Rules) -> TopK:
        """The ``k`` best allowed items of each query."""
        return top_k(self._score(fitted, queries), k, **rules.keywords())

    def _diversity_vectors(self, fitted: Fitted[S]) -> NDArray[np.float32]:
        """float32[items, f]: vectors whose cosine says how alike two items are."""
        raise CannotAnswerError(
            f"{self.name} has no item vectors to diversify by; use caps={{column: number}}"
        )

    def _similar(self, fitted: Fitted[S], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[seeds, items]: how similar each item is to each seed; NaN where there is no evidence."""
        raise CannotAnswerError(f"{self.name} does not compare items; {self._who_can('seeds')}")

    def _explain(self, fitted: Fitted[S], query: Queries, item: int) -> list[Reason]:
        """Why ``item`` has its score for the one query: contributions, in codes; the base class finds the names."""
        raise CannotAnswerError(f"{self.name} does not explain its scores")

    # What users call.

    def fit(self, data: Dataset) -> Self:
        """Learn from ``data``; what was learned before is replaced at the end, in one step. Of click-through data a model learns
        from the clicks alone (:attr:`tastemaker.data.Dataset.clicked`), unless it gives the probability of a click.

        Raises:
            DataError: if the data lack what the model needs.
        """
        a_dataset("fit", data)
        data = data if self.learns_from_labels else data.clicked
        self._hold(Fitted(self._fit(data, current()), Catalogue.of(data)))
        return self

    def recommend(
        self,
        users: Any = None,
        *,
        history: Any = None,
        seeds: Any = None,
        features: Any = None,
        context: Any = None,
        k: int = 10,
        exclude_seen: bool = True,
        filter: pl.Expr | str | None = None,
        allow: Any = None,
        deny: Any = None,
        diversify: float | None = None,
        caps: dict[str, int] | None = None,
        explain: bool = False,
    ) -> Recommendations:
        """The best ``k`` items for each query.

        Args:
            users: ids; all known users when nothing is asked for. An unknown id is answered as someone without a history.
            history: one list of item ids a query, oldest first, or one mapping from item id to rating; replaces the stored
                history for scoring. ``[[]]`` is an anonymous visitor.
            seeds: one list of item ids a query, to which the list should be similar.
            features: a table of user features with one row a query, in place of the stored ones; on its own, each row is
                someone new. For models that answer ``features``.
            context: a table with one row a query: where and when it is asked. For models that answer ``context``.
            k: the length of the lists.
            exclude_seen: leave out what is in the stored or the given history (seeds are always left out).
            filter: which items may be shown: a Polars expression over the item features, or the same in SQL
                (``"price < 10 AND year > 2000"``). Where it is null, the item is left out.
            allow, deny: item ids to choose from, and to leave out: one list for all queries or one list a query.
                An unknown id in them changes nothing.
            diversify: 0 to 1, how far to trade score for variety (maximal marginal relevance); for models with item vectors.
            caps: the most items in a list that share a value of a feature: ``{"genre": 2}``.
            explain: with the reasons for each item.

        Raises:
            NotFittedError: before ``fit``.
            DataError: for ids in the wrong form or a filter that cannot be evaluated.
            CannotAnswerError: for features or context, if the model does not look at them.
            ValueError: for ``k`` below 1.
        """
        fitted = self._fitted
        self._check_looks_at(features=features, context=context)
        asked = None if users is None else as_rows(users, "users")
        queries = queries_from_ids(fitted.catalogue, asked, history, seeds, features, context)
        wish = Wish(
            k=k,
            exclude_seen=exclude_seen,
            filter=filter,
            allow=allow,
            deny=deny,
            diversify=diversify,
            caps=caps,
        )
        found = answer(self, fitted, queries, wish)
        reasons = self._reasons(fitted, queries, found.items) if explain else None
        return Recommendations.build(fitted.catalogue, queries, asked, found, k, reasons)

    def similar_items(self, items: Any, *, k: int = 10, **options: Any) -> Recommendations:
        """The ``k`` items most similar to each of ``items``: also bought, also watched, alike in content.

        Args:
            items: ids, one list each; options: ``filter``, ``allow``, ``deny`` … as in :meth:`recommend`.

        Raises:
            CannotAnswerError: if the model does not compare items.
        """
        if "seeds" not in self.answers:
            raise CannotAnswerError(f"{self.name} does not compare items; {self._who_can('seeds')}")
        return self.recommend(seeds=[[item] for item in as_rows(items, "items")], k=k, **options)

    def predict(
        self, users: Any, items: Any, *, features: Any = None, context: Any = None
    ) -> NDArray[np.float32]:
        """float32[n]: the score of ``items[j]`` for ``users[j]``; :attr:`score_kind` says what it is.

        NaN where the item is unknown or the model has no evidence.

        Args:
            users, items: n ids each.
            features, context: tables with n rows, as in :meth:`recommend`.

        Raises:
            DataError: if they differ in length.
            CannotAnswerError: for features or context, if the model does not look at them.
        """
        fitted = self._fitted
        user = fitted.catalogue.users.encode(as_rows(users, "users"))
        item = fitted.catalogue.items.encode(as_rows(items, "items"))
        return self.predict_codes(user, item, features=features, context=context)

    def predict_codes(
        self,
        user: NDArray[np.int32],
        item: NDArray[np.int32],
        *,
        features: Any = None,
        context: Any = None,
    ) -> NDArray[np.float32]:
        """As :meth:`predict`, for codes of the vocabularies (−1: unknown)."""
        self._check_looks_at(features=features, context=context)
        if len(user) != len(item):
            raise DataError(
                f"predict: expected as many items as users, got {len(user)} users and {len(item)} items"
            )
        queries, rows = queries_of_pairs(self._fitted.catalogue, user, features, context)
        scores = np.full(len(user), np.nan, np.float32)
        able = self._able(queries)[rows] & (item >= 0)
        if able.any():
            scores[able] = self._predict(self._fitted, queries, rows[able], item[able])
        return scores

    def explain(self, user: Any, item: Any) -> Explanation:
        """Why ``item`` has its score for ``user``: which of the user's items, features or neighbours brought it.

        Raises:
            DataError: if the user or the item is unknown.
            CannotAnswerError: if the model does not explain its scores.
        """
        fitted = self._fitted
        catalogue = fitted.catalogue
        code = int(catalogue.items.encode([item])[0])
        query = queries_from_ids(catalogue, [user])
        if code < 0:
            raise DataError(f"item {item!r} is unknown")
        if query.users[0] < 0:
            raise DataError(f"user {user!r} is unknown")
        if not self._able(query)[0]:
            popularity = float(catalogue.popularity[code])
            return Explanation.build(catalogue, query, code, popularity, FALLBACK, [_popular(popularity)])
        score = self.predict_codes(query.users, np.array([code], np.int32))[0]
        reasons = self._explain(fitted, query, code)
        return Explanation.build(catalogue, query, code, float(score), self.score_kind, reasons)

    def save(self, path: str | Path) -> Path:
        """Save into the folder ``path`` as a new version; :func:`tastemaker.load` reads it."""
        from tastemaker.models.bundle import save

        return save({self.name: self}, path)

    # What the base class keeps.

    @property
    def learns_from_labels(self) -> bool:
        """Whether it learns from every impression of click-through data, not from the clicks alone."""
        return self.score_kind == "probability"

    @property
    def context_columns(self) -> tuple[str, ...]:
        """The columns of a context that the fitted model reads; none if it does not answer ``context``."""
        return ()

    @property
    def fitted(self) -> bool:
        """Whether the model has learned anything yet."""
        return "_state" in self.__dict__

    @property
    def catalogue(self) -> Catalogue:
        """The users, items and histories that the model knows.

        Raises:
            NotFittedError: before ``fit``.
        """
        return self._fitted.catalogue

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def saved_parameters(self) -> dict[str, Any]:
        """The hyper-parameters as JSON can hold them; a model with others says here how it saves them."""
        return self.parameters()

    @property
    def _fitted(self) -> Fitted[S]:
        if not self.fitted:
            raise NotFittedError(f"this {type(self).__name__} has not been fitted; call fit(data) first")
        state: Fitted[S] = self.__dict__["_state"]
        return state

    def _hold(self, fitted: Fitted[S]) -> None:
        self.__dict__["_state"] = fitted

    def _able(self, queries: Queries) -> NDArray[np.bool_]:
        """bool[q]: which queries the model can score itself."""
        if queries.seeds is not None:
            return (queries.seeds.lengths > 0) & ("seeds" in self.answers)
        stored = "known" if "known" in self.answers else "history"
        able = [(stored if kind == "known" else kind) in self.answers for kind in KINDS]
        by_kind = np.array(able)[queries.kinds()]
        return by_kind | self._described(queries) if "features" in self.answers else by_kind

    def _described(self, queries: Queries) -> NDArray[np.bool_]:
        """bool[q]: who has user features, given or stored."""
        if queries.features is not None:
            return np.ones(len(queries), np.bool_)
        return (queries.users >= 0) & (self.catalogue.user_features.width > 0)

    def _check_looks_at(self, **given: Any) -> None:
        """Refuse what the model would ignore."""
        for what, table in given.items():
            if table is not None and what not in self.answers:
                raise CannotAnswerError(f"{self.name} does not look at {what}; {self._who_can(what)}")

    def _reasons(
        self, fitted: Fitted[S], queries: Queries, items: NDArray[np.int32]
    ) -> list[list[list[Reason]]]:
        able = self._able(queries)
        popularity = fitted.catalogue.popularity
        return [
            [
                self._explain(fitted, queries[q : q + 1], int(i))
                if able[q]
                else [_popular(float(popularity[i]))]
                for i in items[q]
                if i >= 0
            ]
            for q in range(len(queries))
        ]

    @staticmethod
    def _who_can(kind: str) -> str:
        from tastemaker.models import names_that_answer

        return f"models that do: {', '.join(names_that_answer(kind)) or 'none yet'}"


def _popular(popularity: float) -> Reason:
    return Reason("popularity", FALLBACK, popularity, "popular with others")


class DotProduct(Recommender[S]):
    """A model whose score is the inner product of a query's vector with an item's: it is ranked without a score matrix.

    Biases travel in the vectors: an item's bias as one more factor against a 1 in the query's vector.
    """

    @abstractmethod
    def _query_vectors(self, fitted: Fitted[S], queries: Queries) -> NDArray[np.float32]:
        """float32[queries, factors]; a row is bit-identical alone or in any batch."""

    @abstractmethod
    def _item_vectors(self, fitted: Fitted[S]) -> NDArray[np.float32]:
        """float32[items, factors]; NaN rows for items that cannot be scored."""

    def packed_items(self, fitted: Fitted[S]) -> PackedItems:
        """The item vectors in the kernel's layout, packed on first use."""
        if "items" not in fitted.memo:
            fitted.memo["items"] = PackedItems(self._item_vectors(fitted))
        packed: PackedItems = fitted.memo["items"]
        return packed

    def _score(self, fitted: Fitted[S], queries: Queries) -> NDArray[np.float32]:
        return dot_scores(self._query_vectors(fitted, queries), self.packed_items(fitted))

    def _top_k(self, fitted: Fitted[S], queries: Queries, k: int, rules: Rules) -> TopK:
        return top_k_dot(
            self._query_vectors(fitted, queries), self.packed_items(fitted), k, **rules.keywords()
        )

    def _diversity_vectors(self, fitted: Fitted[S]) -> NDArray[np.float32]:
        return self._item_vectors(fitted)

    def _similar(self, fitted: Fitted[S], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        """Cosine of the item vectors."""
        return cosines(self._diversity_vectors(fitted), seeds)
