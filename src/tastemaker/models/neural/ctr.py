"""What the click models share: features in, a probability out; fitted by torch, answered by NumPy and our own kernel."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import DotProduct, Fitted, Recommender, State
from tastemaker.models.checks import a_file, between, stopping, whole
from tastemaker.models.neural.click_state import Asked, ClickState, asked_by, crossed, item_terms, items_of
from tastemaker.models.neural.click_terms import Parts, row_sums
from tastemaker.models.neural.features import fit_features
from tastemaker.models.neural.layers import Mlp, PairMlp
from tastemaker.models.neural.specs import FeatureSpec, as_spec, names_of
from tastemaker.models.neural.wide import CrossScorer
from tastemaker.models.similarity import cosines
from tastemaker.progress import Progress

if TYPE_CHECKING:
    import torch

    from tastemaker.models.neural.click_network import ClickNetwork

__all__ = ["ClickModel", "DeepClickModel", "FactorModel", "hidden_sizes"]

_PAIRS_AT_ONCE = 1 << 14


@dataclass(eq=False, kw_only=True)
class ClickModel(Recommender[ClickState]):
    """P(click | user, item, context) = σ(logit), with a logit that adds up parts; see the models themselves.

    From click-through data (``Dataset.from_impressions``) it learns the labels, and :meth:`predict` is the probability of a
    click. From other data every interaction counts as a click, whatever its rating, and ``negatives`` items that the user has
    not taken are drawn anew for each in every epoch; the probability is then that of an interaction among those drawn.
    Lists are ranked by the logit, which is their score; :meth:`predict` gives probabilities.

    Args:
        features: what to look at; by default what the tables of the Dataset suggest (:meth:`FeatureSpec.infer`).
        epochs: passes over the data, at most.
        learning_rate: of Adam.
        batch_size: examples in a step.
        regularization: L2 on the weights and embeddings of the features, in every step on all of them.
        negatives: how many are drawn for each interaction; without meaning for impressions.
        validation_fraction: the share of rows held out of training, whose log loss tells the best epoch, which is kept.
        patience: stop after so many epochs without a better one; None: never. Needs a ``validation_fraction``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        checkpoint: a file; a fit that was cut off goes on from it, to the same bits on a CPU. Not saved with the model.
        seed: of the first weights, the order of learning, the negatives and what is held out.
    """

    score_kind: ClassVar[str] = "probability"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "features", "context"})
    cold_start: ClassVar[str] = (
        "A new user is scored by the features in the query, a new item by its features; ids that were not trained "
        "share one vector. A given history counts only for a HistoryBag among the features."
    )
    state_type: ClassVar[type[State]] = ClickState

    features: FeatureSpec | str | None = None
    epochs: int = 20
    learning_rate: float = 1e-3
    batch_size: int = 1024
    regularization: float = 0.0
    negatives: int = 4
    validation_fraction: float = 0.0
    patience: int | None = None
    device: str = "auto"
    checkpoint: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        self.features = as_spec(self.features)
        for name in ("epochs", "batch_size", "negatives"):
            whole(name, getattr(self, name))
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        whole("seed", self.seed, low=0)
        stopping(self.patience, self.validation_fraction)
        a_file("checkpoint", self.checkpoint)

    @property
    def context_columns(self) -> tuple[str, ...]:
        """The columns of the context among its features."""
        return tuple(names_of(self._fitted.state.pipeline.spec.context))

    def saved_parameters(self) -> dict[str, Any]:
        """The features as text; not the place of the checkpoint."""
        spec = self.features.to_json() if isinstance(self.features, FeatureSpec) else None
        return self.parameters() | {"features": spec, "checkpoint": None}

    @abstractmethod
    def _parts(self, crosses: int) -> Parts:
        """What the logit adds up, where the features have so many ``crosses``."""

    def _optimizers(self, network: "ClickNetwork") -> "Sequence[torch.optim.Optimizer]":
        """Each for its own parameters of the network; by default Adam, with L2 on the tables."""
        from tastemaker.models.neural.optimizers import dense_adam

        tables = network.parameters_of("linear", "dense_linear", "factors", "dense_factors", "crosses")
        others = network.parameters_of("bias", "deep")
        return [dense_adam(tables, self.learning_rate, self.regularization, undecayed=others)]

    def _fit(self, data: Dataset, progress: Progress) -> ClickState:
        require("torch", "neural")
        from tastemaker.models.neural.click_training import learn

        if not len(data) or not data.weight.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        spec = self.features if isinstance(self.features, FeatureSpec) else FeatureSpec.infer(data)
        return learn(self, data, fit_features(spec, data), progress)

    def _predict(
        self,
        fitted: Fitted[ClickState],
        queries: Queries,
        rows: NDArray[np.integer],
        items: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        """float32[n]: probabilities."""
        logits = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _PAIRS_AT_ONCE):
            at = slice(start, start + _PAIRS_AT_ONCE)
            distinct, place = np.unique(rows[at], return_inverse=True)
            asked = asked_by(fitted, queries.take(distinct), self._parts(len(fitted.state.crosses)))
            logits[at] = self._logits(fitted, asked, place, items[at])
        return np.asarray(expit(logits), np.float32)

    @abstractmethod
    def _logits(
        self, fitted: Fitted[ClickState], asked: Asked, rows: NDArray[np.int64], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """float32[n]: the logit of item ``items[j]`` for row ``rows[j]`` of ``asked``."""


class FactorModel(ClickModel, DotProduct[ClickState]):
    """A click model whose logit is an inner product: linear terms and products of two features at most.

    Of the features' vectors, with S_q their sum for whoever asks and S_i their sum for the item, every product of one of his
    with one of the item's is in <S_q, S_i>; the other products belong to one side alone, and travel with its linear terms.
    """

    def _query_vectors(self, fitted: Fitted[ClickState], queries: Queries) -> NDArray[np.float32]:
        return self._vectors_of(fitted, asked_by(fitted, queries, self._parts(0)))

    def _vectors_of(self, fitted: Fitted[ClickState], asked: Asked) -> NDArray[np.float32]:
        """float32[q, f + 2]: the sum of the vectors, what is the same for all items, and a one."""
        own = asked.terms.linear + asked.terms.pairs + np.float32(fitted.state.bias)
        return np.column_stack([asked.terms.total, own, np.ones_like(own)])

    def _item_vectors(self, fitted: Fitted[ClickState]) -> NDArray[np.float32]:
        """float32[items, f + 2]: the sum of the vectors, a one, and what is the same for all who ask."""
        found = item_terms(fitted, self._parts(0))
        own = found.linear + found.pairs
        return np.column_stack([found.total, np.ones_like(own), own])

    def _logits(
        self, fitted: Fitted[ClickState], asked: Asked, rows: NDArray[np.int64], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        queries = self._vectors_of(fitted, asked)
        return row_sums(queries[rows] * self.packed_items(fitted).items[items])


@dataclass(eq=False, kw_only=True)
class DeepClickModel(ClickModel):
    """A click model with a deep part: layers over the embeddings of all features.

    The first layer is split in two, computed once for whoever asks and once for each item.
    """

    def _score(self, fitted: Fitted[ClickState], queries: Queries) -> NDArray[np.float32]:
        """float32[queries, items]: logits."""
        parts = self._parts(len(fitted.state.crosses))
        asked, of_items = asked_by(fitted, queries, parts), item_terms(fitted, parts)
        own = asked.terms.linear + asked.terms.pairs + np.float32(fitted.state.bias)
        scores = own[:, None] + (of_items.linear + of_items.pairs)
        if parts.pairwise:
            scores += dot_scores(asked.terms.total, of_items.total)
        if parts.hidden:
            mlp = self._mlp(fitted)
            mlp.score(mlp.queries(asked.terms.deep), self._hidden_items(fitted), scores)
        if parts.crosses:
            scores += self._cross_scorer(fitted).scores(asked.users, asked.context).astype(np.float32)
        return scores

    def _logits(
        self, fitted: Fitted[ClickState], asked: Asked, rows: NDArray[np.int64], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        parts = self._parts(len(fitted.state.crosses))
        of_items = item_terms(fitted, parts)
        own = asked.terms.linear + asked.terms.pairs + np.float32(fitted.state.bias)
        logits = own[rows] + (of_items.linear[items] + of_items.pairs[items])
        if parts.pairwise:
            logits += row_sums(asked.terms.total[rows] * of_items.total[items])
        if parts.hidden:
            mlp = self._mlp(fitted)
            logits += mlp.pairs(mlp.queries(asked.terms.deep)[rows], self._hidden_items(fitted).items[items])
        if parts.crosses:
            logits += crossed(fitted, asked, rows, items)
        return np.asarray(logits, np.float32)

    def _cross_scorer(self, fitted: Fitted[ClickState]) -> CrossScorer:
        """The crosses of the items, prepared on first use."""
        if "crosses" not in fitted.memo:
            crosses, weights = fitted.state.pipeline.crosses, fitted.state.crosses
            fitted.memo["crosses"] = CrossScorer(crosses, weights, items_of(fitted))
        found: CrossScorer = fitted.memo["crosses"]
        return found

    def _mlp(self, fitted: Fitted[ClickState]) -> PairMlp:
        """The deep part, cut between the two sides on first use."""
        if "mlp" not in fitted.memo:
            mlp = Mlp.of(fitted.state.weights, fitted.state.biases)
            of_items = item_terms(fitted, self._parts(len(fitted.state.crosses))).deep.shape[1]
            fitted.memo["mlp"] = PairMlp.of(mlp, fitted.state.weights[0].shape[1] - of_items)
        found: PairMlp = fitted.memo["mlp"]
        return found

    def _hidden_items(self, fitted: Fitted[ClickState]) -> PackedItems:
        """What each item brings to the first layer, computed on first use."""
        if "hidden items" not in fitted.memo:
            of_items = item_terms(fitted, self._parts(len(fitted.state.crosses)))
            fitted.memo["hidden items"] = PackedItems(self._mlp(fitted).items(of_items.deep))
        found: PackedItems = fitted.memo["hidden items"]
        return found

    def _diversity_vectors(self, fitted: Fitted[ClickState]) -> NDArray[np.float32]:
        """What each item brings to the first layer of the deep part."""
        if not fitted.state.weights:
            return super()._diversity_vectors(fitted)
        return self._hidden_items(fitted).items

    def _similar(self, fitted: Fitted[ClickState], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        """Cosine of what the items bring to the first layer."""
        if not fitted.state.weights:
            return super()._similar(fitted, seeds)
        return cosines(self._hidden_items(fitted).items, seeds)


def hidden_sizes(hidden: object) -> tuple[int, ...]:
    """The widths of hidden layers, checked: one or more whole numbers.

    >>> hidden_sizes([128, 64])
    (128, 64)
    """
    sizes = tuple(hidden) if isinstance(hidden, list | tuple) else ()
    if not sizes:
        raise ValueError(f"hidden must be one or more widths of layers, as (128, 64), got {hidden!r}")
    for size in sizes:
        whole("hidden", size)
    return sizes
