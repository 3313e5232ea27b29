"""The templates, with the few filters that they use. All text is escaped; a name that is not given is an error."""

import math
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

__all__ = ["STATIC", "environment", "name_of", "query_of"]

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@cache
def environment() -> Environment:
    """The templates of this package."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "name": name_of,
        "number": number,
        "path": lambda text: quote(str(text), safe=""),
        "share": share,
    }
    made.globals["static"] = _static
    return made


@cache
def _static(name: str) -> str:
    """The address of a file of ours; it changes with the file, so that browsers may keep it."""
    return f"/static/{name}?v={int((STATIC / name).stat().st_mtime):x}"


def name_of(user_id: str) -> str:
    """A user's id as one would say it.

    >>> name_of("alice"), name_of("mary-ann"), name_of("u7@x")
    ('Alice', 'Mary Ann', 'u7@x')
    """
    words = user_id.replace("_", "-").split("-")
    return " ".join(map(str.capitalize, words)) if all(word.isalpha() for word in words) else user_id


def number(value: Any) -> str:
    """A score, short.

    >>> number(0.94312), number(None)
    ('0.943', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.3g}"


def share(value: float) -> str:
    """A probability or a share in percent.

    >>> share(1.0), share(0.0312), share(0.00004)
    ('100%', '3.1%', '0.004%')
    """
    percent = 100 * value
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.2g}%"


def query_of(**parts: str | None) -> str:
    """The parts that are given, as the query of an address.

    >>> query_of(user="a b", q=None)
    '?user=a+b'
    """
    given = {name: value for name, value in parts.items() if value}
    return f"?{urlencode(given)}" if given else ""
