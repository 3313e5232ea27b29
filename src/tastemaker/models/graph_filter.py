"""GF-CF and BSPM: collaborative filtering as filters of the graph of users and items, without any training."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.linear import sharpen, times_dense, two_hops
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
    """The normalized adjacency R̃ by rows and by columns, and the ideal low-pass filter as two thin matrices.

    Attributes:
        user_indptr, user_items, user_values: R̃, one row a user.
        item_indptr, item_users, item_values: R̃ᵀ, one row an item.
        preference: float32[items]: D_i^ρ.
        into: float32[items, n]: D_i^(ρ−b) V, which takes a history over ``preference`` to n ≤ factors frequencies.
        out_of: float32[items, n]: S D_i^(b−ρ) V, which takes them back to items, before ``preference``.
    """

    user_indptr: NDArray[np.int64]
    user_items: NDArray[np.int32]
    user_values: NDArray[np.float32]
    item_indptr: NDArray[np.int64]
    item_users: NDArray[np.int32]
    item_values: NDArray[np.float32]
    preference: NDArray[np.float32]
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
    """GF-CF (Shen et al., "How powerful is graph convolution for recommendation?", CIKM 2021), with the sharpening of BSPM
    (Choi et al., "Blurring-sharpening process models for collaborative filtering", SIGIR 2023) and the free exponents of
    LinkProp (Fu et al., "Revisiting neighborhood-based link prediction for collaborative filtering", WWW 2022
    Companion).

    With R the interactions, D the sums of its rows and columns, R̃ = D_u^−a R D_i^−b over its greatest singular value, V its
    leading right singular vectors, and P = R̃ᵀR̃,

        score = r D_i^−ρ (P + α D_i^(ρ−b) V Vᵀ D_i^(b−ρ)) S D_i^ρ:

    a linear filter, by one step over the users who share an item, and an ideal low-pass filter, which keeps what varies
    slowly over the graph. R holds value · weight, see :class:`tastemaker.models.linear.Linear`.

    Both blur. S takes back some of it: for a time T it follows ds/dt = −s P, away from what the neighbors think, by one step
    of the classic Runge–Kutta method, so that S = I − TP + (TP)²/2 − (TP)³/6 + (TP)⁴/24. With the defaults a = b = ½ and
    ρ = T = 0 the whole is GF-CF; with T = 2.5 it is BSPM as its authors set it for Gowalla. With α = T = 0 it is LinkProp,
    whose β is b + ρ, γ is 2a and δ is b − ρ. No matrix of items × items is ever held: the filters are applied to each history.

    Args:
        factors: how many singular vectors pass the ideal filter.
        low_pass: α, the weight of the ideal low-pass filter. With 0 the linear filter stands alone, and a fit takes no time.
        sharpen: T, the time of sharpening; 0 takes back nothing. Else each history takes four more steps there and back over the
            whole graph.
        user_exponent: a; the greater, the less the users count who have much.
        item_exponent: b; the greater, the less the items count that many have.
        popularity: ρ; the greater, the more an item is preferred that many have, and the less one in the history says.
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
    sharpen: float = 0.0
    user_exponent: float = 0.5
    item_exponent: float = 0.5
    popularity: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        for name in ("low_pass", "sharpen", "user_exponent", "item_exponent", "popularity"):
            between(name, getattr(self, name))
        whole("seed", self.seed, low=0)

    def _fit(self, data: Dataset, progress: Progress) -> GraphFilterState:
        by_user, by_item = interactions(data)
        if not len(by_user.values):
            raise DataError(f"graph_filter needs interactions, and {data.schema.name} has none")
        if (by_user.values < 0).any():
            raise DataError(
                f"graph_filter needs values of at least 0, got {by_user.values.min():g}; "
                "leave out what is disliked, or shift the ratings"
            )
        users, items = _degrees(by_user), _degrees(by_item)
        by_user_scale, by_item_scale = _power(users, -self.user_exponent), _power(items, -self.item_exponent)
        forth = _scaled(by_user, by_user_scale, by_item_scale)
        vectors = right_singular_vectors(
            forth.scipy(data.n_items), self.factors if self.low_pass else 1, self.seed
        )
        greatest = float(np.linalg.norm(forth.scipy(data.n_items) @ vectors[:, 0]))
        forth = _scaled(by_user, by_user_scale / greatest, by_item_scale)
        back = _scaled(by_item, by_item_scale, by_user_scale / greatest)
        shape = self.item_exponent - self.popularity
        frequencies = np.ascontiguousarray((_power(items, shape)[:, None] * vectors).T, np.float32)
        return GraphFilterState(
            *forth,
            *back,
            preference=_power(items, self.popularity).astype(np.float32),
            into=(_power(items, -shape)[:, None] * vectors).astype(np.float32),
            out_of=np.ascontiguousarray(self._sharpened(forth, back, frequencies).T),
        )

    def _apply(self, fitted: Fitted[GraphFilterState], histories: Csr) -> NDArray[np.float32]:
        state = fitted.state
        if "out_of" not in fitted.memo:
            fitted.memo["out_of"] = PackedItems(state.out_of)
        signals = histories._replace(values=histories.values * _inverse(state.preference[histories.indices]))
        frequencies = times_dense(signals, state.into) * np.float32(self.low_pass)
        scores = dot_scores(frequencies, fitted.memo["out_of"])
        if self.sharpen:
            near = two_hops(signals, state.by_item, state.by_user, np.zeros_like(scores))
            scores += self._sharpened(state.by_user, state.by_item, near)
        else:
            two_hops(signals, state.by_item, state.by_user, scores)
        scores *= state.preference
        return scores

    def _coefficients(
        self, fitted: Fitted[GraphFilterState], items: NDArray[np.int32], item: int
    ) -> NDArray[np.float32]:
        # P and S are symmetric and commute: a column of PS is that row.
        state = fitted.state
        alone = Csr(np.array([0, 1]), np.array([item], np.int32), np.ones(1, np.float32))
        near = two_hops(alone, state.by_item, state.by_user, np.zeros((1, len(state.into)), np.float32))
        shared = self._sharpened(state.by_user, state.by_item, near)[0, items]
        passed = np.float32(self.low_pass) * (state.into[items] @ state.out_of[item])
        return np.asarray(
            _inverse(state.preference[items]) * (shared + passed) * state.preference[item], np.float32
        )

    def _sharpened(self, by_user: Csr, by_item: Csr, signals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each row times S, in place."""
        return sharpen(by_user, by_item, self.sharpen, signals) if self.sharpen else signals


def _degrees(rows: Csr) -> NDArray[np.float64]:
    """float64[rows]: the sum of each row."""
    row = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    return np.bincount(row, rows.values, rows.n_rows).astype(np.float64, copy=False)


def _power(degrees: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """degrees ^ exponent, and 0 where the degree is 0."""
    return np.power(degrees, exponent, out=np.zeros(len(degrees)), where=degrees > 0)


def _inverse(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / values, and 0 where the value is 0."""
    return np.divide(np.float32(1), values, out=np.zeros_like(values), where=values > 0)


def _scaled(rows: Csr, by_row: NDArray[np.float64], by_column: NDArray[np.float64]) -> Csr:
    """Each value times the factors of its row and its column."""
    values = rows.values * np.repeat(by_row, np.diff(rows.indptr)) * by_column[rows.indices]
    return rows._replace(values=values.astype(np.float32)).contiguous()
