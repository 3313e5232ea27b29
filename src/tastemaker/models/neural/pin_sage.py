"""PinSage: vectors of items from their content and that of the items near them, for items never seen too."""

from dataclasses import dataclass
from functools import cached_property
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
from tastemaker.models.checks import a_file, between, whole
from tastemaker.models.neural.specs import FeatureSpec, Id, as_spec
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["PinSage", "PinSageState"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PinSageState(State):
    """What is learned.

    Attributes:
        item_vectors: float32[items, factors], of length 1; zeros for items of which nothing is known.
    """

    item_vectors: Float32

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """bool[items]: which have a vector."""
        return np.asarray(self.item_vectors.any(axis=1))


@dataclass(eq=False, kw_only=True)
class PinSage(DotProduct[PinSageState]):
    """PinSage (Ying, He, Chen, Eksombatchai, Hamilton and Leskovec, KDD 2018): graph convolution over the items near an item.

        n_i = Σ_j α_ij max(0, Q h_j + q),   h'_i = w_i / ‖w_i‖ with w_i = max(0, W [h_i | n_i] + b),   z_i = G₂ max(0, G₁ h_i + g)

    The h of the first layer are the features of the items, the last one goes through two dense layers and is brought to length 1.
    j are the items that random walks from i visit most, from item to user to item with restarts, and α_ij their shares of the
    visits (see :mod:`tastemaker._native.walks`). Learned by a max-margin loss: of two items q and i that follow one another
    in somebody's history,

        mean over negatives j of max(0, <z_q, z_j> − <z_q, z_i> + margin).

    Some negatives are drawn for a whole batch, from all items alike. From the second epoch on there are hard ones beside
    them, one more in every epoch: items that the walks from q visit, but of a middle rank only.

    An item that nobody had stands where its content puts it: it has no neighbours, and so that content learns to speak for
    itself, every so often (``hide``) an item's neighbours are hidden in training. Without any item features but an id, such
    items have no score.

    Somebody is scored by the mean of the vectors of the items in the history, weighted as these are, so that the score is
    the mean cosine of the item with them; reasons are the parts of it.

    Args:
        features: of the items, what to look at; by default what their table suggests, and their ids only where there is nothing
            else, since an id says nothing of a new item.
        factors: length of the vectors, in and after every layer.
        layers: convolutions.
        neighbors: how many items near an item count.
        steps: of the walks from each item.
        restart: the probability of going back to the item before a step; the more, the nearer.
        epochs: passes over the pairs of items that follow one another.
        learning_rate: of Adam.
        batch_size: pairs in a step.
        regularization: L2 on all weights.
        margin: by how much a pair is to be closer than one with a negative.
        negatives: drawn for each batch.
        hard_negatives: for each pair, at the end; 0 for none.
        hide: the share of items whose neighbours are hidden in a step.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        checkpoint: a file; a fit that was cut off goes on from it, to the same bits on a CPU. Not saved with the model.
        seed: of the walks, the first weights, the order of learning and the negatives.

    >>> taken = {"user": [1, 1, 2, 2, 3, 3], "item": ["bread", "butter", "bread", "jam", "nails", "hammer"]}
    >>> kinds = {"item": ["bread", "butter", "jam", "nails", "hammer", "saw"], "kind": ["food"] * 3 + ["tool"] * 3}
    >>> model = PinSage(factors=8, epochs=20).fit(Dataset.from_interactions(taken, item_features=kinds))
    >>> model.recommend(history=[["hammer", "nails"]], k=1).lists()  # nobody has had a saw yet
    [['saw']]
    """

    name: ClassVar[str] = "pinsage"
    score_kind: ClassVar[str] = "similarity"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new item has a vector from its features, a new user from the items of a history; without one the most popular "
        "items are shown."
    )
    state_type: ClassVar[type[State]] = PinSageState

    features: FeatureSpec | str | None = None
    factors: int = 64
    layers: int = 2
    neighbors: int = 50
    steps: int = 1000
    restart: float = 0.2
    epochs: int = 3
    learning_rate: float = 3e-3
    batch_size: int = 4096
    regularization: float = 0.0
    margin: float = 0.3
    negatives: int = 500
    hard_negatives: int = 5
    hide: float = 0.5
    device: str = "auto"
    checkpoint: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.features = as_spec(self.features)
        for name in ("factors", "layers", "neighbors", "steps", "epochs", "batch_size", "negatives"):
            whole(name, getattr(self, name))
        whole("hard_negatives", self.hard_negatives, low=0)
        between("restart", self.restart, high=0.99)
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        between("margin", self.margin, open_low=True)
        between("hide", self.hide, high=0.95)
        whole("seed", self.seed, low=0)
        a_file("checkpoint", self.checkpoint)

    def saved_parameters(self) -> dict[str, Any]:
        """The features as text; not the place of the checkpoint."""
        spec = self.features.to_json() if isinstance(self.features, FeatureSpec) else None
        return self.parameters() | {"features": spec, "checkpoint": None}

    def _fit(self, data: Dataset, progress: Progress) -> PinSageState:
        if not data.weight.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        require("torch", "neural")
        from tastemaker.models.neural.features import fit_features
        from tastemaker.models.neural.pin_sage_training import learn

        spec = self._items_alone(data)
        return learn(self, data.select(data.weight > 0), fit_features(spec, data), progress)

    def _items_alone(self, data: Dataset) -> FeatureSpec:
        """The features of the items in the specification, or those that the table suggests."""
        if isinstance(self.features, FeatureSpec):
            if not self.features.item:
                raise DataError(f"{self.name} needs features of items, got {self.features}")
            return FeatureSpec(item=self.features.item)
        return FeatureSpec(item=FeatureSpec.infer(data, ids=False).item or (Id("item"),))

    def _query_vectors(self, fitted: Fitted[PinSageState], queries: Queries) -> Float32:
        """float32[q, factors]: the mean over the history; NaN if nothing in it has a vector and weighs something."""
        state, history = fitted.state, queries.history
        shares = _shares(state, history)
        mean = times_dense(Csr(history.indptr, history.indices, shares), state.item_vectors)
        mean[history.counts(shares > 0) == 0] = np.nan
        return mean

    def _item_vectors(self, fitted: Fitted[PinSageState]) -> Float32:
        state = fitted.state
        return np.where(state.known[:, None], state.item_vectors, np.float32(np.nan))

    def _diversity_vectors(self, fitted: Fitted[PinSageState]) -> Float32:
        return fitted.state.item_vectors

    def _explain(self, fitted: Fitted[PinSageState], query: Queries, item: int) -> list[Reason]:
        """What each item of the history adds, the greatest first."""
        state, had = fitted.state, query.history.indices
        parts = _shares(state, query.history) * (state.item_vectors[had] @ state.item_vectors[item])
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(had[n]), float(parts[n])) for n in order]


def _shares(state: PinSageState, history: History) -> Float32:
    """float32[entries]: the weight of each entry as a share of those in its row that have a vector."""
    weight = np.where(state.known[history.indices], history.weight, np.float32(0))
    total = np.bincount(history.rows(), weight, len(history))
    shares: Float32 = (weight / np.repeat(np.where(total > 0, total, 1), history.lengths)).astype(np.float32)
    return shares
