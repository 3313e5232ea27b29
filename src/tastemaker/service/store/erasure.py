"""Erasure of a user: every row goes, and a salted hash of the id remains, so that a retry of an old event brings nothing back.

What a fitted model still holds: a model keeps the ids and histories of the data that it was fitted on until it is fitted
anew; :meth:`Store.dataset` no longer has the user.
"""

import hmac
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from tastemaker.service.store.tables import decisions, erased, events, settings, users
from tastemaker.service.store.values import chunks, now

__all__ = ["Erased", "barred", "erase", "let_return"]

_FOREVER = 2**63 - 1
_ANYBODY = sa.select(sa.exists().select_from(erased))


@dataclass(frozen=True)
class Erased:
    """How many rows of a user went from each table."""

    events: int
    decisions: int
    users: int


def erase(connection: sa.Connection, user_id: str) -> Erased:
    """Delete the user's row and events, and the decisions made for the user, before the login too."""
    e, d = events.c, decisions.c
    cited = sa.select(e.recommendation_id).where(e.user_id == user_id, e.recommendation_id.is_not(None))
    for_them = (d.user_id == user_id) | (d.user_id.is_(None) & d.recommendation_id.in_(cited))
    gone = Erased(
        decisions=connection.execute(decisions.delete().where(for_them)).rowcount,
        events=connection.execute(events.delete().where(e.user_id == user_id)).rowcount,
        users=connection.execute(users.delete().where(users.c.user_id == user_id)).rowcount,
    )
    digest = _hash(_salt(connection), user_id)
    connection.execute(erased.delete().where(erased.c.hash == digest))
    connection.execute(erased.insert(), {"hash": digest, "time": now(), "returned": None})
    return gone


def barred(connection: sa.Connection, user_ids: Collection[str]) -> dict[str, int]:
    """Of ``user_ids`` those that were erased, each with the time up to which nothing more is taken from them."""
    if not user_ids or not connection.scalar(_ANYBODY):
        return {}
    salt = _salt(connection)
    of_hash = {_hash(salt, user): user for user in user_ids}
    found: dict[str, int] = {}
    for some in chunks(list(of_hash)):
        rows = connection.execute(sa.select(erased.c.hash, erased.c.returned).where(erased.c.hash.in_(some)))
        found |= {of_hash[digest]: _FOREVER if returned is None else returned for digest, returned in rows}
    return found


def let_return(connection: sa.Connection, user_ids: Collection[str]) -> None:
    """Take events again, from now on, of those who were erased and whose rows are put again."""
    gone = [user for user, until in barred(connection, user_ids).items() if until == _FOREVER]
    salt = _salt(connection) if gone else b""
    for some in chunks([_hash(salt, user) for user in gone]):
        connection.execute(erased.update().where(erased.c.hash.in_(some)).values(returned=now()))


def _salt(connection: sa.Connection) -> bytes:
    salt: str = connection.execute(sa.select(settings.c.value).where(settings.c.name == "salt")).scalar_one()
    return bytes.fromhex(salt)


def _hash(salt: bytes, user_id: str) -> str:
    return hmac.digest(salt, user_id.encode(), "sha256").hex()
