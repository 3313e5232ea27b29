"""What chooses a list in front of people: candidates → filters → ranking → diversity → exploration → top K.

It answers like a model, so that what is evaluated offline is what is served.
"""

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.topk import REMOVED, Rows, TopK, empty_lists
from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models import model_class
from tastemaker.models.answer import Rules as ListRules
from tastemaker.models.base import DotProduct, Fitted, Recommender, State
from tastemaker.models.checks import between, whole
from tastemaker.policy.approximate import Approximate, installed
from tastemaker.policy.candidates import RECENT, Request
from tastemaker.policy.choice import Choice
from tastemaker.policy.content import ContentIndex
from tastemaker.policy.exploration import Exploration, Greedy, exploration_of
from tastemaker.policy.shelf import Shelf, trends
from tastemaker.policy.slots import Rules
from tastemaker.policy.stages import Settings, choose
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason
from tastemaker.ranking.recommendations import Recommendations

__all__ = ["Policy", "PolicyState"]

_log = logging.getLogger(__name__)

Member = Recommender[Any] | str | Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class PolicyState(State):
    """The fitted models by their part, and how much each item was taken of late, over one catalogue."""

    members: Mapping[str, Recommender[Any]]
    trend: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class Policy(Recommender[PolicyState]):
    """Two stages: several sources find candidates, one model ranks them; the list is then drawn slot by slot.

    Candidates are what the retrieval model scores highest for the user (``personal``), what goes with the recent items
    (``also_bought``), what is similar to them (``similar``, for models of inner products), what is taken a lot these days
    (``trending``) and what has just come in (``new``). What may not be shown is left out of all of them. The ranking model
    scores them together; of the best ``pool``, the utility is the score, scaled to 0..1, and a candidate without a score
    stands below all others by its popularity. Each slot is drawn over the utilities after diversity and caps
    (:mod:`tastemaker.policy.slots`), so that the probability of every item is known to the bit.

    A model may be given by its registered name, as ``{"model": name, hyper-parameter: value}``, or itself.

    Args:
        retrieval: the model that finds the personal candidates.
        ranking: the model that ranks them; None for the retrieval model.
        also_bought: a model that compares items; None for no such candidates.
        candidates: how many personal candidates are ranked.
        pool: how many of the ranked the list is drawn from.
        diversity: how far to trade score for variety, 0 to 1 (maximal marginal relevance).
        caps: the most items in a list that share a value of a feature: ``{"genre": 2}``.
        new_item_slots: how many slots of a list are kept for new items, as long as there are any.
        exploration: ``Greedy()``, ``EpsilonGreedy(epsilon)`` or ``Softmax(temperature)``.
        trend_half_life_days: after how many days an interaction counts half for ``trending``.
        exact_up_to: with more items than this, a factor model finds candidates by an approximate index (the extra ``ann``),
            except where a filter leaves few items.
        seed: of the draws of :meth:`recommend`, which depend on it and on the query alone.

    >>> data = Dataset.from_interactions({"user": list("aabbcddeef"),
    ...     "item": ["tea", "jam", "tea", "jam", "tea", "ham", "egg", "ham", "egg", "ham"]})
    >>> Policy(retrieval="item_knn").fit(data).recommend(["c", "f"], k=1).lists()
    [['jam'], ['egg']]
    """

    name: ClassVar[str] = "policy"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "anonymous", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is answered from a history, and without one with what is taken a lot these days; an item that nobody has "
        "had stands below all others, but in slots that are kept for new items."
    )
    state_type: ClassVar[type[State]] = PolicyState

    retrieval: Member = "als"
    ranking: Member | None = None
    also_bought: Member | None = "item_knn"
    candidates: int = 200
    pool: int = 100
    diversity: float = 0.0
    caps: Mapping[str, int] = field(default_factory=dict)
    new_item_slots: int = 0
    exploration: Exploration | Mapping[str, Any] = field(default_factory=Greedy)
    trend_half_life_days: float = 7.0
    exact_up_to: int = 250_000
    seed: int = 0

    def __post_init__(self) -> None:
        for part in ("retrieval", "ranking", "also_bought"):
            given = getattr(self, part)
            if given is not None or part == "retrieval":
                setattr(self, part, _model(part, given))
        whole("candidates", self.candidates)
        whole("pool", self.pool)
        between("diversity", self.diversity, high=1.0)
        for column, limit in self.caps.items():
            whole(f"caps[{column!r}]", limit)
        whole("new_item_slots", self.new_item_slots, 0)
        self.exploration = exploration_of(self.exploration)
        between("trend_half_life_days", self.trend_half_life_days, open_low=True)
        whole("exact_up_to", self.exact_up_to, 0)
        whole("seed", self.seed, 0)
        if not any("seeds" in model.answers for model in self.parts().values()):
            self.__dict__["answers"] = type(self).answers - {"seeds"}

    @classmethod
    def of(
        cls,
        retrieval: Recommender[Any],
        *,
        ranking: Recommender[Any] | None = None,
        also_bought: Recommender[Any] | None = None,
        **settings: Any,
    ) -> Self:
        """A policy of models that have been fitted on the same data; they are used as they are.

        Raises:
            NotFittedError: if a model has not been fitted.
            DataError: if they were fitted on different data.
        """
        policy = cls(retrieval=retrieval, ranking=ranking, also_bought=also_bought, **settings)
        members = policy.parts()
        catalogues = [member.catalogue for member in members.values()]
        if any(catalogue.fingerprint != catalogues[0].fingerprint for catalogue in catalogues):
            raise DataError(
                "a policy takes models that were fitted on the same data; fit them on one Dataset first"
            )
        trend = trends(catalogues[0], policy.trend_half_life_days)
        policy._hold(Fitted(PolicyState(members, trend), catalogues[0]))
        return policy

    def parameters(self) -> dict[str, Any]:
        """The hyper-parameters, each model as its registered name and its own hyper-parameters."""
        return self._by_name(lambda member: member.parameters())

    def saved_parameters(self) -> dict[str, Any]:
        """As :meth:`parameters`, with those of the models as they save them."""
        return self._by_name(lambda member: member.saved_parameters())

    def choose(self, request: Request, shelf: Shelf | None = None) -> Choice:
        """One list, with all that is needed to log it, to replay it and to judge another policy by it.

        Args:
            request: in codes of the shelf.
            shelf: what can be shown; by default what the models were fitted on.

        Raises:
            DataError: if a cap names a feature that the items do not have.
        """
        return choose(self.settings, request, self.shelf if shelf is None else shelf)

    @property
    def settings(self) -> Settings:
        """What of the hyper-parameters an answer depends on."""
        exploration = exploration_of(self.exploration)
        rules = Rules(
            k=1, diversity=self.diversity, new_item_slots=self.new_item_slots, exploration=exploration
        )
        return Settings(self.candidates, self.pool, tuple(self.caps.items()), rules)

    @property
    def shelf(self) -> Shelf:
        """What the models were fitted on, to which nothing has happened since."""
        fitted = self._fitted
        if "shelf" not in fitted.memo:
            state = fitted.state
            shelf = Shelf.of(state.members, state.trend, self.candidates, lambda: self.content)
            fitted.memo["shelf"] = replace(shelf, approximate=self._approximate(fitted))
        found: Shelf = fitted.memo["shelf"]
        return found

    def _approximate(self, fitted: Fitted[PolicyState]) -> Approximate | None:
        """An index of the vectors that candidates are found by, where there are so many that it pays."""
        model = fitted.state.members["retrieval"]
        if fitted.catalogue.n_items <= self.exact_up_to or not isinstance(model, DotProduct):
            return None
        if not installed():
            _log.warning(
                "%d items are searched exactly; pip install 'tastemaker[ann]' makes it faster",
                fitted.catalogue.n_items,
            )
            return None
        return Approximate.of(model.packed_items(model._fitted).items, self.seed)

    @property
    def content(self) -> ContentIndex:
        """Which items are alike by what is known about them, made on first use."""
        fitted = self._fitted
        if "content" not in fitted.memo:
            fitted.memo["content"] = ContentIndex.of(fitted.catalogue.item_features)
        found: ContentIndex = fitted.memo["content"]
        return found

    def recommend(self, *args: Any, **options: Any) -> Recommendations:
        """As of every model; ``diversify`` and ``caps`` take the place of the policy's own for these lists."""
        asked = {"diversify": "diversity", "caps": "caps"}
        given = {name: options[name] for name in asked if options.get(name) is not None}
        if not given or options.get("seeds") is not None:
            return super().recommend(*args, **options)
        policy = copy.copy(self)
        for name, value in given.items():
            setattr(policy, asked[name], value)
        rest = {name: value for name, value in options.items() if name not in given}
        return policy.recommend(*args, **rest)

    @property
    def learns_from_labels(self) -> bool:
        """Whether one of the models does."""
        return any(model.learns_from_labels for model in self.parts().values())

    def parts(self) -> dict[str, Recommender[Any]]:
        """The models it is made of, by their part: ``retrieval``, and where there are any ``ranking`` and ``also_bought``."""
        parts = {"retrieval": self.retrieval, "ranking": self.ranking, "also_bought": self.also_bought}
        return {name: model for name, model in parts.items() if isinstance(model, Recommender)}

    def _by_name(self, of: Any) -> dict[str, Any]:
        models = {name: {"model": model.name, **of(model)} for name, model in self.parts().items()}
        exploration = exploration_of(self.exploration).describe()
        return super().parameters() | {"caps": dict(self.caps), "exploration": exploration} | models

    def _fit(self, data: Dataset, progress: Progress) -> PolicyState:
        members = {name: replace(model).fit(data) for name, model in self.parts().items()}
        shared = members["retrieval"].catalogue
        for member in members.values():
            member._hold(Fitted(member._fitted.state, shared))
        return PolicyState(members, trends(shared, self.trend_half_life_days))

    def _top_k(self, fitted: Fitted[PolicyState], queries: Queries, k: int, rules: ListRules) -> TopK:
        lists = empty_lists(len(queries), k)
        for q in range(len(queries)):
            choice = self.choose(self._request(queries[q : q + 1], k, rules, q))
            found = len(choice.items)
            lists.items[q, :found], lists.scores[q, :found] = choice.items, choice.scores
            lists.counts[q] = found
            lists.removed[q] = [choice.removed.get(reason, 0) for reason in REMOVED]
        return lists

    def _request(self, query: Queries, k: int, rules: ListRules, q: int) -> Request:
        """The request of one of several queries."""
        allow = None if rules.allow is None else _of_row(rules.allow, q)
        return Request(
            query=query,
            recent=query.history.indices[: -RECENT - 1 : -1],
            k=k,
            seen=_of_row(rules.seen, q),
            deny=_of_row(rules.deny, q),
            allow=allow,
            mask=rules.mask,
            seed=_seed_of(query, self.seed),
        )

    def _score(self, fitted: Fitted[PolicyState], queries: Queries) -> NDArray[np.float32]:
        """The scores of the model that ranks; for whom it cannot answer, what is taken a lot these days."""
        model = self._ranker(fitted)
        everything = np.arange(fitted.catalogue.n_items, dtype=np.int32)
        scores = np.repeat(self.shelf.common(everything)[None], len(queries), axis=0)
        able = np.flatnonzero(model._able(queries))
        if len(able):
            scores[able] = model._score(model._fitted, queries.take(able))
        return scores

    def _similar(self, fitted: Fitted[PolicyState], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        members = fitted.state.members
        order = ("also_bought", "retrieval", "ranking")
        model = next(members[name] for name in order if name in members and "seeds" in members[name].answers)
        return model._similar(model._fitted, seeds)

    def _diversity_vectors(self, fitted: Fitted[PolicyState]) -> NDArray[np.float32]:
        model = fitted.state.members["retrieval"]
        return model._diversity_vectors(model._fitted)

    def _explain(self, fitted: Fitted[PolicyState], query: Queries, item: int) -> list[Reason]:
        model = self._ranker(fitted)
        if not model._able(query)[0]:
            return [Reason("popularity", "trending", float(fitted.state.trend[item]), "popular these days")]
        return model._explain(model._fitted, query, item)

    @staticmethod
    def _ranker(fitted: Fitted[PolicyState]) -> Recommender[Any]:
        members = fitted.state.members
        return members.get("ranking", members["retrieval"])


def _of_row(rows: Rows | None, q: int) -> NDArray[np.int32]:
    """The known codes of the query's list."""
    if rows is None:
        return np.empty(0, np.int32)
    row = 0 if len(rows.indptr) == 2 else q
    codes = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
    return codes[codes >= 0]


def _seed_of(query: Queries, seed: int) -> int:
    """A seed that depends on who asks and what they had alone, not on the batch."""
    found = seed
    for part in (query.users, query.history.indices):
        for number in part.tolist():
            found = (found * 0x100000001B3 ^ (number & 0xFFFFFFFF)) & ((1 << 63) - 1)
    return found


def _model(part: str, member: Member | None) -> Recommender[Any]:
    if isinstance(member, str):
        member = {"model": member}
    if isinstance(member, Mapping):
        options = dict(member)
        made: Recommender[Any] = model_class(str(options.pop("model", "")))(**options)
        return made
    if not isinstance(member, Recommender):
        raise ValueError(f"{part} must be a model, its name or a mapping with a key 'model', got {member!r}")
    return member
