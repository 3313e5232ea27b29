"""Chance: what a list is worth when nothing is known, and a floor for coverage and novelty."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import whole
from tastemaker.progress import Progress

__all__ = ["Random", "RandomState"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class RandomState(State):
    """Nothing: chance is drawn anew from the seed, the query and the item."""


@dataclass(eq=False, kw_only=True)
class Random(Recommender[RandomState]):
    """Uniform scores in [0, 1), which depend only on the seed, the user (or the given history) and the item.

    They come from a hash and not from a stream, so a query has the same scores alone or in any batch; those of another seed
    are unrelated. All anonymous queries share one list.

    Args:
        seed: another seed, other lists.

    Example:
        >>> import polars as pl
        >>> seen = pl.DataFrame({"user": ["ann", "bob", "bob"], "item": ["dark", "dark", "lost"]})
        >>> len(Random(seed=1).fit(Dataset.from_interactions(seen)).recommend(history=[[]], k=2).lists()[0])
        2
    """

    name: ClassVar[str] = "random"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous"})
    cold_start: ClassVar[str] = "new users and new items are drawn like all others."
    state_type: ClassVar[type[State]] = RandomState

    seed: int = 0

    def __post_init__(self) -> None:
        whole("seed", self.seed, 0)

    def _fit(self, data: Dataset, progress: Progress) -> RandomState:
        return RandomState()

    def _score(self, fitted: Fitted[RandomState], queries: Queries) -> NDArray[np.float32]:
        items = np.arange(fitted.catalogue.n_items, dtype=np.uint64)
        bits = _mix(_keys(queries, self.seed)[:, None] + _mix(items))
        return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def _keys(queries: Queries, seed: int) -> NDArray[np.uint64]:
    """uint64[q]: of the seed and the user, and of the history where it was given."""
    start = np.full(len(queries), seed % 2**64, np.uint64)
    keys = _mix(start) ^ _mix(queries.users.astype(np.uint64) + _GOLDEN)
    history = queries.history
    place = np.arange(len(history.indices), dtype=np.uint64) - history.indptr[history.rows()].astype(
        np.uint64
    )
    entries = _mix(_mix(place) + history.indices.astype(np.uint64))
    given = queries.given[history.rows()]
    np.add.at(keys, history.rows()[given], entries[given])
    return _mix(keys)


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): each output bit depends on every input bit."""
    mixed = numbers + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
