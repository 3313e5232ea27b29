"""From a choice to the decision that the log keeps: in ids, with all that it takes to draw the list again."""

import itertools
import time
import uuid
from typing import Any

from tastemaker.policy.choice import Choice
from tastemaker.policy.replay import record
from tastemaker.service.asks import Ask
from tastemaker.service.serving import Serving
from tastemaker.service.store import Decision, Slot

__all__ = ["POLICY_VERSION", "decided", "unknown"]

POLICY_VERSION = "1"


def decided(serving: Serving, ask: Ask, choice: Choice, model: str | None) -> Decision:
    """The choice as the log keeps it."""
    ids = serving.ids(choice.candidates)
    items = [ids[position] for position in choice.drawn.positions.tolist()]
    numbers = choice.scores.tolist(), choice.propensities.tolist()
    columns = (items, *numbers, choice.roles, choice.sources, choice.reasons)
    return Decision(
        recommendation_id=uuid.uuid4().hex,
        user_id=ask.user_id,
        history=tuple(taken.item_id for taken in ask.history or ()),
        surface=ask.surface,
        time=time.time_ns() // 1000,
        policy=model or ask.source or serving.policy.name,
        policy_version=POLICY_VERSION,
        model=serving.version,
        seed=choice.seed,
        k=ask.k,
        slots=tuple(itertools.starmap(Slot, zip(*columns, strict=True))),
        log_probability=choice.log_probability,
        request=_asked(ask),
        record=record(choice, ids).to_bytes(),
        meta={"shortfall": choice.shortfall or None, "degraded": list(choice.degraded)},
    )


def _asked(ask: Ask) -> dict[str, Any]:
    """What of a question the log keeps; long lists of ids by their length alone."""
    told: dict[str, Any] = {"filter": ask.filter, "seeds": list(ask.seeds), "source": ask.source}
    told |= {"exclude_seen": ask.exclude_seen, "diversify": ask.diversify, "explore": ask.explore}
    told |= {"caps": None if ask.caps is None else dict(ask.caps), "context": dict(ask.context)}
    told |= {"excluded": len(ask.exclude), "allowed": None if ask.allow is None else len(ask.allow)}
    return {name: value for name, value in told.items() if value not in (None, [], {})}


def unknown(serving: Serving, ask: Ask) -> int:
    """How many ids in the history and the seeds of a question nobody has put."""
    given = [taken.item_id for taken in ask.history or ()]
    return sum(serving.live.code(item) < 0 for item in (*given, *ask.seeds))
