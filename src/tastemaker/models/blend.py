"""Several models as one: each scores, the scores are made comparable query by query, and their weighted sum ranks."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import CannotAnswerError, DataError
from tastemaker.models import model_class
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import between, one_of
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["Blend", "BlendState", "normalized"]

Normalize = Literal["z-score", "min-max", "rank"]
Member = Recommender[Any] | str | Mapping[str, Any]

_RANK_OFFSET = 60  # of reciprocal rank fusion, as in the paper
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, eq=False)
class BlendState(State):
    """The fitted members by name, over one catalogue."""

    members: Mapping[str, Recommender[Any]]


@dataclass(eq=False, kw_only=True)
class Blend(Recommender[BlendState]):
    """A weighted sum of the scores of other models, score(q, i) = Σ weight · normalized(score of the model)(q, i).

    The scores of a query are normalized over the items that the model scores:

    ``"z-score"``
        less their mean, over their standard deviation.
    ``"min-max"``
        from 0 for the lowest to 1 for the highest.
    ``"rank"``
        1 / (60 + rank): reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), which looks at no score's size.

    An item that a model has no score for counts as its lowest (as 0 by rank). A model that cannot answer a query is left out of
    it; so the blend answers whatever any of its models answers. Fitting fits a copy of each model; :meth:`of` takes fitted ones.

    Args:
        models: by a name of your own, or a list, which goes by the registered names. A model may be given by its registered
            name or as ``{"model": name, hyper-parameter: value}``.
        weights: one a model, by name or in order; 1 unless given.
        normalize: how scores are made comparable.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]})
    >>> Blend(models=["item_knn", "popularity"], weights=[2, 1]).fit(data).recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "blend"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user or item gets what the models that can answer give; an item that none can score is never recommended."
    )
    state_type: ClassVar[type[State]] = BlendState

    models: Mapping[str, Member] | Sequence[Member] = field(
        default_factory=lambda: ["item_knn", "popularity"]
    )
    weights: Mapping[str, float] | Sequence[float] | None = None
    normalize: Normalize = "z-score"

    def __post_init__(self) -> None:
        self.models = _named(self.models)
        self.weights = _weights(self.weights, list(self.models))
        one_of("normalize", self.normalize, get_args(Normalize))
        # What this blend answers depends on its models; the class says what a blend can answer.
        self.__dict__["answers"] = frozenset().union(*(m.answers for m in self._prototypes().values()))

    @classmethod
    def of(
        cls,
        models: Mapping[str, Recommender[Any]] | Sequence[Recommender[Any]],
        *,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        normalize: Normalize = "z-score",
    ) -> Self:
        """A blend of models that have been fitted on the same data; they are used as they are.

        Raises:
            NotFittedError: if a model has not been fitted.
            DataError: if they were fitted on different data.
        """
        blend = cls(models=models, weights=weights, normalize=normalize)
        members = blend._prototypes()
        catalogues = [member.catalogue for member in members.values()]
        if any(catalogue.fingerprint != catalogues[0].fingerprint for catalogue in catalogues):
            raise DataError(
                "a blend takes models that were fitted on the same data; fit them on one Dataset first"
            )
        blend._hold(Fitted(BlendState(members), catalogues[0]))
        return blend

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters, each model as its registered name and its own hyper-parameters."""
        return self._by_name(lambda member: member.parameters())

    def saved_parameters(self) -> dict[str, Any]:
        """As :meth:`parameters`, with those of the models as they save them."""
        return self._by_name(lambda member: member.saved_parameters())

    def _by_name(self, of: Callable[[Recommender[Any]], dict[str, Any]]) -> dict[str, Any]:
        models = {name: {"model": member.name, **of(member)} for name, member in self._prototypes().items()}
        return {"models": models, "weights": self._weight_by_name(), "normalize": self.normalize}

    def _prototypes(self) -> dict[str, Recommender[Any]]:
        found: dict[str, Recommender[Any]] = self.__dict__["models"]
        return found

    def _weight_by_name(self) -> dict[str, float]:
        found: dict[str, float] = self.__dict__["weights"]
        return found

    @property
    def learns_from_labels(self) -> bool:
        """Whether one of its models does; the others take the clicks."""
        return any(member.learns_from_labels for member in self._prototypes().values())

    def _fit(self, data: Dataset, progress: Progress) -> BlendState:
        members = {name: replace(member).fit(data) for name, member in self._prototypes().items()}
        shared = next(iter(members.values())).catalogue
        for member in members.values():
            member._hold(Fitted(member._fitted.state, shared))
        return BlendState(members)

    def _score(self, fitted: Fitted[BlendState], queries: Queries) -> NDArray[np.float32]:
        total = _Total.empty(len(queries), fitted.catalogue.n_items, self.normalize)
        for member, weight in self._weighted(fitted):
            rows = np.flatnonzero(member._able(queries))
            if len(rows):
                total.add(rows, weight, member._score(member._fitted, queries.take(rows)))
        return total.scores()

    def _similar(self, fitted: Fitted[BlendState], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        total = _Total.empty(len(seeds), fitted.catalogue.n_items, self.normalize)
        for member, weight in self._weighted(fitted):
            if "seeds" in member.answers:
                total.add(np.arange(len(seeds)), weight, member._similar(member._fitted, seeds))
        return total.scores()

    def _weighted(self, fitted: Fitted[BlendState]) -> Iterator[tuple[Recommender[Any], float]]:
        weights = self._weight_by_name()
        return ((member, weights[name]) for name, member in fitted.state.members.items())

    def _diversity_vectors(self, fitted: Fitted[BlendState]) -> NDArray[np.float32]:
        """The item vectors of the first model that has some."""
        for member, _ in self._weighted(fitted):
            if type(member)._diversity_vectors is not Recommender._diversity_vectors:
                return member._diversity_vectors(member._fitted)
        return super()._diversity_vectors(fitted)

    def _explain(self, fitted: Fitted[BlendState], query: Queries, item: int) -> list[Reason]:
        """The reasons of the models that give some; those of a model share its part of the score, as it weighs them."""
        reasons: list[Reason] = []
        for member, weight in self._weighted(fitted):
            if not member._able(query)[0] or not _explains(member):
                continue
            own = member._explain(member._fitted, query, item)
            size = sum(abs(reason.contribution) for reason in own)
            part = self._part(member, query, item) * weight
            reasons += [replace(r, contribution=r.contribution * abs(part) / size) for r in own if size]
        if not reasons and not any(_explains(member) for member in fitted.state.members.values()):
            raise CannotAnswerError("no model of this blend explains its scores")
        return sorted(reasons, key=lambda reason: -reason.contribution)

    def _part(self, member: Recommender[Any], query: Queries, item: int) -> float:
        """The normalized score of one item for the one query."""
        total = _Total.empty(1, member.catalogue.n_items, self.normalize)
        total.add(np.zeros(1, np.int64), 1.0, member._score(member._fitted, query))
        return float(np.nan_to_num(total.scores()[0, item]))


@dataclass(frozen=True, eq=False)
class _Total:
    """The weighted sum so far, float64[queries, items], and which items some model had a score for."""

    sums: NDArray[np.float64]
    scored: NDArray[np.bool_]
    normalize: Normalize

    @classmethod
    def empty(cls, queries: int, items: int, normalize: Normalize) -> "_Total":
        return cls(np.zeros((queries, items)), np.zeros((queries, items), np.bool_), normalize)

    def add(self, rows: NDArray[np.integer], weight: float, scores: NDArray[np.float32]) -> None:
        """Add a model's scores of these rows, one row at a time, so that the bits do not depend on the batch."""
        for row, own in zip(rows, scores, strict=True):
            self.sums[row] += weight * normalized(own, self.normalize)
            self.scored[row] |= ~np.isnan(own)

    def scores(self) -> NDArray[np.float32]:
        return np.where(self.scored, self.sums, np.nan).astype(np.float32)


