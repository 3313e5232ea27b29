"""Bayesian personalized ranking: factors learned from comparisons, what a user took against what the user did not take."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.bpr import (
    Positives,
    Triples,
    bpr_epoch,
    bpr_fold_in,
    draw_triples,
    epoch_key,
    fold_in_steps,
)
from tastemaker._native.sgd import MAX_FACTORS, Factors
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import between, one_of, whole
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["BPR", "BPRState"]

Negatives = Literal["uniform", "popularity"]

_LAST_RATE = 0.05  # the learning rate at the end, as a share of the one at the start
_TRAINING, _FOLDING_IN = 0, 1  # two streams of draws from one seed


@dataclass(frozen=True, eq=False)
class BPRState(State):
    """What is learned: the score of item i for user u is b_i + <U_u, V_i>.

    Attributes:
        user_factors, item_factors: float32[users or items, factors]; zeros for those without an interaction.
        item_bias: float32[items].
        pool: int32[any], the items from which negatives are drawn, each place as likely as the other.
        known: bool[items], whether the item has an interaction.
        mean_weight: of the training interactions.
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    item_bias: NDArray[np.float32]
    pool: NDArray[np.int32]
    known: NDArray[np.bool_]
    mean_weight: float


@dataclass(eq=False, kw_only=True)
class BPR(DotProduct[BPRState]):
    """Bayesian personalized ranking by matrix factorization (Rendle, Freudenthaler, Gantner and Schmidt-Thieme, UAI 2009).

    Learned by stochastic gradient descent on −log σ(score(u, i) − score(u, j)) + L2, with one negative j, which u has not taken,
    drawn afresh for every observed pair (u, i) in every epoch. Only the order of scores has a meaning. Every interaction counts
    as taken, whatever its rating; a weight of 2 takes steps of twice the length, and only the ratio of weights matters. The
    learning rate falls in a straight line to a twentieth. Same seed, same bits, with any number of threads.

    Known users score with the factors that were trained. A given history is folded in by the same steps, as many epochs long,
    from zero and with the items left as they are. The draws depend on the seed and the place in the history alone.

    Args:
        factors: length of the vectors.
        epochs: passes over the interactions.
        learning_rate: of the first epoch.
        regularization: L2 on factors and item biases, per comparison.
        negatives: ``"uniform"``, all items that have an interaction alike, or ``"popularity"``, as often as they were taken:
            harder comparisons, and a model that favours popular items less.
        seed: of the first factors, the groups that learn together and the negatives.

    >>> bought = {"user": [1, 1, 2, 2, 3, 4, 4], "item": ["bread", "butter", "bread", "butter", "bread", "nails", "hammer"]}
    >>> model = BPR(factors=4, epochs=200, learning_rate=0.1).fit(Dataset.from_interactions(bought))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "bpr"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is folded in from a history, and without one gets the items by their biases; an item without "
        "interactions has no score and is never recommended."
    )
    state_type: ClassVar[type[State]] = BPRState

    factors: int = 64
    epochs: int = 50
    learning_rate: float = 0.1
    regularization: float = 0.01
    negatives: Negatives = "uniform"
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        between("factors", self.factors, high=MAX_FACTORS)
        whole("epochs", self.epochs)
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        one_of("negatives", self.negatives, get_args(Negatives))
        whole("seed", self.seed, low=0)

    def _fit(self, data: Dataset, progress: Progress) -> BPRState:
        mean = float(data.weight.mean(dtype=np.float64)) if len(data) else 0.0
        if mean <= 0:
            raise DataError(f"bpr needs interactions with a weight above 0, and {data.schema.name} has none")
        rng = np.random.default_rng(self.seed)
        taken = data.by_user
        counts = np.bincount(taken.indices, minlength=data.n_items)
        pool = taken.indices if self.negatives == "popularity" else np.flatnonzero(counts).astype(np.int32)
        weights = (taken.weight / np.float32(mean)).astype(np.float32)
        positives = Positives.of(taken.indptr, taken.indices, weights, pool, n_items=data.n_items, rng=rng)
        factors = self._start(taken.lengths, counts, rng)
        self._learn(positives, factors, progress)
        return BPRState(
            user_factors=factors.users[:, : self.factors].copy(),
            item_factors=factors.items[:, : self.factors].copy(),
            item_bias=factors.item_bias,
            pool=pool,
            known=counts > 0,
            mean_weight=mean,
        )

    def _start(
        self, lengths: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator
    ) -> Factors:
        """Small random factors for who and what has an interaction; the others stay zero."""
        factors = Factors.zeros(len(lengths), len(counts), self.factors)
        for rows, taken in ((factors.users, lengths), (factors.items, counts)):
            rows[:, : self.factors] = rng.normal(0, 0.1 / math.sqrt(self.factors), (len(rows), self.factors))
            rows[taken == 0] = 0
        return factors

    def _rates(self) -> NDArray[np.float32]:
        """float32[epochs]: the learning rate of each epoch."""
        return np.linspace(1, _LAST_RATE, self.epochs, dtype=np.float32) * np.float32(self.learning_rate)

    def _learn(self, positives: Positives, factors: Factors, progress: Progress) -> None:
        triples, total = Triples.empty(positives), max(float(positives.weights.sum(dtype=np.float64)), 1.0)
        with progress.start(f"fit {self.name}", total=self.epochs, unit="epoch") as task:
            for epoch, rate in enumerate(self._rates().tolist()):
                draw_triples(positives, epoch_key(self.seed, _TRAINING, epoch), triples)
                loss = bpr_epoch(
                    positives, triples, factors, learning_rate=rate, regularization=self.regularization
                )
                if not math.isfinite(loss):
                    raise ValueError(
                        f"bpr diverged in epoch {epoch + 1} of {self.epochs} with learning_rate={self.learning_rate}; "
                        f"give a smaller one (default {type(self).learning_rate})"
                    )
                task.advance(1, loss=loss / total)

    def _query_vectors(self, fitted: Fitted[BPRState], queries: Queries) -> NDArray[np.float32]:
        """float32[q, factors + 1]: the factors, and a one against the items' biases."""
        state = fitted.state
        trained = (queries.users >= 0) & ~queries.given
        factors = np.where(trained[:, None], state.user_factors[queries.users], np.float32(0))
        new = np.flatnonzero(~trained & (queries.history.lengths > 0))
        if len(new):
            factors[new] = self._fold_in(fitted, queries.history.take(new))
        return np.hstack([factors, np.ones((len(queries), 1), np.float32)])

    def _fold_in(self, fitted: Fitted[BPRState], history: History) -> NDArray[np.float32]:
        """float32[rows, factors]."""
        users = bpr_fold_in(
            history.indptr,
            history.indices,
            _relative_weights(fitted.state, history),
            fitted.state.pool,
            self._padded(fitted),
            keys=self._fold_in_keys(),
            rates=self._rates(),
            regularization=self.regularization,
        )
        return users[:, : self.factors]

    def _fold_in_keys(self) -> NDArray[np.uint64]:
        keys = [epoch_key(self.seed, _FOLDING_IN, epoch) for epoch in range(self.epochs)]
        return np.array(keys, np.uint64)

    def _padded(self, fitted: Fitted[BPRState]) -> Factors:
        """The items in the kernel's layout, made on first use."""
        if "padded" not in fitted.memo:
            padded = Factors.zeros(0, len(fitted.state.item_factors), self.factors)
            padded.items[:, : self.factors] = fitted.state.item_factors
            padded.item_bias[:] = fitted.state.item_bias
            fitted.memo["padded"] = padded
        factors: Factors = fitted.memo["padded"]
        return factors

    def _item_vectors(self, fitted: Fitted[BPRState]) -> NDArray[np.float32]:
        """float32[items, factors + 1]: factors and bias; NaN for an item without interactions."""
        state = fitted.state
        vectors = np.hstack([state.item_factors, state.item_bias[:, None]])
        vectors[~state.known] = np.nan
        return vectors

    def _diversity_vectors(self, fitted: Fitted[BPRState]) -> NDArray[np.float32]:
        """The item factors, without the biases: their cosine says how alike two items are."""
        return fitted.state.item_factors

    def _explain(self, fitted: Fitted[BPRState], query: Queries, item: int) -> list[Reason]:
        """What each item of the history adds, by folding it in: every step goes along V_i − V_j of one item i of the history.

        Over the history they sum to the folded-in score less the item's bias.
        """
        state, history = fitted.state, query.history
        steps = fold_in_steps(
            history.indices,
            _relative_weights(state, history),
            state.pool,
            self._padded(fitted),
            self._fold_in_keys(),
            self._rates(),
            self.regularization,
        )
        target = state.item_factors[item].astype(np.float64)
        parts = np.array([step[: self.factors] @ target for step in steps])
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(history.indices[n]), float(parts[n])) for n in order]


def _relative_weights(state: BPRState, history: History) -> NDArray[np.float32]:
    """The weights as in training; nothing is learned from an item that training has not seen."""
    weights = history.weight / np.float32(state.mean_weight)
    return np.where(state.known[history.indices], weights, np.float32(0)).astype(np.float32)
