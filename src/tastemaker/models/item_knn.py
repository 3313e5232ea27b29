"""Customers who bought this also bought: each item's most similar items, and what a history's items say together."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tastemaker._native.item_neighbors import item_neighbors, score_from_neighbors, update_item_neighbors
from tastemaker._native.linear import times_sparse
from tastemaker._native.neighbors import Csr
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.columns import tally
from tastemaker.data.dataset import Dataset
from tastemaker.data.past import Past
from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import one_of, whole
from tastemaker.models.new_interactions import changed, with_new_interactions
from tastemaker.models.similarity import SIMILARITIES, ItemSimilarity, item_space
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["ItemKNN", "ItemKNNState"]


@dataclass(frozen=True, eq=False)
class ItemKNNState(State):
    """Each item's neighbors.

    Attributes:
        codes: int32[n_items, neighbors], the most similar first, −1 past the last.
        similarities: float32[n_items, neighbors], 0 past the last.
    """

    codes: NDArray[np.int32]
    similarities: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class ItemKNN(Recommender[ItemKNNState]):
    """Neighborhoods of items (Sarwar et al., 2001; Linden et al., "Amazon.com recommendations", 2003).

    Two items are alike when the same users took both. Of every item the ``neighbors`` most similar ones are kept, and

        score(u, j) = Σ over the items i of u's history, as far as they are neighbors, of v(u, i) · s(i, j),

    with v = value · weight, so that high ratings and interactions of quality count for more. An item that nothing in
    the history leads to has no score. ``neighbors_of`` says whose neighbors count: of each item of the history (Linden et
    al.: "those who bought this also bought"), which is why popular items, the neighbors of many, come first; or of the
    item that is scored (Sarwar et al.), which gives all items as many chances and most often the better lists.

    Attributes:
        neighbors: how many similar items to keep of each item.
        similarity: ``"cosine"``; ``"adjusted_cosine"`` (of ratings less the user's mean); ``"jaccard"`` (users of both over
            users of either); ``"lift"`` (how many times as often together as by chance; favours rare items, so give it a
            ``min_support``); ``"bm25"`` (busy users and popular items say less).
            The formulas stand in :mod:`tastemaker.models.similarity`.
        min_support: items with fewer users in common are not neighbors.
        neighbors_of: ``"history"``: i leads to j where j is a neighbor of i; ``"candidate"``: where i is a neighbor of j.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]})
    >>> ItemKNN(similarity="jaccard").fit(data).similar_items(["bread"], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "item_knn"
    score_kind: ClassVar[str] = "similarity"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A user without a history gets the most popular items. An item that shares too few users with others has no "
        "neighbors and is never recommended."
    )
    state_type: ClassVar[type[State]] = ItemKNNState

    neighbors: int = 50
    similarity: ItemSimilarity = "cosine"
    min_support: int = 1
    neighbors_of: Literal["history", "candidate"] = "history"

    def __post_init__(self) -> None:
        whole("neighbors", self.neighbors)
        one_of("similarity", self.similarity, tuple(SIMILARITIES))
        whole("min_support", self.min_support)
        one_of("neighbors_of", self.neighbors_of, ("history", "candidate"))

    def update(self, data: Dataset) -> Self:
        """A copy of this model that has also learned from new interactions, at a fraction of the cost of a refit.

        Items of whose interactions a twentieth or more is new, new items among them, get the neighbors that a refit would give
        them, and take their places in the lists of others. The similarity of two items that both grew by less stays as it
        was: a cosine of equal weights is then off by (Δi + Δj) / √(n(i) n(j)) at most, with Δ the new and n all interactions
        of each. Every user's history is up to date, so that scores start from all that is known. Of a repeated pair the weights
        are added up; of ratings the last counts. With 1 % new interactions of ml-1m, at random or the latest, the NDCG@10 was
        within 0.5 % of a refit's (``benchmarks/update.py``); refit from time to time, since what stays adds up.

        Args:
            data: interactions alone; users and items that are new to the model may be among them.

        Raises:
            DataError: if its ids are of another type, or it lacks the ratings or times that the model was fitted on.
        """
        fitted = self._fitted
        new = with_new_interactions(fitted.catalogue, data)
        catalogue, state = new.catalogue, fitted.state
        history, n_items = catalogue.past.timeless, catalogue.n_items
        moved = changed(np.bincount(new.came.indices, minlength=n_items), tally(history.indices, n_items))
        space = item_space(replace(catalogue, past=Past(history)), self.similarity)
        columns = replace(history, value=space.users.values).columns(moved, n_items)
        neighbors = update_item_neighbors(
            (state.codes, state.similarities),
            space.users,
            Csr(columns.indptr, columns.indices, columns.value),
            moved.astype(np.int32),
            space.scales,
            self._kept(n_items),
            measure=space.measure,
            min_support=self.min_support,
        )
        model = replace(self)
        model._hold(Fitted(ItemKNNState(*neighbors), catalogue))
        return model

    def _fit(self, data: Dataset, progress: Progress) -> ItemKNNState:
        space = item_space(Catalogue.of(data), self.similarity)
        return ItemKNNState(
            *item_neighbors(
                space.users,
                space.scales,
                self._kept(data.n_items),
                measure=space.measure,
                min_support=self.min_support,
            )
        )

    def _kept(self, n_items: int) -> int:
        return max(1, min(self.neighbors, n_items - 1))

    def _score(self, fitted: Fitted[ItemKNNState], queries: Queries) -> NDArray[np.float32]:
        state, history = fitted.state, _strengths(queries)
        if self.neighbors_of == "history":
            return score_from_neighbors(history, state.codes, state.similarities)
        if "leads" not in fitted.memo:
            fitted.memo["leads"] = _by_neighbor(state)
        return times_sparse(history, fitted.memo["leads"], fitted.catalogue.n_items)

    def _similar(self, fitted: Fitted[ItemKNNState], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        alone = Csr(np.arange(len(seeds) + 1), seeds, np.ones(len(seeds), np.float32))
        return score_from_neighbors(alone, fitted.state.codes, fitted.state.similarities)

    def _explain(self, fitted: Fitted[ItemKNNState], query: Queries, item: int) -> list[Reason]:
        """The items of the history that lead here, the greatest contribution first; they add up to the score."""
        history = _strengths(query)
        codes, similarities = fitted.state.codes, fitted.state.similarities
        if self.neighbors_of == "history":
            leads, place = np.nonzero(codes[history.indices] == item)
            similar = similarities[history.indices[leads], place]
        else:
            leads, place = np.nonzero(history.indices[:, None] == codes[item])
            similar = similarities[item, place]
        parts = history.values[leads] * similar
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(history.indices[leads[n]]), float(parts[n])) for n in order]


def _strengths(queries: Queries) -> Csr:
    """How much each item of each history counts."""
    history = queries.history
    return Csr(history.indptr, history.indices, history.value * history.weight)


def _by_neighbor(state: ItemKNNState) -> Csr:
    """The same similarities, one row a neighbor: the items that it is a neighbor of."""
    item, place = np.nonzero(state.codes >= 0)
    n_items = len(state.codes)
    entries = state.similarities[item, place], (state.codes[item, place], item)
    rows = sp.csr_array(entries, shape=(n_items, n_items))
    return Csr(rows.indptr, rows.indices, rows.data)
