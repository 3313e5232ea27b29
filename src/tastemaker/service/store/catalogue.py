"""Items and users: put whole, read by id, found by their words."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_into_postgres
from sqlalchemy.dialects.sqlite import insert as insert_into_sqlite

from tastemaker.errors import DataError
from tastemaker.service.store import features as typed
from tastemaker.service.store.erasure import let_return
from tastemaker.service.store.features import Table
from tastemaker.service.store.tables import items, settings, users
from tastemaker.service.store.values import chunks, complaint_about_id, from_json, now, to_json

__all__ = [
    "GLANCE",
    "Change",
    "Item",
    "RejectedRows",
    "User",
    "changes",
    "delete_item",
    "find_items",
    "find_users",
    "hidden",
    "putting",
    "read_items",
    "read_users",
]

_SHOWN = 3
_LONGEST_SEARCH = 2000  # characters of an item's words


@dataclass(frozen=True, slots=True)
class Item:
    """An item: its id and features (JSON), and when they were put (microseconds since 1970)."""

    item_id: str
    features: Mapping[str, Any] = field(default_factory=dict)
    updated: int = 0


@dataclass(frozen=True, slots=True)
class User:
    """A user: id and features (JSON), and when they were put (microseconds since 1970)."""

    user_id: str
    features: Mapping[str, Any] = field(default_factory=dict)
    updated: int = 0


class Change(NamedTuple):
    """The last thing that happened to an item.

    Attributes:
        number: rising with every change of any item, in the order of their commits.
        item: as it is now; without features if it was deleted.
        deleted: whether it was.
    """

    number: int
    item: Item
    deleted: bool


class RejectedRows(DataError):  # noqa: N818 - what it holds
    """Rows that cannot be taken; none of their batch was.

    Attributes:
        rejected: the place of each in the batch, and the reason.
    """

    def __init__(self, rejected: Sequence[tuple[int, str]]) -> None:
        self.rejected = tuple(rejected)
        shown = "; ".join(f"row {place + 1}: {reason}" for place, reason in self.rejected[:_SHOWN])
        more = " …" if len(self.rejected) > _SHOWN else ""
        super().__init__(f"{len(self.rejected)} rows cannot be taken, and none was: {shown}{more}")


def putting(table: Table, rows: Sequence[Item] | Sequence[User]) -> Callable[[sa.Connection], int]:
    """What puts the rows, each in place of one with its id. All of them are taken, or none.

    The function raises RejectedRows for ids or features that cannot be taken.
    """
    key = "item_id" if table == "items" else "user_id"
    given = [_prepared(table, getattr(row, key), row.features) for row in rows]

    def put(connection: sa.Connection) -> int:
        typed.declare(connection, table, _check(given, typed.schema(connection, table)))
        if table == "users":
            let_return(connection, [row.id for row in given])
        _upsert(connection, table, given)
        return len(given)

    return put


class _Prepared(NamedTuple):
    """A row as it will be written, or what is wrong with it."""

    id: str
    features: Mapping[str, Any]
    json: str
    wrong: str | None


def _prepared(table: Table, id_: str, values: Mapping[str, Any]) -> _Prepared:
    wrong = complaint_about_id(id_, "id") or typed.complaint(values, table)
    if wrong is None:
        try:
            return _Prepared(id_, values, to_json(dict(values), f"features of {id_!r}"), None)
        except DataError as error:
            wrong = str(error)
    return _Prepared(id_, {}, "", wrong)


def _check(
    given: Sequence[_Prepared], types: Mapping[str, typed.FeatureType]
) -> dict[str, typed.FeatureType]:
    """What the rows declare; or RejectedRows."""
    new: dict[str, typed.FeatureType] = {}
    rejected = []
    for place, row in enumerate(given):
        there = {**types, **new}
        wrong = row.wrong or typed.misfit(row.features, there)
        if wrong is None:
            new |= typed.learned(row.features, there)
        else:
            rejected.append((place, wrong))
    if rejected:
        raise RejectedRows(rejected)
    return new


def _upsert(connection: sa.Connection, table: Table, given: Sequence[_Prepared]) -> None:
    target = items if table == "items" else users
    key = target.primary_key.columns[0].name
    moment = now()
    rows = {  # of an id that comes twice the last
        row.id: {key: row.id, "features": row.json, "search": _words(row.id, row.features), "updated": moment}
        for row in given
    }
    sqlite = connection.dialect.name == "sqlite"
    insert: Any = (insert_into_sqlite if sqlite else insert_into_postgres)(target)
    changes = {name: insert.excluded[name] for name in ("features", "search", "updated")}
    if table == "items":
        number = _next_change(connection)
        rows = {id_: row | {"change": number} for id_, row in rows.items()}
        changes |= {"deleted": sa.null(), "change": insert.excluded["change"]}
    statement = insert.on_conflict_do_update(index_elements=[key], set_=changes)
    for some in chunks(list(rows.values())):
        connection.execute(statement, some)


def _words(id_: str, values: Mapping[str, Any]) -> str:
    """The text that a search looks through: title first, then the id and every other text, folded."""
    title = values.get("title")
    texts = [title] if isinstance(title, str) else []
    texts.append(id_)
    for name, value in values.items():
        if name != "title":
            texts += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return _folded(" ".join(texts))[:_LONGEST_SEARCH]


def _folded(text: str) -> str:
    """Without case, accents and control characters.

    >>> _folded("Amélie  POULAIN")
    'amelie poulain'
    """
    if text.isascii():
        letters: Iterable[str] = text.lower()
    else:
        letters = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isprintable() else " " for c in letters).split())


def delete_item(connection: sa.Connection, item_id: str) -> bool:
    """Empty an item's row and mark it deleted; whether it was there."""
    there = (items.c.item_id == item_id) & items.c.deleted.is_(None)
    gone = {"features": "{}", "search": "", "deleted": now(), "updated": now()}
    gone["change"] = _next_change(connection)
    return connection.execute(items.update().where(there).values(gone)).rowcount > 0


