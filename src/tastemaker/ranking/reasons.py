"""Why an item is in a list: what brought it its score, and how to say so."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Literal

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.history import History
from tastemaker.data.queries import Queries

__all__ = ["Explanation", "Reason", "headlines", "in_words", "label"]

_TITLES = ("title", "name")


@dataclass(frozen=True)
class Reason:
    """One thing that brought an item its score.

    Attributes:
        kind: ``item`` (one of the user's own), ``feature`` (of the item), ``user`` (a neighbour) or ``popularity``.
        what: the id of the item or user (a code inside the package), or the name of the feature.
        contribution: its part of the score, in the score's own unit.
        text: the reason in words, when the model has better ones than the kind's own (``shares genre Drama``).
    """

    kind: Literal["item", "feature", "user", "popularity"]
    what: Any
    contribution: float
    text: str = ""


def label(catalogue: Catalogue, item: int) -> str:
    """What to call an item in print: its title or name if it has one, else its id."""
    for column in _TITLES:
        if column in catalogue.item_features.columns:
            title = catalogue.item_features[column][item]
            if title:
                return str(title)
    return str(catalogue.items.decode_list([item])[0])


def headlines(row: list[list[Reason]]) -> list[list[Reason]]:
    """The reasons of a list's slots, the one to print first: items before features, the strongest first.

    A list in which every slot says the same tells little, so a reason counts half when it has headed one slot already, a third
    after two, and so on.

    >>> both = [Reason("item", 1, 0.9), Reason("item", 2, 0.8)]
    >>> [slot[0].what for slot in headlines([both, both, both])]
    [1, 2, 1]
    """
    used: Counter[Any] = Counter()
    ordered = []
    for reasons in row:
        rest = sorted(reasons, key=lambda r: (r.kind == "feature", -r.contribution))
        if rest:
            rivals = [r for r in rest if r.kind == rest[0].kind]
            first = max(rivals, key=lambda r: r.contribution / (1 + used[r.what]))
            used[first.what] += 1
            rest = [first, *(r for r in rest if r is not first)]
        ordered.append(rest)
    return ordered


def in_words(reason: Reason, catalogue: Catalogue, history: History) -> Reason:
    """The reason with ids for codes and a text; ``history`` is the one row of whoever asked."""
    if reason.kind == "item":
        text = _of_item(reason, catalogue, history)
        text = f"{text}, which {reason.text}" if reason.text else text
        return replace(reason, what=catalogue.items.decode_list([reason.what])[0], text=text)
    if reason.kind == "user":
        user = catalogue.users.decode_list([reason.what])[0]
        return replace(reason, what=user, text=reason.text or f"liked by {user}, whose taste is like yours")
    return replace(reason, text=reason.text or str(reason.what))


def _of_item(reason: Reason, catalogue: Catalogue, history: History) -> str:
    """An item of the user's own as a reason: liked, unless it was rated in the lower half of the scale."""
    title = label(catalogue, reason.what)
    ratings = history.value[history.indices == reason.what]
    if catalogue.schema.scale is not None and len(ratings):
        low, high = catalogue.schema.scale
        if ratings[-1] <= (low + high) / 2 and low < high:
            return f"because you gave {title} {ratings[-1]:g} of {high:g}"
    return f"{'because' if reason.contribution >= 0 else 'although'} you liked {title}"


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score for a user; prints as a short text."""

    user: Any
    item: Any
    title: str
    score: float
    score_kind: str
    reasons: tuple[Reason, ...]

    @classmethod
    def build(
        cls,
        catalogue: Catalogue,
        query: Queries,
        item: int,
        score: float,
        score_kind: str,
        reasons: list[Reason],
    ) -> "Explanation":
        """From codes and reasons in codes to names, strongest first."""
        ordered = sorted(reasons, key=lambda r: -abs(r.contribution))
        user = catalogue.users.decode_list(query.users)[0]
        words = tuple(in_words(r, catalogue, query.history) for r in ordered)
        return cls(
            user, catalogue.items.decode_list([item])[0], label(catalogue, item), score, score_kind, words
        )

    def __str__(self) -> str:
        head = f"{self.title} for {self.user}: {self.score_kind} {self.score:.4g}"
        lines = [f"{r.contribution:>+9.4f}  {r.text}" for r in self.reasons[:10]]
        more = [f"           … and {len(self.reasons) - 10} smaller ones"] if len(self.reasons) > 10 else []
        return "\n".join([head, *lines, *more])