def _explains(member: Recommender[Any]) -> bool:
    return type(member)._explain is not Recommender._explain


def normalized(scores: NDArray[np.float32], normalize: Normalize) -> NDArray[np.float64]:
    """float64[items]: the scores of one query made comparable; an item without one, NaN, gets what :class:`Blend` says.

    >>> normalized(np.array([3, np.nan, 1, 2], np.float32), "min-max")
    array([1. , 0. , 0. , 0.5])
    """
    part, known = np.zeros(len(scores)), ~np.isnan(scores)
    own = scores[known].astype(np.float64)
    if normalize == "rank":
        places = np.empty(len(own))
        places[np.argsort(-own, kind="stable")] = np.arange(1, len(own) + 1)
        part[known] = 1 / (_RANK_OFFSET + places)
    elif len(own) and own.min() < own.max():
        low, high = own.min(), own.max()
        centre, spread = (own.mean(), own.std()) if normalize == "z-score" else (low, high - low)
        part[known] = (own - centre) / spread
        part[~known] = (low - centre) / spread
    return part


def _named(models: Mapping[str, Member] | Sequence[Member]) -> dict[str, Recommender[Any]]:
    """The models by name; those of a list by their registered names, the second of a kind as ``mf-2``."""
    if isinstance(models, Mapping):
        named = {name: _model(member) for name, member in models.items()}
    else:
        named = {}
        for member in map(_model, models):
            same = sum(other.name == member.name for other in named.values())
            named[member.name if not same else f"{member.name}-{same + 1}"] = member
    bad = [name for name in named if not _NAME.fullmatch(name)]
    if not named or bad:
        raise ValueError(
            f"models must be one or more models by names of letters, digits, '_', '-' and '.', got {list(named)}"
        )
    return named


def _model(member: Member) -> Recommender[Any]:
    if isinstance(member, str):
        member = {"model": member}
    if isinstance(member, Mapping):
        options = dict(member)
        made: Recommender[Any] = model_class(str(options.pop("model", "")))(**options)
        return made
    if not isinstance(member, Recommender):
        raise ValueError(f"models must be models, their names or mappings with a key 'model', got {member!r}")
    return member


def _weights(given: Mapping[str, float] | Sequence[float] | None, names: list[str]) -> dict[str, float]:
    """A weight for each name."""
    if isinstance(given, Mapping):
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"weights names {unknown[0]!r}, but the models are {', '.join(names)}")
        weights = {name: given.get(name, 1.0) for name in names}
    elif given is None:
        weights = dict.fromkeys(names, 1.0)
    elif len(given) == len(names):
        weights = dict(zip(names, given, strict=True))
    else:
        raise ValueError(f"weights must be one for each of {', '.join(names)}, got {list(given)}")
    for name, weight in weights.items():
        between(f"weights[{name!r}]", weight)
    if not any(weights.values()):
        raise ValueError("weights are all 0; give at least one model a weight above 0")
    return {name: float(weight) for name, weight in weights.items()}
