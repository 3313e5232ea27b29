"""What the engine is asked, and what it answers: in the ids of the store, before and after the codes of the models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tastemaker.service.store import Decision

__all__ = ["Answer", "Ask", "Taken"]


class Taken(NamedTuple):
    """An item of a session's history."""

    item_id: str
    weight: float = 1.0
    time: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One list to fill.

    Attributes:
        k: how many items.
        surface: where it is shown.
        user_id: for whom; None for a visitor.
        history: what a session has done, oldest first; it takes the place of the stored history for scoring.
        seeds: items to be similar to.
        allow: the only items that may be shown.
        source: the one source of the list: ``similar`` or ``also_bought`` (to the seeds), ``trending``, ``new``; None for all.
        filter: a condition on the items' features, in SQL.
        exclude: items that must not be shown.
        exclude_seen: whether to leave out what the user has had.
        diversify, caps: instead of the policy's own.
        explore: whether to draw as the policy explores.
        explain: with reasons.
        context: kept with the decision, and looked at by a ranking model that knows such columns.
        log: whether anybody will be shown the list, so that it belongs into the log.
    """

    k: int = 10
    surface: str = "home"
    user_id: str | None = None
    history: tuple[Taken, ...] | None = None
    seeds: tuple[str, ...] = ()
    allow: tuple[str, ...] | None = None
    source: str | None = None
    filter: str | None = None
    exclude: tuple[str, ...] = ()
    exclude_seen: bool = True
    diversify: float | None = None
    caps: Mapping[str, int] | None = None
    explore: bool = True
    explain: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)
    log: bool = True


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One list as it was decided, with what need not be logged.

    Attributes:
        decision: as it stands in the log.
        titles: of the items, in order.
        meta: shortfall, degraded parts, age of the features, unknown ids, and the time taken.
        explain: whether reasons were asked for.
        logged: whether it is in the log.
    """

    decision: Decision
    titles: tuple[str, ...]
    meta: Mapping[str, Any]
    explain: bool = False
    logged: bool = True

    def described(self) -> dict[str, Any]:
        """As the API sends it."""
        decision = self.decision
        slots = zip(decision.slots, self.titles, strict=True)
        return {
            "recommendation_id": decision.recommendation_id,
            "items": [
                {
                    "item_id": slot.item_id,
                    "rank": rank,
                    "score": slot.score,
                    "source": slot.source,
                    "role": slot.role,
                    "propensity": slot.propensity,
                    "reason": slot.reason or None if self.explain else None,
                    "title": title,
                }
                for rank, (slot, title) in enumerate(slots, 1)
            ],
            "meta": {
                "model": decision.model,
                "policy": decision.policy,
                "policy_version": decision.policy_version,
                "log_probability": decision.log_probability,
                **self.meta,
            },
        }
