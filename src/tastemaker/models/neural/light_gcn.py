"""LightGCN: embeddings of users and items, smoothed over the graph of who has what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.linear import times_dense
from tastemaker._native.neighbors import Csr
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import a_file, between, flag, whole
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["LightGCN", "LightGCNState"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LightGCNState(State):
    """What is learned, smoothed already: the score of item i for user u is <U_u, V_i>.

    Attributes:
        user_factors, item_factors: float32[users or items, factors].
        messages: float32[items, factors], what an item adds to the vector of a new user, but for 1 / √(length of the history);
            0 for items without interactions.
        known: bool[items], whether the item has an interaction.
    """

    user_factors: Float32
    item_factors: Float32
    messages: Float32
    known: NDArray[np.bool_]


@dataclass(eq=False, kw_only=True)
class LightGCN(DotProduct[LightGCNState]):
    """LightGCN (He, Deng, Wang, Li, Zhang and Wang, SIGIR 2020): e = (e⁰ + e¹ + … + e^L) / (L + 1), score = <e_u, e_i>.

        e_u^(l+1) = Σ_{i of u} e_i^l / √(d_u d_i),   e_i^(l+1) = Σ_{u of i} e_u^l / √(d_u d_i)

    with d the number of neighbours in the graph of users and items. Only e⁰ is learned, by Adam on log(1 + exp(<e_u, e_j − e_i>))
    with λ/2 · (‖e⁰_u‖² + ‖e⁰_i‖² + ‖e⁰_j‖²) for each comparison of an item i that u has with a j that u has not. An epoch draws
    as many comparisons as there are interactions, users alike whatever they have, as the authors do. Every interaction
    counts alike, whatever its rating or weight, unless the weight is 0.

    The whole graph is smoothed forth and back in every step, on a CPU by one pass of our own kernel a layer. So the defaults are
    large batches, of which an epoch has few, with a learning rate to match; the authors have 2,048 and 0.001. Same seed, same
    bits on a CPU, with any number of threads; a fit that goes on from its ``checkpoint`` after a kill ends with them, too.

    A known user has the vector of the training. A new one with n items is a new node with e⁰ = 0 whose items stay as they are:

        e_u^(l+1) = Σ_i e_i^l / √(n d_i),  so that  e_u = n^−½ Σ_i m_i  with  m_i = (e_i⁰ + … + e_i^(L−1)) / ((L + 1) √d_i).

    Reasons are those parts, <m_i, e_j> / √n of each item i of the history; a known user's own e⁰ adds to the score beside them.

    Args:
        factors: length of the vectors.
        layers: L.
        epochs: passes over as many comparisons as there are interactions.
        learning_rate: of Adam.
        decay: whether it falls in equal steps from epoch to epoch, to 1 / epochs of it in the last.
        batch_size: comparisons in a step.
        regularization: λ.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        checkpoint: a file; a fit that was cut off goes on from it, to the same bits on a CPU. Not saved with the model.
        seed: of the first vectors and the comparisons.

    >>> bought = {"user": [1, 1, 2, 2, 3, 4, 4], "item": ["bread", "butter", "bread", "butter", "bread", "nails", "hammer"]}
    >>> model = LightGCN(factors=8, epochs=50).fit(Dataset.from_interactions(bought))
    >>> model.recommend([3], k=1).lists(), model.recommend(history=[["nails"]], k=1).lists()
    ([['butter']], [['hammer']])
    """

    name: ClassVar[str] = "lightgcn"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is folded in from a history, and without one gets the most popular items; an item without "
        "interactions has no score and is never recommended."
    )
    state_type: ClassVar[type[State]] = LightGCNState

    factors: int = 64
    layers: int = 3
    epochs: int = 100
    learning_rate: float = 0.05
    decay: bool = False
    batch_size: int = 1 << 16
    regularization: float = 1e-4
    device: str = "auto"
    checkpoint: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("factors", "layers", "epochs", "batch_size"):
            whole(name, getattr(self, name))
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        flag("decay", self.decay)
        whole("seed", self.seed, low=0)
        a_file("checkpoint", self.checkpoint)

    def saved_parameters(self) -> dict[str, Any]:
        """The hyper-parameters without the checkpoint, which is a file of one fit."""
        return self.parameters() | {"checkpoint": None}

    def _fit(self, data: Dataset, progress: Progress) -> LightGCNState:
        if not data.weight.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        require("torch", "neural")
        from tastemaker.models.neural.light_gcn_training import learn

        return learn(self, data.select(data.weight > 0), progress)

    def _query_vectors(self, fitted: Fitted[LightGCNState], queries: Queries) -> Float32:
        """float32[q, factors]; NaN if nothing in the history taught anything."""
        state = fitted.state
        trained = (queries.users >= 0) & ~queries.given
        vectors = np.where(trained[:, None], state.user_factors[queries.users], np.float32(0))
        new = np.flatnonzero(~trained & (queries.history.lengths > 0))
        if len(new):
            vectors[new] = _fold_in(state, queries.history.take(new))
        vectors[~_has_edge(state, queries.history)] = np.nan
        return vectors

    def _item_vectors(self, fitted: Fitted[LightGCNState]) -> Float32:
        """float32[items, factors]; NaN for an item without interactions."""
        state = fitted.state
        return np.where(state.known[:, None], state.item_factors, np.float32(np.nan))

    def _diversity_vectors(self, fitted: Fitted[LightGCNState]) -> Float32:
        return np.where(fitted.state.known[:, None], fitted.state.item_factors, np.float32(0))

    def _explain(self, fitted: Fitted[LightGCNState], query: Queries, item: int) -> list[Reason]:
        """What each item of the history brings, the greatest first."""
        state, had = fitted.state, query.history.indices
        parts = _shares(state, query.history) * (
            state.messages[had] @ state.item_factors[item] * state.known[item]
        )
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(had[n]), float(parts[n])) for n in order]


def _has_edge(state: LightGCNState, history: History) -> NDArray[np.bool_]:
    """bool[rows]: whose history has an item of the graph that weighs something."""
    return history.counts(state.known[history.indices] & (history.weight > 0)) > 0


def _shares(state: LightGCNState, history: History) -> Float32:
    """float32[entries]: n^−½ of each entry, n being how many items of its row are known."""
    counts = history.counts(state.known[history.indices])
    root = (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32)
    return np.repeat(root, history.lengths)


def _fold_in(state: LightGCNState, history: History) -> Float32:
    """float32[rows, factors]: the vectors of new users."""
    return times_dense(Csr(history.indptr, history.indices, _shares(state, history)), state.messages)
