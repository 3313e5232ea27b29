"""What the templates draw: cards, rows and strips of taste, made from items and slots."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tastemaker.service.web.art import PALETTES, Cover, cover, palette_of
from tastemaker.service.web.templating import query_of

__all__ = ["Card", "Row", "Segment", "card_of", "features_of", "taste_of"]

Features = Mapping[str, Any]

_TITLES = ("title", "name", "label")
_KINDS = ("genres", "genre", "categories", "category", "kind", "type")
_ABOUT = ("description", "about", "summary", "text")
_YEARS = ("year", "released", "published")


@dataclass(frozen=True, kw_only=True)
class Card:
    """An item as a page shows it, and if it stands in a list that was logged, where.

    Attributes:
        line: kinds and year, on one line.
        about: a few sentences on it.
        elsewhere: its place in the list that this one is compared with.
    """

    item_id: str
    title: str
    line: str
    about: str
    cover: Cover
    href: str
    picture: str = ""
    reason: str = ""
    liked: bool = False
    recommendation_id: str = ""
    slot: int = 0
    score: float | None = None
    propensity: float = 1.0
    role: str = "exploit"
    source: str = ""
    elsewhere: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of cards under a heading; ``about`` is the item that it is about, ``tail`` the end of the heading after it."""

    surface: str
    title: str
    cards: Sequence[Card]
    about: str = ""
    about_id: str = ""
    tail: str = ""
    note: str = ""
    empty: str = ""
    wide: bool = False
    as_user: str = ""


@dataclass(frozen=True)
class Segment:
    """A part of a strip of taste, in thousandths of its width."""

    name: str
    start: int
    width: int
    percent: int
    colour: str


def card_of(item_id: str, features: Features, user: str | None, **more: Any) -> Card:
    """The card of an item.

    Args:
        item_id: the item.
        features: what is known about it.
        user: for whom the page is.
        more: further attributes of the card.
    """
    kinds = _kinds(features)
    year = _first(features, _YEARS)
    picture = features.get("picture")
    return Card(
        item_id=item_id,
        title=title_of(item_id, features),
        line=" · ".join([*kinds[:3], *([year] if year else [])]),
        about=_first(features, _ABOUT),
        cover=cover(item_id, kinds[0] if kinds else ""),
        picture=picture if isinstance(picture, str) and _is_ours(picture) else "",
        href=f"/item/{quote(item_id, safe='')}{query_of(user=user)}",
        **more,
    )


def _is_ours(address: str) -> bool:
    """Whether an address is of this host: pages ask no other one.

    >>> _is_ours("/covers/heat.jpg"), _is_ours("//elsewhere.example/heat.jpg")
    (True, False)
    """
    return address.startswith("/") and not address.startswith(("//", "/\\"))


def title_of(item_id: str, features: Features) -> str:
    """What to call an item: its title or name if it has one, else its id."""
    return _first(features, _TITLES) or item_id


def features_of(features: Features) -> list[tuple[str, str]]:
    """The features of an item that its page does not show elsewhere, in words.

    >>> features_of({"title": "Heat", "price": 3.5, "cast": ["A", "B"]})
    [('Price', '3.5'), ('Cast', 'A, B')]
    """
    hidden = {*_TITLES, *_ABOUT, "picture"}
    shown = [
        (name, value)
        for name, value in features.items()
        if name not in hidden and value not in (None, [], "")
    ]
    return [(name.replace("_", " ").capitalize(), _in_words(value)) for name, value in shown]


def taste_of(history: Iterable[Features], most: int = 6) -> list[Segment]:
    """Of what kinds the items of a history are, the most frequent first; an item of two kinds counts half for each.

    >>> [(s.name, s.start, s.width) for s in taste_of([{"genre": "noir"}, {"genres": ["noir", "war"]}])]
    [('noir', 0, 750), ('war', 750, 250)]
    """
    counts: Counter[str] = Counter()
    for features in history:
        kinds = _kinds(features)
        counts.update({kind: 1 / len(kinds) for kind in kinds})
    total, found = sum(counts.values()), counts.most_common()
    parts = [(name, count, _colour(name)) for name, count in found[:most]]
    rest = sum(count for _, count in found[most:])
    parts += [("other", rest, "#8b949c")] if rest else []
    made, start = [], 0.0
    for name, count, colour in parts:
        stop = start + count / total
        made.append(
            Segment(
                name,
                round(1000 * start),
                round(1000 * stop) - round(1000 * start),
                round(100 * count / total),
                colour,
            )
        )
        start = stop
    return made


def _colour(kind: str) -> str:
    """The colour that stands for a kind: the strongest of its palette."""
    palette = PALETTES[palette_of(kind)]
    return palette.sign


def _kinds(features: Features) -> list[str]:
    for name in _KINDS:
        value = features.get(name)
        if isinstance(value, str) and value:
            return value.split("|")
        if isinstance(value, list | tuple) and value:
            return [str(v) for v in value]
    return []


def _first(features: Features, names: Sequence[str]) -> str:
    return next((str(features[name]) for name in names if features.get(name) not in (None, "", [])), "")


def _in_words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
