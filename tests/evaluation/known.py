"""Models whose answers the tests know in advance, and a tiny set of ratings that one can work by hand."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data import Dataset, Queries
from tastemaker.data.splits import Split, predefined
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.progress import Progress


@dataclass(frozen=True, eq=False)
class KnownState(State):
    scores: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class Known(Recommender[KnownState]):
    """Scores by user and item code, as given."""

    name: ClassVar[str] = "known"
    score_kind: ClassVar[str] = "rating"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history"})
    cold_start: ClassVar[str] = "a test double"
    state_type: ClassVar[type[State]] = KnownState

    scores: Any
    kind: str = "rating"
    log: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        vars(self)["score_kind"] = self.kind

    def _fit(self, data: Dataset, progress: Progress) -> KnownState:
        self.log.append(data)
        return KnownState(np.array(self.scores, np.float32))

    def _score(self, fitted: Fitted[KnownState], queries: Queries) -> NDArray[np.float32]:
        return fitted.state.scores[queries.users]


@dataclass(eq=False, kw_only=True)
class Broken(Known):
    """Fails when it is fitted, from the given fit on."""

    scores: Any = None
    fits: int = 0

    def _fit(self, data: Dataset, progress: Progress) -> KnownState:
        self.log.append(data)
        if len(self.log) > self.fits:
            raise RuntimeError("out of luck")
        return KnownState(np.zeros((data.n_users, data.n_items), np.float32))


def tiny(explicit: bool = True) -> Split:
    """Three users, five items a to e; held out: ann c=5 d=2, bob a=4 e=5, cid b=3 (codes in order of first appearance)."""
    rows = [
        ("ann", "a", 5), ("ann", "b", 3), ("bob", "b", 4), ("bob", "c", 1), ("cid", "c", 2), ("cid", "d", 4), ("cid", "e", 1),
        ("ann", "c", 5), ("ann", "d", 2), ("bob", "a", 4), ("bob", "e", 5), ("cid", "b", 3),
    ]  # fmt: skip
    users, items, ratings = zip(*rows, strict=True)
    data = Dataset.from_interactions(
        {"user": users, "item": items, "rating": ratings},
        rating="rating" if explicit else None,
        scale=(1, 5) if explicit else None,
        name="tiny",
    )
    return predefined(data, np.arange(7, 12))


#            a    b    c    d    e
SCORES = [
    [5.0, 4.0, 4.5, 3.0, 1.0],  # ann: unseen c d e → list c d e
    [2.0, 3.0, 3.0, 4.0, 5.0],  # bob: unseen a d e → list e d a
    [4.0, 2.0, 3.0, 4.0, 1.0],  # cid: unseen a b   → list a b
]


@dataclass(eq=False, kw_only=True)
class NextCode(Recommender[KnownState]):
    """The nearer the code of an item is above that of the last one in the history, the better; it asks for no user."""

    name: ClassVar[str] = "next_code"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"history"})
    cold_start: ClassVar[str] = "a test double"
    state_type: ClassVar[type[State]] = KnownState

    def _fit(self, data: Dataset, progress: Progress) -> KnownState:
        return KnownState(np.arange(data.n_items, dtype=np.float32))

    def _score(self, fitted: Fitted[KnownState], queries: Queries) -> NDArray[np.float32]:
        assert (queries.users == -1).all()
        codes = fitted.state.scores
        last = queries.history.indices[queries.history.indptr[1:] - 1]
        return -((codes[None, :] - last[:, None]) % np.float32(len(codes)))
