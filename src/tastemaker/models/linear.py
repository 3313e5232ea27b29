"""Models whose scores are linear in the history: score(u, ·) = x(u) · W, for an items × items matrix W, held or not."""

from abc import abstractmethod
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.neighbors import Csr
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.ranking.reasons import Reason

__all__ = ["Linear", "interactions", "reached", "reasons", "strengths"]

S = TypeVar("S", bound=State)


def strengths(history: History) -> Csr:
    """x = value · weight of each item of each row: how much it counts."""
    return Csr(history.indptr, history.indices, history.value * history.weight)


def interactions(data: Dataset) -> tuple[Csr, Csr]:
    """X with x(u, i) = value · weight, by users (items ascending) and by items (users ascending)."""
    by_user = data.matrix("weight")
    by_user.data = data.matrix("value").data * by_user.data
    by_item = by_user.tocsc()
    return Csr(by_user.indptr, by_user.indices, by_user.data), Csr(
        by_item.indptr, by_item.indices, by_item.data
    )


def reached(had: NDArray[np.bool_], histories: Csr) -> NDArray[np.bool_]:
    """bool[rows]: whether a history has any item that somebody had in the training data."""
    rows = np.repeat(np.arange(histories.n_rows), np.diff(histories.indptr))
    return np.bincount(rows[had[histories.indices]], minlength=histories.n_rows) > 0


def reasons(history: History, coefficients: NDArray[np.floating]) -> list[Reason]:
    """What each item of a history adds, x(i) · W[i, j], the greatest contributions first; what adds nothing is left out."""
    parts = strengths(history).values * coefficients
    order = [n for n in np.argsort(-np.abs(parts), kind="stable") if parts[n] != 0]
    return [Reason("item", int(history.indices[n]), float(parts[n])) for n in order]


class Linear(Recommender[S]):
    """score(u, j) = Σ over the items i of u's history of x(u, i) · W[i, j], with x = value · weight.

    Implicit feedback has values of 1, so that its weights count. Of explicit ratings the value itself counts: a high rating
    for more than a low one, and none against; where a low rating is a dislike, leave it out before.

    Whoever has a history is answered, trained on or not. Items that nobody had are not scored, nor histories of such items
    alone. Items similar to a seed are those that the seed as the only item of a history leads to.
    """

    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is answered from a history, and without one gets the most popular items. "
        "An item that nobody had is never recommended."
    )

    @abstractmethod
    def _apply(self, fitted: Fitted[S], histories: Csr) -> NDArray[np.float32]:
        """float32[rows, items]: x · W for each row x; its bits alone or in any batch are the same."""

    @abstractmethod
    def _coefficients(self, fitted: Fitted[S], items: NDArray[np.int32], item: int) -> NDArray[np.float32]:
        """float32[n]: W[items, item]."""

    def _score(self, fitted: Fitted[S], queries: Queries) -> NDArray[np.float32]:
        return self._evident(fitted, strengths(queries.history))

    def _similar(self, fitted: Fitted[S], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        alone = Csr(np.arange(len(seeds) + 1), seeds, np.ones(len(seeds), np.float32))
        return self._evident(fitted, alone)

    def _explain(self, fitted: Fitted[S], query: Queries, item: int) -> list[Reason]:
        """The items of the history, the greatest contribution first; they add up to the score."""
        history = query.history
        return reasons(history, self._coefficients(fitted, history.indices, item))

    def _evident(self, fitted: Fitted[S], histories: Csr) -> NDArray[np.float32]:
        """The scores where there is evidence, NaN elsewhere."""
        had = fitted.catalogue.popularity > 0
        scores = self._apply(fitted, histories)
        scores[:, ~had] = np.nan
        scores[~reached(had, histories)] = np.nan
        return scores
