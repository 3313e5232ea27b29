"""AutoRec: an autoencoder that rebuilds a vector of ratings from itself, and fills in its blanks on the way."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.grouping import group_order
from tastemaker._native.linear import products_at
from tastemaker._native.neighbors import Csr
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import a_file, between, one_of, stopping, whole
from tastemaker.models.neural.auto_rec_state import (
    AutoRecState,
    decoders,
    hidden_layers,
    losses_without,
    row_means,
)
from tastemaker.models.zeros import with_zeros
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

if TYPE_CHECKING:
    from tastemaker.models.neural.auto_rec_training import Learned

__all__ = ["AutoRec", "AutoRecState"]

_LEAST_PENALTY = 1e-3  # keeps folding in solvable where regularization is 0
_MOST_REASONS = 20  # a popular item has thousands of raters


@dataclass(eq=False, kw_only=True)
class AutoRec(DotProduct[AutoRecState]):
    """h(x) = m(x) + W·σ(V·x + μ) + b, near x wherever x is known (Sedhain et al., "AutoRec", WWW 2015).

    x is the vector of an item's ratings (``kind="item"``, the more accurate on MovieLens) or of a user's (``kind="user"``) with 0
    in its blanks, so that it also tells who has rated what. m(x) is the mean of its ratings, drawn to the mean of all as by 5
    such ratings; the paper has no m. Minimized is the mean of (x − h(x))² over the known ratings alone, and
    λ/2 (‖V‖² + ‖W‖²), all in units of the standard deviation around m; W, V and the biases are learned by Adam over mini-batches
    of rows. With ``dropout`` the hidden layer loses units at random; with ``hide`` the network must rebuild ratings that it
    has not been shown (Strub et al., 2016), which is what it will be asked for.

    Either way a score is an inner product: of W(user) with an item's hidden layer, or of a user's hidden layer with
    W(item). Lists are ranked by the plain score; :meth:`predict` keeps it within the rating scale.

    A user's network takes any history as it is. An item's network knows users by their W: a given history is folded in, as
    the ridge regression of its ratings on the items' hidden layers that training would make of them, were the
    hidden layers to stay; it starts from the average user, whom someone without a history is taken for.

    Implicit feedback is learned as ones and zeros: one pair that was not observed is drawn for each that was, and only the
    ones are input. m is the mean of both there.

    Reasons are what the score would lose without one of the ratings that the network was shown: the user's own, or those of
    the item by others. The hidden layer is not linear, so that they do not add up to the score.

    Training needs torch (the extra ``neural``); a saved model loads and answers without it. Same seed, same bits on a CPU,
    with any number of threads.

    Args:
        kind: what is rebuilt, ``"item"`` or ``"user"`` vectors.
        factors: units of the hidden layer.
        epochs: passes over the rows, the most with ``patience``.
        learning_rate: of Adam.
        batch_size: rows a step.
        regularization: λ.
        dropout: the share of the hidden layer that is left out at random in training, each time anew.
        hide: the share of the ratings that is left out of the input at random, each time anew.
        validation_fraction: the share of ratings that is held out to tell the best epoch, which is kept; 0 keeps the last.
            They are not learned from.
        patience: stop after so many epochs that were not better on the held-out ratings.
        device: where torch trains: ``"auto"``, ``"cpu"``, ``"cuda"``.
        checkpoint: a file from which training that was broken off goes on; it is not saved with the model.
        seed: of the first weights, the order of learning, what is hidden and what is held out.
    """

    name: ClassVar[str] = "auto_rec"
    score_kind: ClassVar[str] = "rating"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is encoded (user kind) or folded in (item kind) from a history, and without one is taken for the average "
        "user. An item that nobody rated is not recommended; it is predicted as the network completes an empty vector."
    )
    state_type: ClassVar[type[State]] = AutoRecState

    kind: Literal["item", "user"] = "item"
    factors: int = 500
    epochs: int = 40
    learning_rate: float = 0.001
    batch_size: int = 256
    regularization: float = 0.0005
    dropout: float = 0.5
    hide: float = 0.0
    validation_fraction: float = 0.0
    patience: int | None = None
    device: str = "auto"
    checkpoint: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("item", "user"))
        for name in ("factors", "epochs", "batch_size"):
            whole(name, getattr(self, name))
        between("learning_rate", self.learning_rate, open_low=True)
        between("regularization", self.regularization)
        between("dropout", self.dropout, high=0.9)
        between("hide", self.hide, high=0.9)
        whole("seed", self.seed, low=0)
        stopping(self.patience, self.validation_fraction)
        a_file("checkpoint", self.checkpoint)

    def saved_parameters(self) -> dict[str, Any]:
        """The hyper-parameters without the checkpoint, which is a file of one fit."""
        return {name: value for name, value in self.parameters().items() if name != "checkpoint"}

    # Learning.

    def _fit(self, data: Dataset, progress: Progress) -> AutoRecState:
        require("torch", "neural")
        from tastemaker.models.neural.auto_rec_training import Ratings, learn

        rng = np.random.default_rng(self.seed)
        ratings = data if data.schema.explicit else with_zeros(data, rng)
        training, validation = self._split(ratings, rng)
        shown = training if data.schema.explicit else training.select(training.value > 0)
        mean, mean_shown = _mean(training), _mean(shown)
        base = row_means(self._rows(shown), mean, mean_shown)
        known = self._rows(training)
        spread = _spread(known, base)
        learned = learn(
            Ratings(
                shown=self._rows(shown),
                known=known,
                held_out=None if validation is None else self._rows(validation),
                base=base.astype(np.float32),
                spread=spread,
                scale=ratings.schema.scale,
            ),
            len(data.users if self.kind == "item" else data.items),
            self,
            identity=self._identity(data),
            progress=progress,
        )
        seen = np.bincount(self._columns(training), minlength=len(learned.decoder)) > 0
        _settle(learned, seen)
        return AutoRecState(
            mean=mean,
            mean_shown=mean_shown,
            spread=spread,
            encoder=learned.encoder,
            hidden_bias=learned.hidden_bias,
            decoder=learned.decoder,
            output_bias=learned.output_bias,
            penalty=self.regularization / 2 * len(training),
            epochs=learned.epochs,
        )

    def _split(self, data: Dataset, rng: np.random.Generator) -> tuple[Dataset, Dataset | None]:
        """What to learn from, and what is held out to tell the best epoch (None where nothing is)."""
        held_out = int(len(data) * self.validation_fraction)
        if held_out == 0:
            return data, None
        chosen = np.zeros(len(data), np.bool_)
        chosen[rng.choice(len(data), held_out, replace=False)] = True
        return data.select(~chosen), data.select(chosen)

    def _rows(self, data: Dataset) -> History:
        """One row for each vector to rebuild."""
        return data.by_item if self.kind == "item" else data.by_user

    def _columns(self, data: Dataset) -> NDArray[np.int32]:
        return data.user if self.kind == "item" else data.item

    def _identity(self, data: Dataset) -> str:
        """What a checkpoint must agree with: the data, and all hyper-parameters that the course depends on."""
        beside = ("epochs", "device", "checkpoint", "patience")
        return f"{data.fingerprint} { {n: v for n, v in self.parameters().items() if n not in beside} }"

    # Answering.

    def _query_vectors(self, fitted: Fitted[AutoRecState], queries: Queries) -> NDArray[np.float32]:
        """float32[q, factors + 2]: of a user the hidden layer, or the decoder."""
        if self.kind == "user":
            return hidden_layers(fitted.state, queries.history)
        users = decoders(fitted.state)
        average = users.mean(axis=0, dtype=np.float64)
        vectors = np.where(queries.users[:, None] >= 0, users[queries.users], average.astype(np.float32))
        for row in np.flatnonzero(queries.given | (queries.users < 0)):
            vectors[row] = self._fold_in(fitted, queries.history[row : row + 1], average)
        return vectors

    def _fold_in(
        self, fitted: Fitted[AutoRecState], history: History, average: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """float64[factors + 2]: average + D⁻¹Xᵀ(XD⁻¹Xᵀ + I)⁻¹(r − X·average), but for the 1 at the end, which stays.

        That is the ridge regression of the ratings r on the hidden layers X with the penalty D: λ, and what dropout adds to
        the squared errors on average, p / (1 − p) · Σ h² for each unit h.
        """
        x = self._rated(fitted)[history.indices].astype(np.float64)
        missed = history.value - x @ average
        units = x[:, :-1]
        penalty = np.full(units.shape[1], max(fitted.state.penalty, _LEAST_PENALTY))
        penalty[:-1] += self.dropout / (1 - self.dropout) * (units[:, :-1] ** 2).sum(axis=0)
        gram = (units / penalty) @ units.T
        gram.flat[:: len(units) + 1] += 1
        moved = average.copy()
        moved[:-1] += units.T @ np.linalg.solve(gram, missed) / penalty
        return moved

    def _item_vectors(self, fitted: Fitted[AutoRecState]) -> NDArray[np.float32]:
        """float32[items, factors + 2]; NaN for items that nobody rated."""
        vectors = self._rated(fitted)
        return np.where(fitted.catalogue.popularity[:, None] > 0, vectors, np.float32(np.nan))

    def _rated(self, fitted: Fitted[AutoRecState]) -> NDArray[np.float32]:
        """float32[items, factors + 2]: of each item the decoder, or the hidden layer; every item has its row."""
        if self.kind == "user":
            return decoders(fitted.state)
        if "hidden" not in fitted.memo:
            fitted.memo["hidden"] = hidden_layers(fitted.state, _by_item(fitted))
        hidden: NDArray[np.float32] = fitted.memo["hidden"]
        return hidden

    def _predict(
        self,
        fitted: Fitted[AutoRecState],
        queries: Queries,
        rows: NDArray[np.integer],
        items: NDArray[np.int32],
    ) -> NDArray[np.float32]:
        vectors, rated = self._query_vectors(fitted, queries), self._rated(fitted)
        order, indptr = group_order(rows.astype(np.int32), len(vectors))
        scores = np.empty(len(rows), np.float32)
        scores[order] = products_at(Csr(indptr, items[order], np.empty(0, np.float32)), vectors, rated)
        low, high = fitted.catalogue.schema.scale or (-math.inf, math.inf)
        return scores.clip(np.float32(low), np.float32(high))

    def _diversity_vectors(self, fitted: Fitted[AutoRecState]) -> NDArray[np.float32]:
        """float32[items, factors]: W, or the hidden layers around their mean; zeros for items that nobody rated."""
        vectors = self._rated(fitted)[:, :-2]
        rated = fitted.catalogue.popularity > 0
        if self.kind == "item":
            vectors = vectors - vectors[rated].mean(axis=0)
        return np.where(rated[:, None], vectors, np.float32(0))

    def _explain(self, fitted: Fitted[AutoRecState], query: Queries, item: int) -> list[Reason]:
        """What the score would lose without each of the ratings that it is made of, the largest first."""
        if self.kind == "user":
            history, decoder = query.history, decoders(fitted.state)[item]
        else:
            history, decoder = _by_item(fitted)[item : item + 1], self._query_vectors(fitted, query)[0]
        parts = losses_without(fitted.state, history, decoder)
        found = []
        for j in np.argsort(-np.abs(parts), kind="stable"):
            code, part = int(history.indices[j]), float(parts[j])
            if self.kind == "user":
                found.append(Reason("item", code, part))
            elif code != query.users[0]:
                found.append(Reason("user", code, part, _of_rater(fitted, float(history.value[j]))))
        return found[:_MOST_REASONS]


def _mean(data: Dataset) -> float:
    """The weighted mean of the ratings."""
    if data.weight.sum() <= 0:
        raise DataError(f"auto_rec needs ratings with a weight above 0, and {data.schema.name} has none")
    return float(np.average(data.value.astype(np.float64), weights=data.weight))


def _spread(rows: History, base: NDArray[np.float64]) -> float:
    """The weighted standard deviation of the ratings around the base of their row (1 if there is none)."""
    return math.sqrt(np.average((rows.value - base[rows.rows()]) ** 2, weights=rows.weight)) or 1.0


def _settle(learned: "Learned", seen: NDArray[np.bool_]) -> None:
    """Columns without a training rating, which kept their first weights: as an input nothing, as an output the average."""
    learned.encoder[~seen] = 0
    learned.decoder[~seen] = learned.decoder[seen].mean(axis=0)
    learned.output_bias[~seen] = learned.output_bias[seen].mean()


def _by_item(fitted: Fitted[AutoRecState]) -> History:
    """The stored ratings, one row an item."""
    if "by_item" not in fitted.memo:
        n = fitted.catalogue.n_items
        fitted.memo["by_item"] = fitted.catalogue.history.columns(np.arange(n), n)
    rows: History = fitted.memo["by_item"]
    return rows


def _of_rater(fitted: Fitted[AutoRecState], rating: float) -> str:
    return f"another user gave it {rating:g}" if fitted.catalogue.schema.explicit else "another user took it"
