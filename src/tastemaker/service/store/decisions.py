"""The log of decisions: what was shown to whom, by which policy, with what probability; enough to replay and to judge it."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from tastemaker.errors import DataError
from tastemaker.service.store.erasure import barred
from tastemaker.service.store.tables import decisions
from tastemaker.service.store.values import chunks, complaint_about_id, from_json, known, to_json
from tastemaker.service.store.writer import Job

__all__ = ["ROLES", "Decision", "Log", "Slot", "decision", "log_job", "prune", "unpacked"]

ROLES = ("exploit", "explore", "pinned")
_LONGEST_LIST = 1 << 22  # bytes of JSON


class Slot(NamedTuple):
    """One place of a list.

    Attributes:
        item_id, score: what stood there, and the score by which it came.
        propensity: the probability of this item here, given the slots above; 0 < p ≤ 1.
        role: ``exploit``, ``explore`` or ``pinned``.
        source, reason: where the candidate came from, and what was said about it, if anything was.
    """

    item_id: str
    score: float
    propensity: float
    role: str = "exploit"
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """One list, and all that it takes to make it again.

    Attributes:
        recommendation_id: unique, chosen by the caller (32 hexadecimal digits of a random UUID).
        user_id: for whom; None for an anonymous session.
        history: the item ids that the caller gave as the session's history.
        surface: where it was shown (``home``, ``basket``, …).
        time: microseconds since 1970, UTC.
        policy, policy_version, model: what chose, and the version of the bundle that scored.
        seed: of the draw, 0 to 2^63 − 1.
        k: the length asked for.
        slots: the list, best first.
        log_probability: of the whole list.
        request: what was asked; meta: what was said about the answer. JSON.
        record: what the list was drawn from, as bytes of a :class:`tastemaker.policy.replay.Record`; None if it was not kept.
    """

    recommendation_id: str
    user_id: str | None
    history: tuple[str, ...] = ()
    surface: str
    time: int
    policy: str
    policy_version: str
    model: str
    seed: int
    k: int
    slots: tuple[Slot, ...]
    log_probability: float
    request: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    record: bytes | None = None


@dataclass(eq=False)
class Log(Job[None]):
    """Decisions to log. No list waits for them, and the events that cite one come after it in the queue."""

    patient = True

    decision: Decision

    @classmethod
    def write(cls, connection: sa.Connection, jobs: Sequence["Log"]) -> list[None]:
        """Insert those that are new; nothing of users who were erased."""
        made = {job.decision.recommendation_id: job.decision for job in reversed(jobs)}
        there = known(connection, decisions.c.recommendation_id, list(made))
        gone = barred(connection, {d.user_id for d in made.values() if d.user_id is not None})
        new = [
            d
            for d in made.values()
            if d.recommendation_id not in there and d.time > gone.get(d.user_id or "", -1)
        ]
        for some in chunks(new, 100):
            connection.execute(decisions.insert(), [_row(d) for d in some])
        return [None] * len(jobs)


def log_job(made: Decision) -> Log:
    """The decision as a job.

    Raises:
        DataError: if it could not be read back as it is.
    """
    wrong = _wrong_id(made) or _wrong_number(made)
    if wrong is not None:
        raise DataError(f"decision {made.recommendation_id!r:.60}: {wrong}")
    return Log(1, made)


def _wrong_id(made: Decision) -> str | None:
    ids = [("recommendation_id", made.recommendation_id), *(("slots", slot.item_id) for slot in made.slots)]
    if made.user_id is not None:
        ids.append(("user_id", made.user_id))
    return next(filter(None, (complaint_about_id(value, name) for name, value in ids)), None)


def _wrong_number(made: Decision) -> str | None:
    numbers = (made.log_probability, *(n for slot in made.slots for n in (slot.score, slot.propensity)))
    if not 0 <= made.seed < 2**63:
        return f"seed: expected 0 to 2^63 - 1, got {made.seed}"
    if not all(map(math.isfinite, numbers)):
        return f"scores, propensities and log_probability must be finite, got {numbers}"
    if not all(0 < slot.propensity <= 1 for slot in made.slots):
        return f"propensity: expected above 0, at most 1, got {[slot.propensity for slot in made.slots]}"
    return None


def _row(made: Decision) -> dict[str, Any]:
    slots = {name: [slot[n] for slot in made.slots] for n, name in enumerate(Slot._fields)}
    slots |= {name: list(map(float, slots[name])) for name in ("score", "propensity")}
    return {
        "recommendation_id": made.recommendation_id,
        "user_id": made.user_id,
        "history": to_json(list(made.history), "history", _LONGEST_LIST),
        "surface": made.surface,
        "time": int(made.time),
        "policy": made.policy,
        "policy_version": made.policy_version,
        "model": made.model,
        "seed": int(made.seed),
        "k": int(made.k),
        "slots": to_json(slots, "slots", _LONGEST_LIST),
        "log_probability": float(made.log_probability),
        "request": to_json(dict(made.request), "request", _LONGEST_LIST),
        "meta": to_json(dict(made.meta), "meta"),
        "record": made.record,
    }


def unpacked(row: dict[str, Any]) -> Decision:
    """The decision of a row of the table."""
    slots = from_json(row["slots"])
    fields = row | {
        "history": tuple(from_json(row["history"])),
        "slots": tuple(itertools.starmap(Slot, zip(*(slots[name] for name in Slot._fields), strict=True))),
        "request": from_json(row["request"]),
        "meta": from_json(row["meta"]),
    }
    return Decision(**fields)


def prune(connection: sa.Connection, before: int, most: int) -> int:
    """Delete up to ``most`` decisions from before a time; how many there were."""
    d = decisions.c
    old = sa.select(d.recommendation_id).where(d.time < before).limit(most)
    return connection.execute(decisions.delete().where(d.recommendation_id.in_(old))).rowcount


_BY_ID = sa.select(decisions).where(decisions.c.recommendation_id == sa.bindparam("id"))


def decision(connection: sa.Connection, recommendation_id: str) -> Decision | None:
    """The decision with this id; None if none is logged."""
    row = connection.execute(_BY_ID, {"id": recommendation_id}).mappings().one_or_none()
    return None if row is None else unpacked({**row})
