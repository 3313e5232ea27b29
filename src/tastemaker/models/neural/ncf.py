"""Neural collaborative filtering: what GMF, MLP and NeuMF share (He, Liao, Zhang, Nie, Hu and Chua, WWW 2017).

    GMF     s(u, i) = h·(p_u ⊙ q_i) + b
    MLP     s(u, i) = g·φ_L(… φ_1([p'_u | q'_i])) + b,  φ_l(x) = max(0, W_l x + b_l)
    NeuMF   s(u, i) = h·(p_u ⊙ q_i) + g·φ_L(… φ_1([p'_u | q'_i])) + b, with vectors p, q and p', q' of their own

σ(s) is the probability that u takes i. Learned by Adam on logistic loss with every interaction as a positive and some items that
the user has not taken, drawn afresh in every epoch, as negatives; NeuMF by plain SGD where GMF and MLP were learned alone first.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import a_file, between, stopping, whole
from tastemaker.models.neural.layers import Mlp, PairMlp
from tastemaker.models.similarity import cosines
from tastemaker.progress import Progress

__all__ = ["NCF", "NCFState", "Shape", "a_tower", "scores_of"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Shape:
    """How wide the parts of the network are.

    Attributes:
        factors: of the product's vectors; 0 without a product.
        tower: numbers that go into the tower, half of them a user's and half an item's, and the outputs of its layers; empty
            without a tower.
    """

    factors: int
    tower: tuple[int, ...]

    @property
    def half(self) -> int:
        """The length of the tower's vectors."""
        return self.tower[0] // 2 if self.tower else 0


@dataclass(frozen=True, eq=False)
class NCFState(State):
    """What is learned; tables of width 0 and no layers where a model lacks the part.

    Attributes:
        user_factors, item_factors: float32[users or items, factors], p and q.
        head: float32[factors], h.
        user_inputs, item_inputs: float32[users or items, tower[0] / 2], p' and q'.
        weights: float32[out, in] of each layer of the tower, and g as the last.
        biases: float32[out] of each; 0 for g.
        bias: b.
        known: bool[items], whether the item has an interaction.
    """

    user_factors: Float32
    item_factors: Float32
    head: Float32
    user_inputs: Float32
    item_inputs: Float32
    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]
    bias: float
    known: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A state with what is computed once an item."""

    state: NCFState

    @cached_property
    def product(self) -> PackedItems:
        """The items of the product, with b; NaN for an item without interactions."""
        bias = np.where(self.state.known, np.float32(self.state.bias), np.float32(np.nan))
        return PackedItems(self.state.item_factors, bias)

    @cached_property
    def tower(self) -> PairMlp:
        return PairMlp.of(Mlp.of(self.state.weights, self.state.biases), self.state.user_inputs.shape[1])

    @cached_property
    def items(self) -> PackedItems:
        """What each item adds to the tower's first layer."""
        return PackedItems(self.tower.items(self.state.item_inputs))

    def score(self, users: NDArray[np.integer]) -> Float32:
        """float32[users, items]."""
        state = self.state
        scores = dot_scores(state.user_factors[users] * state.head, self.product)
        if state.weights:
            self.tower.score(self.tower.queries(state.user_inputs[users]), self.items, scores)
        return scores


def scores_of(state: NCFState, users: NDArray[np.integer]) -> Float32:
    """float32[users, items]: s(u, i) for these users; NaN for items without interactions."""
    return _Prepared(state).score(users)


@dataclass(eq=False, kw_only=True)
class NCF(Recommender[NCFState]):
    """What the three models share: everything but the shape of the network.

    Known users are scored with their own vectors. Nobody else can be: a new user has no vector, and the networks give none from a
    history; such a query gets the most popular items. Every interaction counts as taken, whatever its rating; a weight of 2
    counts twice in the loss, and only the ratio of weights matters. Fitting needs torch, answering does not.

    On a CPU the same seed gives the same bits, and so does a fit that goes on from its ``checkpoint`` after a kill.

    Args:
        epochs: passes over the interactions.
        learning_rate: of Adam.
        decay: whether it falls in equal steps from epoch to epoch, to 1 / epochs of it in the last.
        batch_size: examples in a step, positives and negatives together.
        regularization: L2 on all weights at every step.
        negatives: items drawn for each interaction, in every epoch anew.
        validation_fraction: the share of interactions that are held out to tell the best epoch; 0 keeps the last.
        patience: stop after so many epochs that were not better.
        seed: of the first weights, the order and the negatives.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        checkpoint: a file for the state after each epoch, from which a fit that was killed goes on; NeuMF's pre-training
            has files of its own beside it.
    """

    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user gets popular items, since the network has no vector for them; an item without interactions has no "
        "score and is never recommended."
    )
    state_type: ClassVar[type[State]] = NCFState

    epochs: int = 20
    learning_rate: float = 0.001
    decay: bool = False
    batch_size: int = 256
    regularization: float = 0.0
    negatives: int = 4
    validation_fraction: float = 0.0
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    checkpoint: str | Path | None = None

    def __post_init__(self) -> None:
        whole("epochs", self.epochs)
        between("learning_rate", self.learning_rate, open_low=True)
        whole("batch_size", self.batch_size)
        between("regularization", self.regularization)
        whole("negatives", self.negatives)
        whole("seed", self.seed, low=0)
        stopping(self.patience, self.validation_fraction)
        a_file("checkpoint", self.checkpoint)

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """How wide the parts of the network are."""

    @property
    def epochs_alone(self) -> int:
        """Epochs in which the product and the tower are each learned alone first."""
        return 0

    def saved_parameters(self) -> dict[str, Any]:
        """The hyper-parameters without the checkpoint, which is a file of one fit."""
        return {name: value for name, value in self.parameters().items() if name != "checkpoint"}

    def _fit(self, data: Dataset, progress: Progress) -> NCFState:
        if not len(data) or not data.weight.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        require("torch", "neural")
        from tastemaker.models.neural.ncf_training import learn

        return learn(self, data, progress)

    def _score(self, fitted: Fitted[NCFState], queries: Queries) -> Float32:
        return self._prepared(fitted).score(queries.users)

    def _prepared(self, fitted: Fitted[NCFState]) -> _Prepared:
        prepared: _Prepared = fitted.memo.setdefault("prepared", _Prepared(fitted.state))
        return prepared

    def _diversity_vectors(self, fitted: Fitted[NCFState]) -> Float32:
        """All that the network knows of an item: q ⊙ h and q'."""
        state = fitted.state
        return np.hstack([state.item_factors * state.head, state.item_inputs])

    def _similar(self, fitted: Fitted[NCFState], seeds: NDArray[np.int32]) -> Float32:
        """Cosine of the item vectors; NaN for an item without interactions."""
        vectors = np.where(fitted.state.known[:, None], self._diversity_vectors(fitted), np.float32(0))
        return cosines(vectors, seeds)


def a_tower(tower: object) -> tuple[int, ...]:
    """The sizes of a tower, checked: whole numbers, the first one even.

    >>> a_tower([64, 32, 16])
    (64, 32, 16)
    """
    sizes = tuple(tower) if isinstance(tower, list | tuple) else ()
    if len(sizes) < 2:
        raise ValueError(f"tower must be two or more sizes, as (64, 32, 16, 8), got {tower!r}")
    for size in sizes:
        whole("tower", size)
    if sizes[0] % 2:
        raise ValueError(
            f"tower must start with an even number, half of it for users and half for items, got {sizes[0]}"
        )
    return sizes
