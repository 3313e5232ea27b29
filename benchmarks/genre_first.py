"""The baseline for cold items: the most popular genre first."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.progress import Progress


@dataclass(frozen=True, eq=False)
class GenreFirstState(State):
    """float32[items], for everybody."""

    scores: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class GenreFirst(Recommender[GenreFirstState]):
    """The same items for everybody: those of the most popular genre first, of several genres the most popular counts.

    An item's score is the highest of its genres' numbers of training interactions; with ``per_item`` of interactions for each
    item of the genre that has any. Within a genre, the next genre decides: the numbers are compared from the highest down.

    Args:
        column: of the item features, a list of genres.
        per_item: divide by the number of items, so that a genre is not popular for being large.
    """

    name: ClassVar[str] = "genre_first"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous"})
    cold_start: ClassVar[str] = "a new item has the popularity of its genres."
    state_type: ClassVar[type[State]] = GenreFirstState

    column: str = "genres"
    per_item: bool = False

    def _fit(self, data: Dataset, progress: Progress) -> GenreFirstState:
        if self.column not in data.item_features.columns:
            raise DataError(f"{data.schema.name}: the items have no feature {self.column!r}")
        lists = data.item_features[self.column].fill_null([])
        length = lists.list.len().to_numpy().astype(np.int64)
        item = np.repeat(np.arange(data.n_items), length)
        genre = lists.explode().drop_nulls().rank("dense").to_numpy().astype(np.int64) - 1
        had = np.bincount(data.item, data.weight, data.n_items)
        popular = np.bincount(genre, had[item])
        if self.per_item:
            popular = popular / np.maximum(np.bincount(genre, had[item] > 0), 1)
        numbers = np.zeros((data.n_items, max(1, int(length.max(initial=0)))))
        numbers[item, np.arange(len(item)) - (np.cumsum(length) - length)[item]] = popular[genre]
        numbers = -np.sort(-numbers, axis=1)
        _, place = np.unique(
            numbers, axis=0, return_inverse=True
        )  # rows in order of their first number, then the next
        return GenreFirstState(place.reshape(-1).astype(np.float32))

    def _score(self, fitted: Fitted[GenreFirstState], queries: Queries) -> NDArray[np.float32]:
        return np.broadcast_to(fitted.state.scores, (len(queries), fitted.catalogue.n_items))
