"""A table of who did what, put into the store as events, with what is known of users and items."""

import hashlib
import math
import time
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError
from tastemaker.progress import current
from tastemaker.service.store import Event, Item, Posted, Store, User

__all__ = ["Imported", "import_dataset"]

_AT_ONCE = 2000


class Imported(NamedTuple):
    """How much is in the store now that was not before: events, and rows of users and items that were put."""

    events: int
    duplicates: int
    users: int
    items: int


def import_dataset(store: Store, data: Dataset, kind: str) -> Imported:
    """Put all of a Dataset into the store; doing it again adds nothing.

    Args:
        store: where to.
        data: ids become text; interactions become events of one kind, with the ratings as their values. Without times they
            happen now.
        kind: of the events; ``rating`` for a table with ratings.

    Raises:
        DataError: for what the store does not take, with the first reason.
    """
    users = _rows(data.users, data.user_features)
    items = _rows(data.items, data.item_features)
    for start in range(0, len(users), _AT_ONCE):
        store.put_users([User(*row) for row in users[start : start + _AT_ONCE]]).result()
    for start in range(0, len(items), _AT_ONCE):
        store.put_items([Item(*row) for row in items[start : start + _AT_ONCE]]).result()
    accepted = duplicates = 0
    with current().start("import", total=len(data), unit="event") as task:
        for batch in _events(data, kind):
            posted = _checked(store.post(batch).result())
            accepted, duplicates = accepted + posted.accepted, duplicates + len(posted.duplicates)
            task.advance(len(batch))
    return Imported(accepted, duplicates, len(users), len(items))


def _checked(posted: Posted) -> Posted:
    if posted.rejected:
        reason = posted.rejected[0][1]
        raise DataError(f"{len(posted.rejected)} events of a batch cannot be taken, the first: {reason}")
    return posted


def _rows(ids: Vocabulary, features: pl.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Id and features, as JSON can hold them, of each user or item."""
    names = [str(name) for name in ids.ids.to_list()]
    if not features.width:
        return [(name, {}) for name in names]
    rows = features.to_dicts()
    return [
        (name, {key: _plain(value) for key, value in row.items()})
        for name, row in zip(names, rows, strict=True)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _events(data: Dataset, kind: str) -> Iterator[list[Event]]:
    """The interactions as events; the id of each follows from what it says, so that the same is the same when it comes again."""
    users = [str(name) for name in data.users.ids.to_list()]
    items = [str(name) for name in data.items.ids.to_list()]
    timed, now = data.schema.timestamp is not None, time.time_ns() // 1000
    for start in range(0, len(data), _AT_ONCE):
        at = slice(start, start + _AT_ONCE)
        columns = (data.user[at], data.item[at], data.value[at], data.timestamp[at])
        yield [
            _event(
                kind, users[user], items[item], value if data.schema.explicit else None, moment, timed, now
            )
            for user, item, value, moment in zip(*(column.tolist() for column in columns), strict=True)
        ]


def _event(kind: str, user: str, item: str, value: float | None, moment: int, timed: bool, now: int) -> Event:
    said = "\x1f".join([kind, user, item, "" if value is None else repr(value), str(moment) if timed else ""])
    return Event(
        event_id=f"import-{hashlib.sha256(said.encode()).hexdigest()[:32]}",
        user_id=user,
        item_id=item,
        kind=kind,
        time=moment if timed else now,
        value=value,
    )
