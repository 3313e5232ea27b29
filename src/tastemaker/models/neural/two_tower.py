"""Two towers: users and items as vectors computed from their features, so that cold ones have vectors too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import a_file, between, whole
from tastemaker.models.neural.click_terms import beside, field_vectors, row_sums
from tastemaker.models.neural.ctr import hidden_sizes
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FeatureState
from tastemaker.models.neural.layers import Mlp
from tastemaker.models.neural.specs import FeatureSpec, as_spec
from tastemaker.progress import Progress

__all__ = ["TwoTower", "TwoTowerState"]

Float32 = NDArray[np.float32]
_LEAST_NORM = np.float32(1e-12)


@dataclass(frozen=True, eq=False, kw_only=True)
class TwoTowerState(FeatureState):
    """The fitted features and the two towers.

    Attributes:
        factors: float32[rows, f], an embedding for each row of the features' table.
        query_weights, query_biases: the layers of the tower of whoever asks.
        item_weights, item_biases: the layers of the items' tower.
    """

    factors: Float32
    query_weights: tuple[Float32, ...]
    query_biases: tuple[Float32, ...]
    item_weights: tuple[Float32, ...]
    item_biases: tuple[Float32, ...]


@dataclass(eq=False, kw_only=True)
class TwoTower(DotProduct[TwoTowerState]):
    """Two-tower retrieval (Yi et al., RecSys 2019): score = <u, v> / temperature, with u and v the outputs of two networks.

        u = MLP_q([embeddings of user and context | numbers]) / |·|,  v = MLP_i([embeddings of the item | numbers]) / |·|

    Learned by a softmax over the items of a batch: each interaction's own item against those of all others. Popular items come
    up more often as somebody else's, so from every logit log q of its item is taken away, q being its share of the interactions.
    Other interactions with the user's own item do not count against it.

    Every interaction counts as taken, whatever its rating; of impressions, the clicks. A new item has a vector from its
    features, a new user from those in the query. So that these are learned to speak for themselves, every so often
    (``id_dropout``) an id is hidden in training (Volkovs, Yu and Poutanen, NIPS 2017).

    Args:
        features: what to look at; by default what the tables of the Dataset suggest.
        factors: length of the embeddings, and of the vectors that the towers give.
        hidden: widths of the hidden layers of each tower.
        epochs: passes over the interactions.
        learning_rate: of Adam.
        batch_size: interactions in a step, which are each other's negatives.
        regularization: L2 on the embeddings.
        temperature: the smaller, the more the hardest negatives count.
        id_dropout: the share of ids hidden in a step.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        checkpoint: a file; a fit that was cut off goes on from it, to the same bits on a CPU. Not saved with the model.
        seed: of the first weights, the order of learning and the ids that are hidden.

    >>> taken = {"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]}
    >>> model = TwoTower(factors=8, hidden=(16,), epochs=30).fit(Dataset.from_interactions(taken))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "two_tower"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset(
        {"known", "history", "anonymous", "features", "context", "seeds"}
    )
    cold_start: ClassVar[str] = (
        "A new user gets a vector from the features in the query, a new item from its own; a given history counts "
        "only for a HistoryBag among the features."
    )
    state_type: ClassVar[type[State]] = TwoTowerState

    features: FeatureSpec | str | None = None
    factors: int = 32
    hidden: tuple[int, ...] = (64,)
    epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 512
    regularization: float = 0.0
    temperature: float = 0.1
    id_dropout: float = 0.1
    device: str = "auto"
    checkpoint: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.features = as_spec(self.features)
        for name in ("factors", "epochs", "batch_size"):
            whole(name, getattr(self, name))
        self.hidden = hidden_sizes(self.hidden)
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        between("temperature", self.temperature, open_low=True)
        between("id_dropout", self.id_dropout, high=0.95)
        whole("seed", self.seed, low=0)
        a_file("checkpoint", self.checkpoint)

    def saved_parameters(self) -> dict[str, Any]:
        """The features as text; not the place of the checkpoint."""
        spec = self.features.to_json() if isinstance(self.features, FeatureSpec) else None
        return self.parameters() | {"features": spec, "checkpoint": None}

    def _fit(self, data: Dataset, progress: Progress) -> TwoTowerState:
        require("torch", "neural")
        from tastemaker.models.neural.features import fit_features
        from tastemaker.models.neural.two_tower_training import learn

        if not len(data) or not data.weight.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        spec = self.features if isinstance(self.features, FeatureSpec) else FeatureSpec.infer(data)
        if not spec.item or not (spec.user or spec.context):
            raise DataError(
                f"{self.name} needs features of both sides, those of items and those of users or contexts, got {spec}"
            )
        return learn(self, data, fit_features(spec, data), progress)

    def _query_vectors(self, fitted: Fitted[TwoTowerState], queries: Queries) -> Float32:
        """float32[q, factors], of length 1 / temperature."""
        state = fitted.state
        users, context = state.pipeline.queries(queries, fitted.catalogue)
        tower = _tower(fitted, "query", state.query_weights, state.query_biases)
        return _unit(tower(_inputs(beside(users, context), state.factors))) / np.float32(self.temperature)

    def _item_vectors(self, fitted: Fitted[TwoTowerState]) -> Float32:
        """float32[items, factors], of length 1."""
        state, catalogue = fitted.state, fitted.catalogue
        codes = np.arange(catalogue.n_items, dtype=np.int32)
        items = state.pipeline.item(catalogue.item_features, codes)
        tower = _tower(fitted, "item", state.item_weights, state.item_biases)
        return _unit(tower(_inputs(items, state.factors)))


def _inputs(encoded: Encoded, factors: Float32) -> Float32:
    """float32[n, w]: the vectors of the fields, then the numbers."""
    return np.hstack([*field_vectors(encoded, factors), encoded.dense])


def _tower(
    fitted: Fitted[TwoTowerState], side: str, weights: tuple[Float32, ...], biases: tuple[Float32, ...]
) -> Mlp:
    tower: Mlp = fitted.memo.setdefault(f"{side} tower", Mlp.of(weights, biases))
    return tower


def _unit(vectors: Float32) -> Float32:
    """The vectors with length 1."""
    norms = np.sqrt(row_sums(np.square(vectors)))
    return np.divide(vectors, np.maximum(norms, _LEAST_NORM)[:, None], dtype=np.float32)
