"""What a value in the store must look like: ids, JSON, numbers. What is refused is refused with its reason."""

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa

from tastemaker.errors import DataError

__all__ = [
    "chunks",
    "complaint_about_id",
    "from_json",
    "is_mapping",
    "is_number",
    "known",
    "now",
    "to_json",
]

_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}")
_AT_ONCE = 1000  # values in one statement
_LONGEST_JSON = 65_536
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"), ensure_ascii=False)

T = TypeVar("T")


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def complaint_about_id(value: Any, what: str) -> str | None:
    """What is wrong with an id; None if nothing is.

    >>> complaint_about_id("squid-game", "item_id")
    >>> complaint_about_id("", "item_id")
    "item_id: expected text of 1 to 256 characters without control characters, got ''"
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        return None
    shown = repr(value if not isinstance(value, str) else value[:40])
    return f"{what}: expected text of 1 to 256 characters without control characters, got {shown}"


def to_json(value: Any, what: str, longest: int = _LONGEST_JSON) -> str:
    """Compact JSON of at most ``longest`` bytes.

    Raises:
        DataError: for what JSON cannot hold (NaN, objects), what UTF-8 cannot (lone surrogates), or too much of it.
    """
    try:
        text = _JSON.encode(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{what}: expected JSON, got {str(value)[:80]!r} ({error})") from error
    if size > longest:
        raise DataError(f"{what}: {size:,} bytes of JSON are more than {longest:,}")
    return text


def from_json(text: str | None) -> Any:
    """The value of :func:`to_json`; an empty mapping for none."""
    return json.loads(text) if text else {}


def is_number(value: Any) -> bool:
    """Whether the value is a finite number (True is none)."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_mapping(value: Any) -> bool:
    """Whether the value is a mapping from text."""
    return isinstance(value, dict | Mapping) and all(isinstance(key, str) for key in value)


def chunks(values: Sequence[T], size: int = _AT_ONCE) -> Iterator[Sequence[T]]:
    """Stretches of ``values``, short enough for one statement."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def known(connection: sa.Connection, column: sa.Column[Any], values: Sequence[str]) -> set[str]:
    """Those of ``values`` that the column holds."""
    found: set[str] = set()
    for some in chunks(values):
        found.update(connection.scalars(_those(column), {"some": some}))
    return found


@cache
def _those(column: sa.Column[Any]) -> sa.Select[Any]:
    """Statements are built once: that takes as long as to run them."""
    return sa.select(column).where(column.in_(sa.bindparam("some", expanding=True)))
