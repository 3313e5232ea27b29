"""SLIM: every item as a sparse sum of a few others."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tastemaker._native.item_neighbors import item_neighbors
from tastemaker._native.linear import times_sparse
from tastemaker._native.neighbors import Csr
from tastemaker._native.slim import slim_weights
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.models.base import Fitted, State
from tastemaker.models.checks import between, whole
from tastemaker.models.linear import Linear, interactions
from tastemaker.models.similarity import item_space
from tastemaker.progress import Progress

__all__ = ["SLIM", "SLIMState"]


@dataclass(frozen=True, eq=False)
class SLIMState(State):
    """W by rows, without its zeros: W[i, j] is what having i says for j.

    Attributes:
        indptr: int64[items + 1]; indices: int32[n], the j of each entry; weights: float32[n].
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def rows(self) -> Csr:
        """W."""
        return Csr(self.indptr, self.indices, self.weights)


@dataclass(eq=False, kw_only=True)
class SLIM(Linear[SLIMState]):
    """Sparse linear methods (Ning and Karypis, ICDM 2011): for each item j the weights w that minimize

        ½ ‖x_j − Σ_i w_i x_i‖² + ½ l2 ‖w‖² + l1 ‖w‖₁,  w_j = 0,

    where i goes over the ``neighbors`` items most similar to j by cosine (their fsSLIM). X holds value · weight, see
    :class:`tastemaker.models.linear.Linear`. Where EASE's dense matrix does not fit, this takes a few numbers an item.

    An item that nothing in the history leads to has no score.

    Args:
        neighbors: how many items an item may be a sum of.
        l1: makes weights 0, in the units of XᵀX: below l1, what two items have in common does not count.
        l2: makes weights small, in the same units.
        non_negative: whether weights below 0 are ruled out, as in the paper.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["tea", "jam", "tea", "jam", "tea"]})
    >>> SLIM(l1=0.5, l2=1.0).fit(data).predict([3], ["jam"])  # (2 − l1) / (3 + l2) from tea
    array([0.375], dtype=float32)
    """

    name: ClassVar[str] = "slim"
    score_kind: ClassVar[str] = "score"
    state_type: ClassVar[type[State]] = SLIMState

    neighbors: int = 200
    l1: float = 0.1
    l2: float = 40.0
    non_negative: bool = True

    def __post_init__(self) -> None:
        whole("neighbors", self.neighbors)
        between("l1", self.l1)
        between("l2", self.l2)

    def _fit(self, data: Dataset, progress: Progress) -> SLIMState:
        _, by_item = interactions(data)
        space = item_space(Catalogue.of(data), "cosine")
        kept = max(1, min(self.neighbors, data.n_items - 1))
        candidates, _ = item_neighbors(space.users, space.scales, kept, measure=space.measure)
        weights = slim_weights(
            by_item, data.n_users, candidates, l1=self.l1, l2=self.l2, non_negative=self.non_negative
        )
        item, place = np.nonzero(weights)
        entries = weights[item, place], (candidates[item, place], item)
        rows = sp.csr_array(entries, shape=(data.n_items, data.n_items))
        return SLIMState(*Csr(rows.indptr, rows.indices, rows.data).contiguous())

    def _apply(self, fitted: Fitted[SLIMState], histories: Csr) -> NDArray[np.float32]:
        return times_sparse(histories, fitted.state.rows, fitted.catalogue.n_items)

    def _coefficients(
        self, fitted: Fitted[SLIMState], items: NDArray[np.int32], item: int
    ) -> NDArray[np.float32]:
        rows = fitted.state.rows.scipy(fitted.catalogue.n_items)
        return np.asarray(rows[items][:, [item]].toarray()[:, 0], np.float32)
