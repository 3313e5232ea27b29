"""Which SQL text is a condition and nothing else: no query, which could read files, no function that could fill the memory.

Conditions come from callers of a service, too. So what is not known to be harmless is refused; a Polars expression, which only
a program can make, may do more.
"""

import re

from tastemaker.errors import DataError

__all__ = ["FUNCTIONS", "check_condition"]

_CALLED = """
    abs cbrt ceil ceiling exp floor greatest least ln log log10 log1p log2 mod pow power round sign sqrt
    cast coalesce if ifnull nullif try_cast
    bit_length char_length ends_with initcap left length lower ltrim octet_length position regexp_like reverse right rtrim
    starts_with strpos substr substring trim upper
    array_contains array_get array_length array_mean array_sum
    date date_part day extract hour minute month quarter second strftime strptime time timestamp week year
    avg count max median min sum
    char decimal numeric varchar
"""
_BEFORE_BRACKETS = "all and any between case else ilike in is like not or regexp rlike then when"
FUNCTIONS = frozenset(_CALLED.split())
"""What may be called, in lower case."""

_WORDS = frozenset(_BEFORE_BRACKETS.split())
_QUERIES = frozenset(("select", "table", "values", "with"))
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
    | (?P<text>'(?:[^']|'')*')
    | (?P<name>"(?:[^"]|"")*"|`[^`]*`|[^\W\d]\w*)(?P<call>\s*\()?
    | (?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)
    | (?P<comment>--|/\*)
    | (?P<sign>[-+*/%<>=!|~^(),.:\[\]])
    """,
    re.VERBOSE,
)


def check_condition(text: str) -> None:
    """Refuse text that is more than a condition.

    Raises:
        DataError: for a query, a comment, a function that is not among :data:`FUNCTIONS`, or what cannot be read.

    >>> check_condition("year >= 2010 AND lower(title) LIKE 'heat%'")
    >>> check_condition("year IN (SELECT year FROM read_csv('films.csv'))")
    Traceback (most recent call last):
    tastemaker.errors.DataError: filter: a condition has no queries in it, got 'SELECT'
    """
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token["comment"]:
            raise DataError(f"filter: {text[at : at + 20]!r} cannot stand in a condition")
        if token["name"]:
            _check_name(token["name"], bool(token["call"]))
            if not token["call"] and text.startswith("'", token.end()):  # E'…' ends by rules of its own
                raise DataError(f"filter: put a space between {token['name']} and the text after it")
        at = token.end()


def _check_name(name: str, called: bool) -> None:
    quoted, word = name[0] in '"`', name.strip('"`').lower()
    if not quoted and word in _QUERIES:
        raise DataError(f"filter: a condition has no queries in it, got {name!r}")
    if called and word not in FUNCTIONS and (quoted or word not in _WORDS):
        raise DataError(
            f"filter: a condition in text cannot call {name}; there are: {', '.join(sorted(FUNCTIONS))}"
        )
