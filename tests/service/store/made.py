"""Events and decisions to test with."""

from typing import Any

import numpy as np

from tastemaker.service.store import Decision, Event, Slot

MOMENT = 1_700_000_000_000_000  # microseconds


def event(
    event_id: str, user: str = "alice", item: str = "squid-game", kind: str = "click", **more: Any
) -> Event:
    return Event(
        **{"event_id": event_id, "user_id": user, "item_id": item, "kind": kind, "time": MOMENT} | more
    )


def decision(recommendation_id: str, user: str | None = "alice", *items: str, **more: Any) -> Decision:
    shown = items or ("squid-game", "the-crown")
    slots = tuple(
        Slot(
            item_id=item,
            score=0.1 + n / 3,
            propensity=1 / (n + 1),
            role="explore",
            source="mf",
            reason="because",
        )
        for n, item in enumerate(shown)
    )
    made = {
        "recommendation_id": recommendation_id,
        "user_id": user,
        "surface": "home",
        "time": MOMENT,
        "policy": "softmax",
        "policy_version": "3",
        "model": "v7",
        "seed": 2**63 - 1,
        "k": len(shown),
        "slots": slots,
        "log_probability": float(np.log([slot.propensity for slot in slots]).sum()),
        "record": b"what it was drawn from",
    }
    return Decision(**made | more)
