"""GF-CF: collaborative filtering as two filters of the graph of users and items, without any training."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.linear import times_dense, two_hops
from tastemaker._native.neighbors import Csr
from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, State
from tastemaker.models.checks import between, whole
from tastemaker.models.linear import Linear, interactions
from tastemaker.models.singular import right_singular_vectors
from tastemaker.progress import Progress

__all__ = ["GraphFilter", "GraphFilterState"]


@dataclass(frozen=True, eq=False)
class GraphFilterState(State):
    """The normalized adjacency R̃ by rows and by columns, and the ideal low-pass filter D^−½ V Vᵀ D^½ as two thin matrices.

    Attributes:
        user_indptr, user_items, user_values: R̃, one row a user.
        item_indptr, item_users, item_values: R̃ᵀ, one row an item.
        into: float32[items, n]: D^−½ V, which takes a history to n ≤ factors frequencies.
        out_of: float32[items, n]: D^½ V, which takes them back to items.
    """

    user_indptr: NDArray[np.int64]
    user_items: NDArray[np.int32]
    user_values: NDArray[np.float32]
    item_indptr: NDArray[np.int64]
    item_users: NDArray[np.int32]
    item_values: NDArray[np.float32]
    into: NDArray[np.float32]
    out_of: NDArray[np.float32]

    @property
    def by_user(self) -> Csr:
        """R̃."""
        return Csr(self.user_indptr, self.user_items, self.user_values)

    @property
    def by_item(self) -> Csr:
        """R̃ᵀ."""
        return Csr(self.item_indptr, self.item_users, self.item_values)


@dataclass(eq=False, kw_only=True)
class GraphFilter(Linear[GraphFilterState]):
    """GF-CF (Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021).

    With R the interactions, R̃ = D_u^−½ R D_i^−½, and V the leading right singular vectors of R̃,

        score = r (R̃ᵀR̃ + α D_i^−½ V Vᵀ D_i^½):

    a linear filter, by one step over the users who share an item, and an ideal low-pass filter, which keeps what varies
    slowly over the graph. R holds value · weight, see :class:`tastemaker.models.linear.Linear`; D their sums. No matrix of
    items × items is ever held: the filters are applied to each history.

    Args:
        factors: how many singular vectors pass the ideal filter.
        low_pass: α, the weight of the ideal low-pass filter; 0 leaves the linear filter alone.
        seed: of the vector from which the iterations for V start.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["tea", "jam", "tea", "jam", "tea"]})
    >>> GraphFilter(low_pass=0.0).fit(data).predict([3], ["jam"])  # two users: (1/√2 1/√3)(1/√2 1/√2) each
    array([0.4082483], dtype=float32)
    """

    name: ClassVar[str] = "graph_filter"
    score_kind: ClassVar[str] = "score"
    state_type: ClassVar[type[State]] = GraphFilterState

    factors: int = 256
    low_pass: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        between("low_pass", self.low_pass)
        whole("seed", self.seed, low=0)

    def _fit(self, data: Dataset, progress: Progress) -> GraphFilterState:
        by_user, by_item = interactions(data)
        if (by_user.values < 0).any():
            raise DataError(
                f"graph_filter needs values of at least 0, got {by_user.values.min():g}; "
                "leave out what is disliked, or shift the ratings"
            )
        users, items = _degrees(by_user), _degrees(by_item)
        adjacency = _normalized(by_user, users, items)
        vectors = right_singular_vectors(adjacency.scipy(data.n_items), self.factors, self.seed)
        return GraphFilterState(
            *adjacency,
            *_normalized(by_item, items, users),
            into=(_inverse_root(items)[:, None] * vectors).astype(np.float32),
            out_of=(np.sqrt(items)[:, None] * vectors).astype(np.float32),
        )

    def _apply(self, fitted: Fitted[GraphFilterState], histories: Csr) -> NDArray[np.float32]:
        state = fitted.state
        if "out_of" not in fitted.memo:
            fitted.memo["out_of"] = PackedItems(state.out_of)
        frequencies = times_dense(histories, state.into) * np.float32(self.low_pass)
        return two_hops(
            histories, state.by_item, state.by_user, dot_scores(frequencies, fitted.memo["out_of"])
        )

    def _coefficients(
        self, fitted: Fitted[GraphFilterState], items: NDArray[np.int32], item: int
    ) -> NDArray[np.float32]:
        state = fitted.state
        adjacency = state.by_item.scipy(len(state.user_indptr) - 1)
        shared = (adjacency[items] @ adjacency[[item]].T).toarray()[:, 0]
        passed = state.into[items] @ state.out_of[item]
        return np.asarray(shared + np.float32(self.low_pass) * passed, np.float32)


def _degrees(rows: Csr) -> NDArray[np.float64]:
    """float64[rows]: the sum of each row."""
    row = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    return np.bincount(row, rows.values, rows.n_rows).astype(np.float64, copy=False)


def _inverse_root(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / √degrees, and 0 where the degree is 0."""
    return np.divide(1, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)


def _normalized(rows: Csr, row_degrees: NDArray[np.float64], column_degrees: NDArray[np.float64]) -> Csr:
    """Each value over the roots of its row's and its column's degree."""
    by_row = np.repeat(_inverse_root(row_degrees), np.diff(rows.indptr))
    values = rows.values * by_row * _inverse_root(column_degrees)[rows.indices]
    return rows._replace(values=values.astype(np.float32)).contiguous()
