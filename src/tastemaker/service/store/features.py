"""Features of items and users: JSON with types, which the first value of each feature declares."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl
import sqlalchemy as sa

from tastemaker.errors import DataError
from tastemaker.service.store.tables import features
from tastemaker.service.store.values import is_mapping, is_number

__all__ = [
    "TYPES",
    "WINDOW",
    "FeatureType",
    "Table",
    "as_column",
    "complaint",
    "declare",
    "learned",
    "misfit",
    "moment",
    "schema",
    "type_of",
]

Table = Literal["items", "users"]
FeatureType = Literal["int", "float", "bool", "str", "list[str]", "datetime"]
TYPES: dict[FeatureType, pl.DataType] = {
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "str": pl.String(),
    "list[str]": pl.List(pl.String()),
    "datetime": pl.Datetime("us"),
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?")
_LONGEST_NAME = 128
_TAKEN = ("item_id", "user_id")
WINDOW = ("available_from", "available_until")
"""Features of an item that say when it may be shown; always times."""


def type_of(value: Any) -> FeatureType | None:
    """The type that a JSON value has; None for null, for an empty list, and for what no feature can be.

    >>> [type_of(v) for v in (3, 3.5, True, "tea", ["a", "b"], "2026-01-31T08:00:00Z", None, {})]
    ['int', 'float', 'bool', 'str', 'list[str]', 'datetime', None, None]
    """
    if isinstance(value, bool):
        return "bool"
    if is_number(value):
        return "int" if isinstance(value, int) else "float"
    if isinstance(value, str):
        return "datetime" if moment(value) is not None else "str"
    if isinstance(value, Sequence) and value and all(isinstance(v, str) for v in value):
        return "list[str]"
    return None


def moment(text: str) -> datetime | None:
    """The time, in UTC without a zone, of text such as ``2026-01-31T08:00:00Z``; None if it is no time.

    >>> moment("2026-01-31T08:00:00+01:00"), moment("soon")
    (datetime.datetime(2026, 1, 31, 7, 0), None)
    """
    if not _TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError):
        return None


def _fits(value: Any, kind: FeatureType) -> bool:
    """Whether a value can stand in a feature of this type, or of the type that it becomes."""
    found = type_of(value)
    if value is None or found == kind:
        return True
    if kind in ("int", "float"):  # JSON writes 10.0 as 10; where a fraction comes, an int becomes a float
        return found in ("int", "float")
    if kind == "str":
        return isinstance(value, str)
    return kind == "list[str]" and isinstance(value, list | tuple) and not value


def complaint(row: Any, table: Table) -> str | None:
    """Why the features of a row cannot be taken, whatever is declared; None if they can.

    >>> complaint({"available_from": "soon"}, "items")
    "feature 'available_from': expected a time such as 2026-01-31T08:00:00Z, got 'soon'"
    """
    if not is_mapping(row):
        return f"features: expected a mapping from names to values, got {row!r:.80}"
    for name, value in row.items():
        if not name or len(name) > _LONGEST_NAME or name in _TAKEN:
            return f"feature {name[:40]!r}: expected a name of 1 to {_LONGEST_NAME} characters that is not an id's"
        if value is not None and value != [] and type_of(value) is None:
            return f"feature {name!r}: expected one of {', '.join(TYPES)}, got {value!r:.80}"
        if table == "items" and name in WINDOW and value is not None and type_of(value) != "datetime":
            return f"feature {name!r}: expected a time such as 2026-01-31T08:00:00Z, got {value!r:.80}"
    return None


def misfit(row: Mapping[str, Any], types: Mapping[str, FeatureType]) -> str | None:
    """Which value of a row is of another type than is declared; None if all fit."""
    for name, value in row.items():
        if name in types and not _fits(value, types[name]):
            return f"feature {name!r}: expected {types[name]}, got {value!r:.80}"
    return None


def learned(row: Mapping[str, Any], types: Mapping[str, FeatureType]) -> dict[str, FeatureType]:
    """What a row adds to the declared types: new names; and float for an int, where a fraction comes."""
    new: dict[str, FeatureType] = {}
    for name, value in row.items():
        kind = type_of(value)
        if kind is not None and (name not in types or (types[name] == "int" and kind == "float")):
            new[name] = kind
    return new


def schema(connection: sa.Connection, table: Table) -> dict[str, FeatureType]:
    """The declared type of each feature, by name."""
    f = features.c
    chosen = sa.select(f.name, f.type).where(f.table == table).order_by(f.name)
    return {row.name: row.type for row in connection.execute(chosen)}


def declare(connection: sa.Connection, table: Table, types: Mapping[str, FeatureType]) -> None:
    """Set the types of features.

    Raises:
        DataError: for an unknown type, or one that differs from what rows there may have (an int may become a float).
    """
    there = schema(connection, table)
    for name, kind in types.items():
        if kind not in TYPES:
            raise DataError(f"feature {name!r}: expected one of {', '.join(TYPES)}, got {kind!r}")
        if there.get(name, kind) != kind and (there[name], kind) != ("int", "float"):
            raise DataError(f"feature {name!r} is {there[name]} and cannot become {kind}")
    for name, kind in types.items():
        same = (features.c.table == table) & (features.c.name == name)
        connection.execute(features.delete().where(same))
        connection.execute(features.insert(), {"table": table, "name": name, "type": kind})


def as_column(name: str, values: Sequence[Any], kind: FeatureType) -> pl.Series:
    """The values of one feature as a typed column; times without a zone, in UTC."""
    if kind == "datetime":
        values = [None if v is None else moment(v) for v in values]
    elif kind == "float":
        values = [None if v is None else float(v) for v in values]
    return pl.Series(name, values, dtype=TYPES[kind])
