"""Matrix factorization of ratings: R ≈ μ + b_u + b_i + U·Vᵀ over the observed entries only."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.ridge import ridge
from tastemaker._native.sgd import MAX_FACTORS, Blocks, Factors, cut_into_blocks, sgd_epoch
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, FitError
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import between, flag, whole
from tastemaker.models.new_items import with_new_items
from tastemaker.models.zeros import with_zeros
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["MatrixFactorization", "MatrixFactorizationState"]

_START = 0.01  # deviation of the first factors: so small that only what many ratings agree on grows out of the noise
_LAST_RATE = 0.05  # the learning rate at the end, as a share of the one at the start
_LEAST_PENALTY = 1e-6  # keeps folding in solvable where regularization is 0
_PAIRS_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class MatrixFactorizationState(State):
    """What is learned, for standardized ratings: a rating is mean + spread * (b_u + b_i + <U_u, V_i>).

    Attributes:
        mean, spread: mean and standard deviation of the training ratings (mean 0 without biases).
        user_factors, item_factors: float32[users or items, factors]; zeros for those without a rating.
        user_bias, item_bias: float32[users or items].
        epochs: how many epochs it took to learn them.
    """

    mean: float
    spread: float
    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    user_bias: NDArray[np.float32]
    item_bias: NDArray[np.float32]
    epochs: int


@dataclass(eq=False, kw_only=True)
class MatrixFactorization(DotProduct[MatrixFactorizationState]):
    """Users and items as vectors whose inner product, with the biases of both, is the rating (Koren, Bell and Volinsky, 2009).

    Learned by stochastic gradient descent over the ratings there are; the learning rate falls in a straight line to a twentieth.
    Ratings are standardized first, so the defaults suit any rating scale. A weight of 2 counts like the rating given twice;
    only the ratio of weights matters. Same seed, same bits, with any number of threads.

    Implicit feedback is learned as the matrix of ones and zeros: one pair that was not observed is drawn for each that was.

    Lists are ranked by the plain score; :meth:`predict` keeps it within the rating scale. Known users score with the factors
    that were trained; a given history is folded in: the user's bias and factors are the ridge regression of the ratings
    on the item factors.

    Args:
        factors: length of the vectors.
        epochs: passes over the ratings, the most with ``early_stopping``.
        learning_rate: of the first epoch.
        regularization: L2 on factors and biases, per rating.
        biases: learn the mean and the biases; without them R ≈ U·Vᵀ.
        early_stopping: hold out ratings, stop when their RMSE has not improved for ``patience`` epochs, keep the best epoch.
        validation_fraction: the share of ratings held out when stopping early; they are not learned from.
        patience: epochs without improvement that are let pass. The factors start near zero and need several epochs to grow,
            in which only the biases learn; a patience shorter than that may keep little more than the biases.
        seed: of the first factors, the order of learning and what is held out.

    >>> import polars as pl
    >>> ratings = pl.DataFrame({
    ...     "user": ["Alice", "Alice", "Bob", "Bob", "Chris", "Chris"],
    ...     "item": ["Squid Game", "The Crown", "The Crown", "The Office", "Squid Game", "The Office"],
    ...     "rating": [5, 2, 3, 4, 2, 2]})
    >>> model = MatrixFactorization(factors=2).fit(Dataset.from_interactions(ratings, rating="rating"))
    >>> bool(2 <= model.predict(["Bob"], ["Squid Game"])[0] <= 5)
    True
    """

    name: ClassVar[str] = "mf"
    score_kind: ClassVar[str] = "rating"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is folded in from a history, and without one gets the mean rating and the items' biases; "
        "an item without ratings gets the user's mean, until fold_in_items() brings ratings."
    )
    state_type: ClassVar[type[State]] = MatrixFactorizationState

    factors: int = 64
    epochs: int = 25
    learning_rate: float = 0.03
    regularization: float = 0.05
    biases: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        between("factors", self.factors, high=MAX_FACTORS)
        whole("epochs", self.epochs)
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        flag("biases", self.biases)
        flag("early_stopping", self.early_stopping)
        between("validation_fraction", self.validation_fraction, high=0.9, open_low=True)
        whole("patience", self.patience)
        whole("seed", self.seed, low=0)

    def fold_in_items(self, data: Dataset) -> Self:
        """A copy of this model that also knows the new items of ``data``; nothing else changes.

        The bias and factors of a new item are the ridge regression of its ratings on the factors of the users who gave them.
        Ratings by unknown users, and of items that the model knows already, are left out.

        Args:
            data: ratings of the new items by known users, with the items' features if the model's items have any.

        Raises:
            DataError: if ``data`` or the training data have no ratings, or if its ids are of another type.
        """
        fitted = self._fitted
        if not (data.schema.explicit and fitted.catalogue.schema.explicit):
            raise DataError(
                "fold_in_items needs ratings: name their column with rating=... in the data and in the training data"
            )
        catalogue, ratings = with_new_items(fitted.catalogue, data)
        state = fitted.state
        bias, factors = self._fold_in(state, ratings, state.user_factors, state.user_bias)
        model = replace(self)
        model._hold(
            Fitted(
                replace(
                    state,
                    item_factors=np.concatenate([state.item_factors, factors]),
                    item_bias=np.concatenate([state.item_bias, bias]),
                ),
                catalogue,
            )
        )
        return model

    def _fit(self, data: Dataset, progress: Progress) -> MatrixFactorizationState:
        rng = np.random.default_rng(self.seed)
        ratings = data if data.schema.explicit else with_zeros(data, rng)
        training, validation = self._split(ratings, rng)
        weights = _relative_weights(training)
        standard = _Standard.of(training.value, weights, centre=self.biases)
        blocks = cut_into_blocks(
            training.user,
            training.item,
            standard.apply(training.value),
            weights,
            n_users=data.n_users,
            n_items=data.n_items,
            rng=rng,
        )
        learned, epochs = self._learn(blocks, self._start(training, rng), standard, validation, progress)
        return MatrixFactorizationState(
            mean=standard.mean,
            spread=standard.spread,
            user_factors=learned.users[:, : self.factors].copy(),
            item_factors=learned.items[:, : self.factors].copy(),
            user_bias=learned.user_bias,
            item_bias=learned.item_bias,
            epochs=epochs,
        )

    def _split(self, data: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset | None]:
        """What to learn from, and what is held out to stop early (None where nothing is)."""
        held_out = int(len(data) * self.validation_fraction) if self.early_stopping else 0
        if held_out == 0:
            return data, None
        chosen = np.zeros(len(data), np.bool_)
        chosen[rng.choice(len(data), held_out, replace=False)] = True
        return data.select(~chosen), data.select(chosen)

    def _start(self, data: Dataset, rng: np.random.Generator) -> Factors:
        """Small random factors for who and what has a rating; the others stay zero."""
        factors = Factors.zeros(data.n_users, data.n_items, self.factors)
        for rows, codes in ((factors.users, data.user), (factors.items, data.item)):
            rows[:, : self.factors] = rng.normal(0, _START, (len(rows), self.factors))
            rows[np.bincount(codes, minlength=len(rows)) == 0] = 0
        return factors

    def _learn(
        self,
        blocks: Blocks,
        factors: Factors,
        standard: "_Standard",
        validation: Dataset | None,
        progress: Progress,
    ) -> tuple[Factors, int]:
        """The factors after the last epoch, or after the best one with early stopping, and its number."""
        best, best_rmse, best_epoch = factors, math.inf, self.epochs
        with progress.start(f"fit {self.name}", total=self.epochs, unit="epoch") as task:
            for epoch in range(1, self.epochs + 1):
                rmse = standard.spread * self._run_epoch(blocks, factors, epoch)
                if validation is None:
                    task.advance(1, rmse=rmse)
                    continue
                validation_rmse = standard.rmse(factors, validation)
                task.advance(1, rmse=rmse, validation_rmse=validation_rmse)
                if validation_rmse < best_rmse:
                    best, best_rmse, best_epoch = factors.copy(), validation_rmse, epoch
                elif epoch - best_epoch >= self.patience:
                    break
        return best, best_epoch

    def _run_epoch(self, blocks: Blocks, factors: Factors, epoch: int) -> float:
        """Run epoch 1, 2, …; the training RMSE in standardized ratings."""
        done = (epoch - 1) / max(1, self.epochs - 1)
        loss = sgd_epoch(
            blocks,
            factors,
            learning_rate=self.learning_rate * (1 - (1 - _LAST_RATE) * done),
            regularization=self.regularization,
            biased=self.biases,
        )
        if not math.isfinite(loss):
            raise FitError(
                f"mf diverged in epoch {epoch} of {self.epochs} with learning_rate={self.learning_rate}; "
                f"give a smaller one (default {type(self).learning_rate})"
            )
        return math.sqrt(loss / len(blocks.values))

    def _fold_in(
        self,
        state: MatrixFactorizationState,
        ratings: History,
        factors: NDArray[np.float32],
        bias: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Biases float32[q] and factors float32[q, f] of new rows, given the other side's factors and bias."""
        standard = _Standard(state.mean, state.spread)
        solutions = ridge(
            ratings.indptr,
            ratings.indices,
            standard.apply(ratings.value) - bias[ratings.indices],
            ratings.weight,
            self._design(factors),
            max(self.regularization, _LEAST_PENALTY),
        )
        if self.biases:
            return solutions[:, 0], solutions[:, 1:]
        return np.zeros(len(solutions), np.float32), solutions

    def _design(self, factors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a new row's bias and factors are multiplied with: a column of ones, then the factors."""
        if not self.biases:
            return factors
        return np.hstack([np.ones((len(factors), 1), np.float32), factors])

    def _query_vectors(
        self, fitted: Fitted[MatrixFactorizationState], queries: Queries
    ) -> NDArray[np.float32]:
        """float32[q, factors + 2]: spread * (factors, 1), then the query's mean rating."""
        state = fitted.state
        trained = (queries.users >= 0) & ~queries.given
        bias = np.where(trained, state.user_bias[queries.users], np.float32(0))
        factors = np.where(trained[:, None], state.user_factors[queries.users], np.float32(0))
        new = np.flatnonzero(~trained & (queries.history.lengths > 0))
        if len(new):
            history = queries.history.take(new)
            bias[new], factors[new] = self._fold_in(state, history, state.item_factors, state.item_bias)
        ones = np.ones((len(queries), 1), np.float32)
        spread = np.float32(state.spread)
        return np.hstack([factors * spread, ones * spread, (bias * spread + np.float32(state.mean))[:, None]])

    def _item_vectors(self, fitted: Fitted[MatrixFactorizationState]) -> NDArray[np.float32]:
        """float32[items, factors + 2]: factors, bias, and a one against the query's mean rating."""
        return _item_rows(fitted.state, slice(None))

    def _predict(
        self,
        fitted: Fitted[MatrixFactorizationState],
        queries: Queries,
        rows: NDArray[np.integer],
        items: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        vectors = self._query_vectors(fitted, queries)
        scores = np.empty(len(rows), np.float32)
        for at in range(0, len(rows), _PAIRS_AT_ONCE):
            part = slice(at, at + _PAIRS_AT_ONCE)
            scores[part] = np.einsum("nf,nf->n", vectors[rows[part]], _item_rows(fitted.state, items[part]))
        low, high = fitted.catalogue.schema.scale or (-math.inf, math.inf)
        return scores.clip(np.float32(low), np.float32(high))

    def _diversity_vectors(self, fitted: Fitted[MatrixFactorizationState]) -> NDArray[np.float32]:
        """The item factors, without the biases: their cosine says how alike two items are."""
        return fitted.state.item_factors

    def _explain(self, fitted: Fitted[MatrixFactorizationState], query: Queries, item: int) -> list[Reason]:
        """What each rating of the history adds, by folding the history in, which is linear in the ratings.

        With A the matrix of the normal equations: spread * x_itemᵀ A⁻¹ x_j w_j target_j. Over the history they sum to the
        folded-in score less the mean and the item's bias.
        """
        state, history = fitted.state, query.history
        if not len(history.indices):
            return []
        design = self._design(state.item_factors).astype(np.float64)
        x, w = design[history.indices], history.weight.astype(np.float64)
        penalty = max(self.regularization, _LEAST_PENALTY) * w.sum()
        gram = (x.T * w) @ x + penalty * np.eye(x.shape[1])
        standard = _Standard(state.mean, state.spread)
        targets = standard.apply(history.value) - state.item_bias[history.indices]
        parts = state.spread * w * targets * (x @ np.linalg.solve(gram, design[item]))
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(history.indices[j]), float(parts[j])) for j in order]


