"""Implicit feedback by alternating least squares: X·Yᵀ near 1 where there was an interaction, near 0 where there was none."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.als import MAX_FACTORS, Loss, Solver, padded, solve_rows, turn_to_eigenbasis
from tastemaker._native.neighbors import Csr
from tastemaker.data.columns import is_constant, tally
from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import between, one_of, whole
from tastemaker.models.new_interactions import changed, with_new_interactions
from tastemaker.models.new_items import with_new_items
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["ImplicitALS", "ImplicitALSState"]

_START = 0.1  # deviation of a first factor, times the root of their number
_UPDATE_STEPS = 3  # of conjugate gradients; new rows start from nothing
_UPDATE_COST = 0.03  # of the interactions that the users of a fit go through
_EXACT = 2e10  # multiplications of a fit, about a second: up to here an exact solution costs nobody time


@dataclass(frozen=True, eq=False)
class ImplicitALSState(State):
    """What is learned. The score of a pair is the inner product of its factors.

    Attributes:
        user_factors, item_factors: float32[users or items, factors]; zeros for those without interactions. The Gram matrix
            of the item factors is diagonal.
        eigenvalues: float32[factors], that diagonal.
        items: how many items it counts; those folded in later are not among them.
        history: float64[epochs], the loss after each epoch.
    """

    user_factors: NDArray[np.float32]
    item_factors: NDArray[np.float32]
    eigenvalues: NDArray[np.float32]
    items: int
    history: NDArray[np.float64]


@dataclass(eq=False, kw_only=True)
class ImplicitALS(DotProduct[ImplicitALSState]):
    """Users and items as vectors whose inner product is near 1 for what was chosen and near 0 for the rest.

    Minimizes, over the interactions S with their weights w and over all pairs of a user and an item,

        sum_S w_ui (<x_u, y_i> - 1)^2 + unobserved_weight * sum_all <x_u, y_i>^2 + sum_u p_u |x_u|^2 + sum_i p_i |y_i|^2,
        p_u = regularization * (sum_i w_ui + unobserved_weight * items) ^ regularization_exponent,  and p_i likewise

    (Rendle, Krichene, Zhang and Koren, 2022; ``loss="hu"`` leaves observed pairs out of the second sum, as Hu, Koren and Volinsky
    did in 2008). An epoch solves for all items, then for all users; the users of the last epoch are solved exactly, so that
    folding in a user's history gives the factors that were learned, to the bit. A weight of 2 counts like two interactions.
    Ratings count as interactions whatever they say; give them weights, or leave out the low ones. Same seed, same bits, with
    any number of threads.

    Args:
        factors: length of the vectors.
        epochs: how often each side is solved.
        regularization: L2, see above.
        regularization_exponent: 0: the same penalty for all; 1: in proportion to how much there is to fit.
        unobserved_weight: how much a pair without an interaction counts; the larger, the more popular the lists.
        loss: ``"ials"`` or ``"hu"``, see above.
        solver: ``"cg"``: two steps of conjugate gradients, preconditioned, from where the row stood; ``"cholesky"``: exactly;
            ``"subspace"``: 64 factors at a time exactly (iALS++); ``"auto"``: exactly where the whole fit takes
            about a second by factors and data, beyond that ``cg``, which on every data set measured (8 to 512 factors) came to
            the same loss soonest.
        seed: of the first factors.

    >>> data = Dataset.from_interactions({"user": list("aabbcddeef"),
    ...     "item": ["tea", "jam", "tea", "jam", "tea", "ham", "egg", "ham", "egg", "ham"]})
    >>> ImplicitALS(factors=2).fit(data).recommend(["c", "f"], k=1).lists()
    [['jam'], ['egg']]
    """

    name: ClassVar[str] = "als"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is folded in from a history, and without one gets the most popular items; an item without interactions "
        "is never recommended, until fold_in_items() or update() brings some."
    )
    state_type: ClassVar[type[State]] = ImplicitALSState

    factors: int = 64
    epochs: int = 12
    regularization: float = 0.005
    regularization_exponent: float = 1.0
    unobserved_weight: float = 0.1
    loss: Literal["ials", "hu"] = "ials"
    solver: Literal["auto", "cg", "cholesky", "subspace"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        whole("factors", self.factors)
        between("factors", self.factors, high=MAX_FACTORS)
        whole("epochs", self.epochs)
        between("regularization", self.regularization, open_low=True)
        between("regularization_exponent", self.regularization_exponent, high=2)
        between("unobserved_weight", self.unobserved_weight)
        one_of("loss", self.loss, ("ials", "hu"))
        one_of("solver", self.solver, ("auto", "cg", "cholesky", "subspace"))
        whole("seed", self.seed, low=0)

    def fold_in_items(self, data: Dataset) -> Self:
        """A copy of this model that also knows the new items of ``data``; nothing else changes.

        The factors of a new item are what minimizes the loss with the factors of the users as they are. Interactions of
        unknown users, and with items that the model knows already, are left out.

        Args:
            data: interactions of known users with the new items, with the items' features if the model's items have any.

        Raises:
            DataError: if its ids are of another type.
        """
        fitted = self._fitted
        catalogue, by_item = with_new_items(fitted.catalogue, data)
        state = fitted.state
        users = padded(state.user_factors)
        eigenvalues, basis = turn_to_eigenbasis(users)
        new = np.zeros((len(by_item), users.shape[1]), np.float32)
        interactions = _weighted(by_item, catalogue.schema)
        solve_rows(interactions, users, eigenvalues, new, self._loss, solver="cholesky")
        new = (new @ basis.T)[:, : self.factors]
        model = replace(self)
        model._hold(Fitted(replace(state, item_factors=np.concatenate([state.item_factors, new])), catalogue))
        return model

    def update(self, data: Dataset) -> Self:
        """A copy of this model that has also learned from new interactions, at a fraction of the cost of a refit.

        First new users are folded in; then the items that the new interactions change much are solved for, with the users as
        they are; then users who have new ones, with the items as they are by then; the most changed come first. Rows of which a
        twentieth or more is new, new users and new items among them, are always solved for; other users as far as that costs no
        more than a small part of a fit, and other items stay. Of a repeated pair the weights are added up. With 1 % new
        interactions of ml-1m the NDCG@10 was a refit's to a few thousandths, which is also how far refits with other seeds are
        apart (``benchmarks/update.py``); refit from time to time, since what stays where it is drifts away from what a refit
        would give.

        Args:
            data: interactions alone; users and items that are new to the model may be among them.

        Raises:
            DataError: if its ids are of another type, or it lacks the ratings or times that the model was fitted on.
        """
        fitted = self._fitted
        new = with_new_interactions(fitted.catalogue, data)
        catalogue, state = new.catalogue, fitted.state
        history = catalogue.history.timeless()
        users = padded(state.user_factors, catalogue.n_users)
        items = padded(state.item_factors, catalogue.n_items)
        rows = changed(
            np.bincount(new.came.indices, minlength=catalogue.n_items),
            tally(history.indices, catalogue.n_items),
        )
        eigenvalues = np.zeros(items.shape[1], np.float32)
        eigenvalues[: self.factors] = state.eigenvalues
        counted = state.items
        newcomers = np.arange(len(state.user_factors), catalogue.n_users)
        theirs = history.take(newcomers)  # so that items which only they have can be learned
        self._improve(theirs, catalogue.schema, users, newcomers, items, eigenvalues, counted)
        if len(rows):  # else the items stay, and so does their basis
            spectrum, _ = turn_to_eigenbasis(users, items)
            theirs = history.columns(rows, catalogue.n_items)
            self._improve(theirs, catalogue.schema, items, rows, users, spectrum, len(users))
            eigenvalues, _ = turn_to_eigenbasis(items, users)
            counted = len(items)
        rows = changed(new.came.lengths, history.lengths, _UPDATE_COST * self.epochs * len(history.indices))
        self._improve(history.take(rows), catalogue.schema, users, rows, items, eigenvalues, counted)
        model = replace(self)
        learned = self._state_of(users, items, eigenvalues, state.history)
        model._hold(Fitted(replace(learned, items=counted), catalogue))
        return model

    def _improve(
        self,
        history: History,
        schema: Schema,
        rows: NDArray[np.float32],
        which: NDArray[np.integer],
        fixed: NDArray[np.float32],
        eigenvalues: NDArray[np.float32],
        others: int,
    ) -> None:
        """Solve for some of ``rows``, in place; ``history`` is theirs, and ``others`` is as for `solve_rows`."""
        chosen = padded(rows[which])
        solve_rows(
            _weighted(history, schema),
            fixed,
            eigenvalues,
            chosen,
            self._loss,
            solver=self._solver_for(len(history.indices)),
            steps=_UPDATE_STEPS,
            others=others,
        )
        rows[which] = chosen

    def _state_of(
        self,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        eigenvalues: NDArray[np.float32],
        history: NDArray[np.float64],
    ) -> ImplicitALSState:
        """The state without the padding."""
        return ImplicitALSState(
            user_factors=np.ascontiguousarray(users[:, : self.factors]),
            item_factors=np.ascontiguousarray(items[:, : self.factors]),
            eigenvalues=eigenvalues[: self.factors],
            items=len(items),
            history=history,
        )

    def _fit(self, data: Dataset, progress: Progress) -> ImplicitALSState:
        by_user = _weighted(data.by_user, data.schema)
        if not len(by_user.values):
            raise DataError(f"als needs interactions with a weight above 0, and {data.schema.name} has none")
        by_item = _transposed(by_user, data.n_items)
        rng = np.random.default_rng(self.seed)
        users, items = self._start(by_user, rng), self._start(by_item, rng)
        eigenvalues, losses = self._learn(by_user, by_item, users, items, progress)
        return self._state_of(users, items, eigenvalues, losses)

    @property
    def _loss(self) -> Loss:
        return Loss(
            self.unobserved_weight, self.regularization, self.regularization_exponent, hu=self.loss == "hu"
        )

    def _solver_for(self, interactions: int) -> Solver:
        """The solver, where it is left to the factors and the number of interactions."""
        if self.solver == "auto":
            return "cholesky" if 2 * self.epochs * interactions * self.factors**2 <= _EXACT else "cg"
        return self.solver

    def _start(self, interactions: Csr, rng: np.random.Generator) -> NDArray[np.float32]:
        """Small random factors for every row that has interactions."""
        rows = rng.standard_normal((len(interactions.indptr) - 1, self.factors), np.float32)
        rows *= _START / math.sqrt(self.factors)
        rows[np.diff(interactions.indptr) == 0] = 0
        return padded(rows)

    def _learn(
        self,
        by_user: Csr,
        by_item: Csr,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        progress: Progress,
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Run all epochs, in place; the eigenvalues of the items' Gram matrix and the loss after each epoch."""
        losses = np.zeros(self.epochs)
        with progress.start(f"fit {self.name}", total=self.epochs, unit="epoch") as task:
            for epoch in range(self.epochs):
                eigenvalues, _ = turn_to_eigenbasis(users, items)
                solver = self._solver_for(len(by_user.indices))
                penalties = solve_rows(
                    by_item, users, eigenvalues, items, self._loss, solver=solver
                ).penalties
                eigenvalues, _ = turn_to_eigenbasis(items, users)
                solver = "cholesky" if epoch + 1 == self.epochs else solver
                solved = solve_rows(by_user, items, eigenvalues, users, self._loss, solver=solver)
                losses[epoch] = solved.loss + penalties @ np.einsum("if,if->i", items, items)
                task.advance(1, loss=losses[epoch])
        return eigenvalues, losses

    def _fold_in(self, fitted: Fitted[ImplicitALSState], history: History) -> NDArray[np.float32]:
        """float32[rows, factors]: exact factors for histories."""
        state = fitted.state
        if "padded" not in fitted.memo:
            fitted.memo["padded"] = padded(state.item_factors)
        items: NDArray[np.float32] = fitted.memo["padded"]
        eigenvalues = np.zeros(items.shape[1], np.float32)
        eigenvalues[: self.factors] = state.eigenvalues
        users = np.zeros((len(history), items.shape[1]), np.float32)
        interactions = _weighted(history, fitted.catalogue.schema)
        solve_rows(interactions, items, eigenvalues, users, self._loss, solver="cholesky", others=state.items)
        return users[:, : self.factors]

    def _query_vectors(self, fitted: Fitted[ImplicitALSState], queries: Queries) -> NDArray[np.float32]:
        """NaN for a new history without an item that has a vector."""
        vectors = fitted.state.user_factors[queries.users]
        new = np.flatnonzero((queries.users < 0) | queries.given)
        if len(new):
            history = queries.history.take(new)
            vectors[new] = self._fold_in(fitted, history)
            teaches = fitted.state.item_factors[history.indices].any(axis=1) & (history.weight > 0)
            vectors[new[history.counts(teaches) == 0]] = np.nan
        return vectors

    def _item_vectors(self, fitted: Fitted[ImplicitALSState]) -> NDArray[np.float32]:
        """The item factors; NaN for items without interactions."""
        vectors = fitted.state.item_factors
        empty = np.flatnonzero(np.abs(vectors).max(axis=1) == 0)
        if len(empty):
            vectors = vectors.copy()
            vectors[empty] = np.nan
        return vectors

    def _diversity_vectors(self, fitted: Fitted[ImplicitALSState]) -> NDArray[np.float32]:
        return fitted.state.item_factors

    def _explain(self, fitted: Fitted[ImplicitALSState], query: Queries, item: int) -> list[Reason]:
        """What each item of the history adds to the score: folding in is linear in what pulls the scores towards 1.

        With A the matrix of the normal equations: y_itemᵀ A⁻¹ y_k (w_k + offset). Over the history they sum to the score.
        """
        state, loss = fitted.state, self._loss
        history = _weighted(query.history, fitted.catalogue.schema)
        w = history.values.astype(np.float64)
        y = state.item_factors[history.indices].astype(np.float64)
        diagonal = loss.unobserved_weight * state.eigenvalues + loss.penalty(w.sum(), state.items)
        matrix = np.diag(diagonal) + (y.T * w) @ y
        parts = (w + loss.offset) * (y @ np.linalg.solve(matrix, state.item_factors[item].astype(np.float64)))
        order = np.argsort(-parts, kind="stable")
        return [Reason("item", int(history.indices[k]), float(parts[k])) for k in order]


def _weighted(history: History, schema: Schema) -> Csr:
    """The interactions that count, with their weights; where there are no ratings, a given value counts as so many."""
    single = schema.explicit or (is_constant(history.value) and history.value[:1] == 1)
    weights = np.ascontiguousarray(history.weight if single else history.weight * history.value)
    counts = np.asarray(weights > 0)
    if counts.all():
        return Csr(history.indptr, history.indices, weights)
    indptr = np.concatenate([[0], np.cumsum(counts)])[history.indptr]
    return Csr(indptr, history.indices[counts], weights[counts])


def _transposed(rows: Csr, columns: int) -> Csr:
    """The same interactions with a row for each column. Weights that are all the same are not held twice."""
    matrix = rows.scipy(columns).tocsc()
    values = rows.values if (rows.values == rows.values[:1]).all() else matrix.data
    return Csr(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), values)
