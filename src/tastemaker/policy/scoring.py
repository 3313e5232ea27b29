"""One query asked of one model: its best items, and its scores of given items, new ones included."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.topk import TopK, top_k, top_k_dot
from tastemaker.data.queries import Queries
from tastemaker.models.answer import Rules
from tastemaker.models.base import DotProduct, Recommender
from tastemaker.policy.arrivals import Arrivals

__all__ = ["Asked", "DotAsked", "RowAsked", "ask"]

Codes = NDArray[np.int32]
Scores = NDArray[np.float32]


class Asked(Protocol):
    """A model with its query."""

    def top(self, depth: int, rules: Rules) -> TopK:
        """The ``depth`` best of the items that the model was fitted on."""

    def of(self, items: Codes) -> Scores:
        """float32[n]: the scores of these items; NaN where there is no evidence."""

    def of_fresh(self, fresh: Codes) -> Scores:
        """The same for the new items of a shelf, which are asked about again and again."""


def ask(model: Recommender[Any], query: Queries, arrivals: Arrivals) -> Asked:
    """The one query, to be asked of the model."""
    if isinstance(model, DotProduct):
        return DotAsked(model, model._query_vectors(model._fitted, query), arrivals)
    return RowAsked(model._score(model._fitted, query)[0], arrivals, query.history.indices)


@dataclass(frozen=True, eq=False)
class DotAsked:
    """A model of inner products.

    Attributes:
        vector: float32[1, f], the query's.
    """

    model: DotProduct[Any]
    vector: Scores
    arrivals: Arrivals

    @property
    def packed(self) -> PackedItems:
        """The vectors of the items that the model was fitted on."""
        return self.model.packed_items(self.model._fitted)

    def vectors(self, items: Codes) -> Scores:
        """float32[n, f]: the vectors of items; NaN where there is no evidence."""
        return self.arrivals.vectors_of(self.model, items)

    def top(self, depth: int, rules: Rules) -> TopK:
        """By the fused kernel."""
        return top_k_dot(self.vector, self.packed, depth, **rules.keywords())

    def of(self, items: Codes) -> Scores:
        """By the same kernel as in :meth:`top`, so to the same bits."""
        scores: Scores = dot_scores(self.vector, PackedItems(self.vectors(items)))[0]
        return scores

    def of_fresh(self, fresh: Codes) -> Scores:
        """As :meth:`of`; their vectors are packed once."""
        scores: Scores = dot_scores(self.vector, self.arrivals.packed(self.model, fresh))[0]
        return scores


@dataclass(frozen=True, eq=False)
class RowAsked:
    """Any other model.

    Attributes:
        row: float32[items], its scores of the items that it was fitted on.
        had: the history of the query.
    """

    row: Scores
    arrivals: Arrivals
    had: Codes

    def top(self, depth: int, rules: Rules) -> TopK:
        """Out of the row."""
        return top_k(self.row[np.newaxis], depth, **rules.keywords())

    def of(self, items: Codes) -> Scores:
        """Out of the row."""
        return self.arrivals.scores(items, lambda known: self.row[known], self.had)

    def of_fresh(self, fresh: Codes) -> Scores:
        """As :meth:`of`."""
        return self.of(fresh)