@dataclass(frozen=True)
class _Standard:
    """Ratings to mean 0 and deviation 1, and back."""

    mean: float
    spread: float

    @classmethod
    def of(cls, values: NDArray[np.float32], weights: NDArray[np.float32], *, centre: bool) -> "_Standard":
        """Weighted mean (0 if not to be centred on) and deviation from it (1 if there is none)."""
        mean = float(np.average(values.astype(np.float64), weights=weights)) if centre else 0.0
        variance = float(np.average((values.astype(np.float64) - mean) ** 2, weights=weights))
        return cls(mean, math.sqrt(variance) or 1.0)

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n], standardized."""
        return ((values - self.mean) / self.spread).astype(np.float32)

    def rmse(self, factors: Factors, data: Dataset) -> float:
        """Of the predictions for ``data``, within its rating scale."""
        products = np.einsum("nf,nf->n", factors.users[data.user], factors.items[data.item])
        standardized = factors.user_bias[data.user] + factors.item_bias[data.item] + products
        low, high = data.schema.scale or (-math.inf, math.inf)
        errors = (self.mean + self.spread * standardized).clip(low, high) - data.value
        return math.sqrt(float(np.mean(errors.astype(np.float64) ** 2)))


def _item_rows(state: MatrixFactorizationState, items: NDArray[np.int32] | slice) -> NDArray[np.float32]:
    bias = state.item_bias[items, None]
    return np.hstack([state.item_factors[items], bias, np.ones_like(bias)])


def _relative_weights(data: Dataset) -> NDArray[np.float32]:
    """The weights with mean 1."""
    mean = data.weight.mean(dtype=np.float64) if len(data) else 0.0
    if mean <= 0:
        raise DataError(f"mf needs ratings with a weight above 0, and {data.schema.name} has none")
    return (data.weight / mean).astype(np.float32)
