"""Events: what people did with what they were shown. Posted once or ten times, each counts once."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from tastemaker.errors import DataError
from tastemaker.service.store.erasure import barred
from tastemaker.service.store.tables import decisions, events
from tastemaker.service.store.values import (
    chunks,
    complaint_about_id,
    from_json,
    is_mapping,
    is_number,
    known,
    now,
    to_json,
)
from tastemaker.service.store.writer import Job

__all__ = [
    "KINDS",
    "TAKES_BACK",
    "Event",
    "Interaction",
    "Post",
    "Posted",
    "complaint",
    "dismissed",
    "histories",
    "post_job",
    "since",
]

KINDS = ("impression", "click", "view", "dwell", "cart", "purchase", "rating", "like", "dismiss")
TAKES_BACK = ("like", "cart", "purchase")  # kinds that end a dismissal that came before
_DAY = 86_400_000_000  # microseconds: so far ahead may a clock be
_LARGEST_SLOT = 100_000
_VALUES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "view": ("the share completed, 0 to 1", lambda value: 0 <= value <= 1),
    "dwell": ("seconds, 0 or more", lambda value: value >= 0),
    "cart": ("a quantity above 0", lambda value: value > 0),
    "purchase": ("a quantity above 0", lambda value: value > 0),
}
_NEEDS_VALUE = {"rating": "the rating", "dwell": "seconds, 0 or more"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that a user did with an item.

    Attributes:
        event_id: chosen by the caller, the same in every retry.
        user_id, item_id: up to 256 characters, no control characters.
        kind: one of :data:`KINDS`.
        time: microseconds since 1970, UTC.
        value: the rating, the share completed of a view (0 to 1), the seconds of a dwell, the quantity of a purchase.
        recommendation_id: the decision that put the item in front of the user.
        slot: where in its list the item stood, from 0.
        session_id: the visit that it was part of.
        context: whatever else is known (device, page, …), as JSON.
    """

    event_id: str
    user_id: str
    item_id: str
    kind: str
    time: int
    value: float | None = None
    recommendation_id: str | None = None
    slot: int | None = None
    session_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Posted:
    """What became of a batch of events; the numbers are places in the batch.

    Attributes:
        accepted: how many are new and on disk.
        duplicates: those whose id was there already, on disk or earlier in the batch.
        rejected: those that were not taken, each with its reason.
        sequence: of the last one accepted; the others have the numbers before it.
    """

    accepted: int
    duplicates: tuple[int, ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
    sequence: int = field(default=0, compare=False, repr=False)


class Interaction(NamedTuple):
    """One event of a known user's history."""

    item_id: str
    kind: str
    value: float | None
    time: int


def complaint(event: Event, latest: int) -> str | None:
    """Why the event cannot be taken, if its time may not be after ``latest``; None if it can.

    >>> complaint(Event(event_id="1", user_id="bob", item_id="tea", kind="view", time=0, value=7), 0)
    'value: expected the share completed, 0 to 1, for a view, got 7'
    """
    wrong = (
        complaint_about_id(event.event_id, "event_id")
        or complaint_about_id(event.user_id, "user_id")
        or complaint_about_id(event.item_id, "item_id")
    )
    if wrong is None and event.recommendation_id is not None:
        wrong = complaint_about_id(event.recommendation_id, "recommendation_id")
    if wrong is None and event.session_id is not None:
        wrong = complaint_about_id(event.session_id, "session_id")
    return wrong or _about_time(event.time, latest) or _about_value(event) or _about_place(event)


def _about_time(time: Any, latest: int) -> str | None:
    if not isinstance(time, int) or isinstance(time, bool) or time < 0:
        return f"time: expected microseconds since 1970, got {time!r}"
    return f"time: {time} is more than a day in the future" if time > latest else None


def _about_value(event: Event) -> str | None:
    if event.kind not in KINDS:
        return f"kind: expected one of {', '.join(KINDS)}, got {event.kind!r}"
    if event.value is None:
        needed = _NEEDS_VALUE.get(event.kind)
        return f"value: expected {needed} for a {event.kind}, got none" if needed else None
    if not is_number(event.value):
        return f"value: expected a finite number, got {event.value!r}"
    what, fits = _VALUES.get(event.kind, ("", None))
    return (
        f"value: expected {what}, for a {event.kind}, got {event.value}"
        if fits and not fits(event.value)
        else None
    )


def _about_place(event: Event) -> str | None:
    slot = event.slot
    if slot is not None and (type(slot) is not int or not 0 <= slot <= _LARGEST_SLOT):
        return f"slot: expected a whole number from 0, got {slot!r}"
    return None if is_mapping(event.context) else f"context: expected a mapping, got {event.context!r:.80}"


@dataclass(eq=False)
class Post(Job[Posted]):
    """A batch of events, checked: rows with their places in the batch, and what was refused before."""

    events: list[tuple[int, dict[str, Any]]]
    rejected: list[tuple[int, str]]

    @classmethod
    def write(cls, connection: sa.Connection, jobs: Sequence["Post"]) -> list[Posted]:
        """Insert what is new."""
        rows = [row for job in jobs for _, row in job.events]
        refusals = _Refusals.of(connection, rows)
        there = known(connection, events.c.event_id, [row["event_id"] for row in rows])
        new: list[dict[str, Any]] = []
        results = [job._sort_out(refusals, there, new) for job in jobs]
        for some in chunks(new):
            connection.execute(events.insert(), some)
        last: int = (
            (connection.scalar(_LAST) or 0) if new else 0
        )  # alone in writing, their numbers are consecutive
        ends = itertools.accumulate((result.accepted for result in results), initial=last - len(new))
        return [replace(result, sequence=end) for result, end in zip(results, list(ends)[1:], strict=True)]

    def _sort_out(self, refusals: "_Refusals", there: set[str], new: list[dict[str, Any]]) -> Posted:
        """Put the rows that are new into ``new`` and their ids into ``there``."""
        duplicates: list[int] = []
        rejected = list(self.rejected)
        before = len(new)
        for place, row in self.events:
            if row["event_id"] in there:
                duplicates.append(place)
            elif reason := refusals.reason(row):
                rejected.append((place, reason))
            else:
                there.add(row["event_id"])
                new.append(row)
        return Posted(len(new) - before, tuple(duplicates), tuple(sorted(rejected)))


@dataclass(frozen=True)
class _Refusals:
    """What only the database knows about some events: users who were erased, decisions that there are."""

    barred: dict[str, int]
    decisions: set[str]

    @classmethod
    def of(cls, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> "_Refusals":
        cited = {row["recommendation_id"] for row in rows} - {None}
        return cls(
            barred(connection, {row["user_id"] for row in rows}),
            known(connection, decisions.c.recommendation_id, sorted(cited)),
        )

    def reason(self, row: Mapping[str, Any]) -> str | None:
        if row["time"] <= self.barred.get(row["user_id"], -1):
            return "user_id: this user was erased; events from after the user's row is put again are taken"
        cited = row["recommendation_id"]
        if cited is not None and cited not in self.decisions:
            return (
                f"recommendation_id: no decision {cited!r} is logged; leave it out to have the event counted"
            )
        return None


def post_job(batch: Sequence[Event]) -> Post:
    """The events of a batch as a job; those that cannot be taken, with their reasons, beside it."""
    rows: list[tuple[int, dict[str, Any]]] = []
    rejected: list[tuple[int, str]] = []
    latest = now() + _DAY
    for place, event in enumerate(batch):
        try:
            reason = complaint(event, latest)
            if reason is None:
                rows.append((place, _row(event)))
                continue
        except DataError as error:  # a context that is no JSON
            reason = str(error)
        rejected.append((place, reason))
    return Post(len(rows), rows, rejected)


def _row(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "user_id": event.user_id,
        "item_id": event.item_id,
        "kind": event.kind,
        "time": event.time,
        "value": event.value,
        "recommendation_id": event.recommendation_id,
        "slot": event.slot,
        "session_id": event.session_id,
        "context": to_json(dict(event.context), "context") if event.context else None,
    }


_LAST = sa.select(sa.func.max(events.c.sequence))
_COLUMNS = [c for c in events.c if c is not events.c.sequence]


def since(connection: sa.Connection, sequence: int, limit: int) -> list[tuple[int, Event]]:
    """The events after a sequence number, in the order of their commits, each with its own number."""
    chosen = sa.select(events.c.sequence, *_COLUMNS).where(events.c.sequence > sequence)
    rows = connection.execute(chosen.order_by(events.c.sequence).limit(limit))
    return [(row[0], _event(row)) for row in rows]


def dismissed(connection: sa.Connection, until: int) -> list[tuple[str, str]]:
    """The pairs that were dismissed up to a sequence number, and not liked, bought or put into the cart since."""
    e, later = events.c, events.alias()
    same = (later.c.user_id == e.user_id) & (later.c.item_id == e.item_id) & (later.c.sequence <= until)
    back = sa.exists().where(same, later.c.time >= e.time, later.c.kind.in_(TAKES_BACK))
    is_dismissal = e.kind == sa.literal_column("'dismiss'")  # spelt out, so that the partial index is used
    chosen = sa.select(e.user_id, e.item_id).where(is_dismissal, e.sequence <= until, ~back).distinct()
    return [(user, item) for user, item in connection.execute(chosen)]


def _event(row: sa.Row[Any]) -> Event:
    fields = row._asdict()
    del fields["sequence"]
    return Event(**fields | {"context": from_json(row.context)})


def histories(
    connection: sa.Connection, user_ids: Sequence[str], kinds: Sequence[str], limit: int | None
) -> dict[str, list[Interaction]]:
    """What each user did, oldest first: all of it, or the newest ``limit``."""
    found: dict[str, list[Interaction]] = {user: [] for user in user_ids}
    statement = _ALL if limit is None else _NEWEST
    for some in chunks(list(found)):
        for user, *rest in connection.execute(
            statement, {"users": some, "kinds": list(kinds), "limit": limit}
        ):
            found[user].append(Interaction(*rest))
    return found


_HISTORY = [events.c[name] for name in ("user_id", "item_id", "kind", "value", "time")]
_OF_USERS = events.c.user_id.in_(sa.bindparam("users", expanding=True)) & events.c.kind.in_(
    sa.bindparam("kinds", expanding=True)
)


_ALL = sa.select(*_HISTORY).where(_OF_USERS).order_by(events.c.time, events.c.sequence)


def _newest() -> sa.Select[Any]:
    e = events.c
    age = sa.func.row_number().over(partition_by=e.user_id, order_by=[e.time.desc(), e.sequence.desc()])
    aged = sa.select(*_HISTORY, e.sequence, age.label("age")).where(_OF_USERS).subquery()
    kept = sa.select(*(aged.c[c.name] for c in _HISTORY)).where(aged.c.age <= sa.bindparam("limit"))
    return kept.order_by(aged.c.time, aged.c.sequence)


_NEWEST = _newest()