def _next_change(connection: sa.Connection) -> int:
    """One more than the number of the last change of an item."""
    value = settings.c.value
    one_more = sa.cast(sa.cast(value, sa.BigInteger) + 1, sa.Text)
    connection.execute(settings.update().where(settings.c.name == "changes").values(value=one_more))
    return int(connection.execute(sa.select(value).where(settings.c.name == "changes")).scalar_one())


def changes(connection: sa.Connection, after: int, limit: int) -> list[Change]:
    """The items that changed after a change, in the order of their last ones; at least ``limit`` if there are so many."""
    i = items.c
    chosen = sa.select(i.item_id, i.features, i.updated, i.deleted, i.change).where(i.change > after)
    last = connection.scalar(chosen.with_only_columns(i.change).order_by(i.change).offset(limit).limit(1))
    if last is not None:  # all of one change: the next look begins after it
        chosen = chosen.where(i.change <= last)
    return [
        Change(change, Item(id_, from_json(values), updated), deleted is not None)
        for id_, values, updated, deleted, change in connection.execute(chosen.order_by(i.change, i.item_id))
    ]


_ITEM = sa.select(items.c.item_id, items.c.features, items.c.updated).where(items.c.deleted.is_(None))
_USER = sa.select(users.c.user_id, users.c.features, users.c.updated)
_SOME: sa.BindParameter[Any] = sa.bindparam("some", expanding=True)
_THESE_ITEMS = _ITEM.where(items.c.item_id.in_(_SOME))
_THESE_USERS = _USER.where(users.c.user_id.in_(_SOME))


def read_items(connection: sa.Connection, item_ids: Sequence[str] | None) -> list[Item]:
    """The items with these ids that are there, in this order; all of them, by id, if None is given."""
    if item_ids is None:
        rows = connection.execute(_ITEM.order_by(items.c.item_id))
        return [Item(id_, from_json(values), updated) for id_, values, updated in rows]
    found: dict[str, Item] = {}
    for some in chunks(item_ids):
        for id_, values, updated in connection.execute(_THESE_ITEMS, {"some": some}):
            found[id_] = Item(id_, from_json(values), updated)
    return [found[id_] for id_ in item_ids if id_ in found]


def read_users(connection: sa.Connection, user_ids: Sequence[str]) -> list[User]:
    """The users with these ids that have a row, in this order."""
    found: dict[str, User] = {}
    for some in chunks(user_ids):
        for id_, values, updated in connection.execute(_THESE_USERS, {"some": some}):
            found[id_] = User(id_, from_json(values), updated)
    return [found[id_] for id_ in user_ids if id_ in found]


GLANCE = "SELECT features, updated FROM users WHERE user_id = ?"
"""For :meth:`Database.glance`."""


def hidden(connection: sa.Connection) -> list[str]:
    """The ids of deleted items, which a model may still know."""
    return list(connection.scalars(sa.select(items.c.item_id).where(items.c.deleted.is_not(None))))


def find_items(connection: sa.Connection, text: str, limit: int) -> list[Item]:
    """Items in whose words all words of ``text`` occur; those whose title begins with it first, then short ones."""
    there = items.c.deleted.is_(None)
    return [Item(*row) for row in _find(connection, items, text, limit, there)]


def find_users(connection: sa.Connection, text: str, limit: int) -> list[User]:
    """Users in whose words all words of ``text`` occur, in the order of :func:`find_items`."""
    return [User(*row) for row in _find(connection, users, text, limit, sa.true())]


def _find(
    connection: sa.Connection, table: sa.Table, text: str, limit: int, there: sa.ColumnElement[bool]
) -> list[tuple[str, Mapping[str, Any], int]]:
    key, words = table.primary_key.columns[0], table.c.search
    folded = _folded(text)
    matches = [words.contains(word, autoescape=True) for word in folded.split()]
    begins = words.startswith(folded, autoescape=True)
    chosen = sa.select(key, table.c.features, table.c.updated).where(there, *matches)
    rows = connection.execute(chosen.order_by(begins.desc(), sa.func.length(words), key).limit(limit))
    return [(id_, from_json(values), updated) for id_, values, updated in rows]
