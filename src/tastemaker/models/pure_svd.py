"""PureSVD: the truncated singular value decomposition of the interaction matrix."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.linear import times_dense
from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import whole
from tastemaker.models.linear import interactions, reached, reasons, strengths
from tastemaker.models.singular import right_singular_vectors
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["PureSVD", "PureSVDState"]


@dataclass(frozen=True, eq=False)
class PureSVDState(State):
    """float32[items, n]: the leading right singular vectors V, n ≤ factors; rows of zeros for items that nobody had."""

    item_factors: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class PureSVD(DotProduct[PureSVDState]):
    """X ≈ U Σ Vᵀ (Cremonesi, Koren and Turrin, RecSys 2010): score(u, j) = (x(u) V) · V[j], blanks taken as zeros.

    As x(u) V is all that there is to a user, someone new folds in exactly like a trained user. X holds value · weight: for
    implicit feedback the weights; of explicit ratings the value itself counts, a high rating for more than a low one.

    Args:
        factors: how many singular vectors to keep.
        seed: of the vector from which the iterations start.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["tea", "jam", "tea", "jam", "tea"]})
    >>> PureSVD(factors=1).fit(data).recommend([3], k=1).lists()
    [['jam']]
    """

    name: ClassVar[str] = "pure_svd"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is folded in from a history, and without one gets the most popular items. "
        "An item that nobody had is never recommended."
    )
    state_type: ClassVar[type[State]] = PureSVDState

    factors: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        whole("seed", self.seed, low=0)

    def _fit(self, data: Dataset, progress: Progress) -> PureSVDState:
        by_user, _ = interactions(data)
        return PureSVDState(right_singular_vectors(by_user.scipy(data.n_items), self.factors, self.seed))

    def _query_vectors(self, fitted: Fitted[PureSVDState], queries: Queries) -> NDArray[np.float32]:
        histories = strengths(queries.history)
        vectors = times_dense(histories, fitted.state.item_factors)
        vectors[~reached(fitted.catalogue.popularity > 0, histories)] = np.nan
        return vectors

    def _item_vectors(self, fitted: Fitted[PureSVDState]) -> NDArray[np.float32]:
        had = fitted.catalogue.popularity > 0
        return np.where(had[:, None], fitted.state.item_factors, np.float32(np.nan))

    def _diversity_vectors(self, fitted: Fitted[PureSVDState]) -> NDArray[np.float32]:
        return fitted.state.item_factors

    def _explain(self, fitted: Fitted[PureSVDState], query: Queries, item: int) -> list[Reason]:
        """The items of the history, the greatest contribution first; they add up to the score."""
        factors = fitted.state.item_factors
        return reasons(query.history, factors[query.history.indices] @ factors[item])
