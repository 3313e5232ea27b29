"""The tables of the store, the same in SQLite and PostgreSQL. The migrations make them; a test holds the two together."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = ["decisions", "erased", "events", "features", "items", "keys", "metadata", "settings", "users"]

metadata = MetaData()

# All times are microseconds since 1970, UTC.
_Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by themselves only in an INTEGER

_DISMISSAL = text("kind = 'dismiss'")

events = Table(
    "events",
    metadata,
    Column("sequence", _Number, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("value", Double),
    Column("recommendation_id", Text),
    Column("slot", Integer),
    Column("session_id", Text),
    Column("context", Text),  # JSON
    UniqueConstraint("event_id", name="events_once"),
    Index("events_of_user", "user_id", "time"),
    Index("events_dismissed", "sequence", sqlite_where=_DISMISSAL, postgresql_where=_DISMISSAL),
    sqlite_autoincrement=True,  # the number of an erased event is never given again
)

decisions = Table(
    "decisions",
    metadata,
    Column("recommendation_id", Text, primary_key=True),
    Column("user_id", Text),
    Column("history", Text, nullable=False),  # JSON
    Column("surface", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("policy_version", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("k", Integer, nullable=False),
    Column("slots", Text, nullable=False),  # JSON: one list a field of Slot
    Column("log_probability", Double, nullable=False),
    Column("request", Text, nullable=False),  # JSON
    Column("meta", Text, nullable=False),  # JSON
    Column(
        "record", LargeBinary
    ),  # candidates, utilities and all else the list was drawn from: policy.replay.Record
    Index("decisions_of_user", "user_id"),
)

items = Table(
    "items",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("features", Text, nullable=False),  # JSON
    Column("search", Text, nullable=False),  # its words, folded
    Column("updated", BigInteger, nullable=False),
    Column("deleted", BigInteger),  # when; the row stays, so that a model that knows the item keeps it hidden
    Column(
        "change", BigInteger, nullable=False
    ),  # the number of the last one: who reads on from a number misses none
    Index("items_by_change", "change"),
)

users = Table(
    "users",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("features", Text, nullable=False),  # JSON
    Column("search", Text, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

features = Table(
    "features",
    metadata,
    Column("table", Text, primary_key=True),  # items, users
    Column("name", Text, primary_key=True),
    Column("type", Text, nullable=False),
)

erased = Table(
    "erased",
    metadata,
    Column("hash", Text, primary_key=True),  # salted: the id itself is gone
    Column("time", BigInteger, nullable=False),
    Column("returned", BigInteger),  # when the user's row was put again
)

keys = Table(
    "keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),  # SHA-256 of the whole key
    Column("scopes", Text, nullable=False),  # by comma
    Column("created", BigInteger, nullable=False),
    Column("revoked", BigInteger),
)

settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
