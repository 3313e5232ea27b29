"""From the events of the store to new models in service: fit, judge on the newest part, promote if they are not worse."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tastemaker.data.dataset import Dataset
from tastemaker.data.splits import global_time
from tastemaker.errors import DataError
from tastemaker.evaluation import Comparison, compare
from tastemaker.metrics.statistics import Difference
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import current_version, load_all, save
from tastemaker.models.content import ContentBased
from tastemaker.models.item_knn import ItemKNN
from tastemaker.models.popularity import Popularity
from tastemaker.policy.policy import Policy
from tastemaker.service.serving import policy_of
from tastemaker.service.store import Store

__all__ = ["Retraining", "Verdict"]

_NEW, _OLD = "new", "serving"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether new models may take the place of those in service.

    Attributes:
        promote: whether they may.
        why: in words.
        comparison: what was measured; None where nothing could be.
        difference: new minus serving on the same users; None where both have the same settings, or nothing serves yet.
    """

    promote: bool
    why: str
    comparison: Comparison | None
    difference: Difference | None


@dataclass(frozen=True, eq=False)
class Retraining:
    """The data of one moment, the models to fit on them, and those that serve.

    Attributes:
        data: all events up to a number, weighted by their quality.
        models: to fit, by name; one of them is a policy. Nothing of what they have learned is used.
        serving: the policy in service; None for the first.
        notes: kept with the models: up to which event and which change of an item they have learned.
    """

    data: Dataset
    models: Mapping[str, Recommender[Any]]
    serving: Policy | None
    notes: Mapping[str, int]

    @classmethod
    def of(cls, store: Store, bundle: Path, retrieval: Recommender[Any] | None = None) -> "Retraining":
        """Models of the kinds and settings in service; ``retrieval`` in the place of the one that finds candidates.

        Where nothing serves yet: a policy with item neighbors beside ``retrieval``, a content model, and popularity.

        Raises:
            DataError: if the store holds nothing to learn from.
            BundleError: if what serves cannot be loaded.
        """
        notes = {"sequence": store.last_sequence(), "change": store.last_change()}
        data = store.dataset(until=notes["sequence"])
        if not (bundle / "CURRENT").exists():
            policy = Policy(retrieval=retrieval or "als", also_bought="item_knn")
            beside: list[Recommender[Any]] = [ItemKNN(), ContentBased(), Popularity()]
            return cls(data, {"policy": policy} | {model.name: model for model in beside}, None, notes)
        models = load_all(bundle, version=current_version(bundle))
        serving = policy_of(models)
        policy = serving if retrieval is None else replace(serving, retrieval=retrieval)
        others = {name: model for name, model in models.items() if not isinstance(model, Policy)}
        return cls(data, {"policy": policy, **others}, serving, notes)

    @property
    def policy(self) -> Policy:
        """The policy to fit."""
        return policy_of(self.models)

    def judge(self, hold_out: float = 0.1, metric: str = "ndcg@10") -> Verdict:
        """Fit fresh copies of the new policy and of the serving one on all but the newest part, and measure both on that.

        The models in service may have learned of the newest part already, so that they themselves could not be judged by it.

        Args:
            hold_out: the share of the newest interactions to judge by.
            metric: what to judge by; the other usual ones are shown beside it.

        Raises:
            DataError: if the new policy cannot be measured at all.
        """
        rivals: dict[str, Recommender[Any]] = {_NEW: self.policy}
        if self.serving is not None and _settings(self.serving) != _settings(self.policy):
            rivals[_OLD] = self.serving
        try:
            split = global_time(self.data, fraction=hold_out)
        except DataError as error:
            why = f"nothing can be held out: {error}"
            return Verdict(promote=_OLD not in rivals, why=why, comparison=None, difference=None)
        found = compare(
            rivals, split, metrics=list(dict.fromkeys([metric, "ndcg@10", "recall@10", "coverage@10"]))
        )
        if failure := found.failures.get(_NEW):
            raise DataError(f"the new models cannot be measured: {failure}")
        if _OLD not in found.reports:
            why = "nothing serves yet" if self.serving is None else "the settings are those in service"
            return Verdict(promote=True, why=why, comparison=found, difference=None)
        return _compared(found, metric)

    def fit(self) -> dict[str, Recommender[Any]]:
        """All models fitted on all of the data; what the policy and the bundle both hold is fitted once."""
        fitted: dict[str, Recommender[Any]] = {}

        def once(model: Recommender[Any]) -> Recommender[Any]:
            key = _settings(model)
            if key not in fitted:
                fitted[key] = replace(model).fit(self.data)
            return fitted[key]

        policy = self.policy
        members = {part: once(model) for part, model in policy.parts().items()}
        own = {f.name: getattr(policy, f.name) for f in fields(policy) if f.init and f.name not in _PARTS}
        whole = Policy.of(members.pop("retrieval"), **members, **own)
        return {"policy": whole} | {n: once(m) for n, m in self.models.items() if n != "policy"}

    def promote(self, bundle: Path) -> str:
        """Fit, save, and make the new version the current one, which a running service takes up by itself; its name."""
        save(self.fit(), bundle, notes=self.notes)
        return current_version(bundle)


_PARTS = ("retrieval", "ranking", "also_bought")


def _settings(model: Recommender[Any]) -> str:
    """What makes two models the same before they are fitted."""
    return json.dumps([model.name, model.saved_parameters()], sort_keys=True, default=str)


def _compared(found: Comparison, metric: str) -> Verdict:
    """By the paired interval: worse is what is worse beyond the noise."""
    difference = found.difference(metric, _NEW, _OLD)
    interval = f"{difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f}, {difference.n_users:,} users)"
    known = difference.n_users > 1
    why = f"{metric}, new minus serving: {interval}" if known else "too few users were active to judge by"
    return Verdict(promote=known and difference.high >= 0, why=why, comparison=found, difference=difference)
