"""A user's home screen: rows as a streaming service has them, each a list of its own in the log."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.service.asks import Answer, Ask
from tastemaker.service.engine import Engine
from tastemaker.service.people import Person
from tastemaker.service.web.templating import query_of
from tastemaker.service.web.view import Card, Row, card_of, taste_of, title_of

__all__ = ["cards_of", "home", "item_rows"]

_TOP, _ROW = 18, 14
_IN_VIEW = 8  # cards of a row that the rows below do not repeat


async def home(engine: Engine, user: str | None) -> dict[str, Any]:
    """What the template of the home screen draws."""
    person = await engine.person(user)
    liked, bought = person.favourites(2), person.last_taken()
    plan = [_Plan("home/top", "Top picks for you", k=_TOP, wide=True, explore=True)]
    plan += [_Plan("home/because", "Because you liked", seed=item, source="similar") for item in liked]
    if bought is not None:
        plan.append(
            _Plan(
                "home/also-bought",
                "Customers who bought",
                seed=bought,
                tail=" also bought",
                source="also_bought",
            )
        )
    plan.append(_Plan("home/trending", "Trending", note="What is taken most these days", source="trending"))
    plan.append(_Plan("home/new", "New", note="Just come in", source="new"))
    rows, degraded = await _rows(engine, user, person, plan)
    return {
        "page": "home",
        "user": user,
        "rows": rows,
        "facts": _facts(engine, person),
        "strip": taste_of(engine.features(person.items)),
        "degraded": degraded,
    }


async def item_rows(engine: Engine, user: str | None, item_id: str) -> list[Row]:
    """The rows on the page of an item."""
    person = await engine.person(user)
    plan = [
        _Plan("item/similar", "More like this", seed=item_id, source="similar", heading=False),
        _Plan("item/also-bought", "Customers who bought this also bought", seed=item_id, source="also_bought", heading=False),
    ]  # fmt: skip
    return (await _rows(engine, user, person, plan))[0]


@dataclass(frozen=True)
class _Plan:
    """A row to be filled."""

    surface: str
    title: str
    k: int = _ROW
    seed: str | None = None
    tail: str = ""
    note: str = ""
    source: str | None = None
    wide: bool = False
    explore: bool = False
    heading: bool = True  # whether the heading names the seed

    def ask(self, user: str | None, shown: Sequence[str]) -> Ask:
        return Ask(
            surface=self.surface,
            user_id=user,
            k=self.k,
            seeds=() if self.seed is None else (self.seed,),
            source=self.source,
            exclude=tuple(shown),
            explore=self.explore,
            explain=True,
        )


async def _rows(
    engine: Engine, user: str | None, person: Person, plan: Iterable[_Plan]
) -> tuple[list[Row], list[str]]:
    """The rows that have anything in them, and what they were made without."""
    rows: list[Row] = []
    shown: list[str] = []
    degraded: list[str] = []
    for part in plan:
        answer = await engine.recommend(part.ask(user, shown), person)
        degraded += [what for what in answer.meta["degraded"] if what not in degraded]
        cards = cards_of(engine, answer, user, person)
        if part.seed is None or not part.heading:
            about, about_id = "", ""
        else:
            about, about_id = title_of(part.seed, engine.features([part.seed])[0]), part.seed
        if cards:
            shown += [card.item_id for card in cards[:_IN_VIEW]]
            rows.append(
                Row(
                    surface=part.surface,
                    title=part.title,
                    tail=part.tail,
                    note=part.note,
                    about=about,
                    about_id=about_id,
                    cards=cards,
                    wide=part.wide,
                    as_user=query_of(user=user),
                )
            )
        await asyncio.sleep(0)  # a page is several lists: let others in between
    return rows, degraded


def cards_of(engine: Engine, answer: Answer, user: str | None, person: Person | None = None) -> list[Card]:
    """The cards of a list."""
    decision = answer.decision
    features = engine.features([slot.item_id for slot in decision.slots])
    liked = person.liked if person is not None else frozenset()
    return [
        card_of(
            slot.item_id,
            known,
            user,
            reason=slot.reason,
            liked=slot.item_id in liked,
            recommendation_id=decision.recommendation_id if answer.logged else "",
            slot=place,
            score=slot.score,
            propensity=slot.propensity,
            role=slot.role,
            source=slot.source,
        )
        for place, (slot, known) in enumerate(zip(decision.slots, features, strict=True))
    ]


def _facts(engine: Engine, person: Person) -> str:
    """What is known about someone, in a sentence."""
    if not person.items:
        return "Nothing is known about them yet: what they open and like here changes the next page."
    last = person.items[-1]
    title = title_of(last, engine.features([last])[0])
    known = [f"{name.replace('_', ' ')} {value}" for name, value in list(person.features.items())[:4]]
    count = f"{len(person.items)} title{'s' if len(person.items) != 1 else ''} so far, last {title}."
    told = ", ".join(known)
    return f"{count} {told[0].upper()}{told[1:]}." if known else count
