"""Two lists side by side: of two users, or of two models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tastemaker.service.asks import Ask
from tastemaker.service.engine import Engine
from tastemaker.service.web.home import cards_of
from tastemaker.service.web.templating import name_of
from tastemaker.service.web.view import Card, Segment, taste_of

__all__ = ["comparison"]

_SIZE = 10
_POLICY = "as served"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two lists."""

    key: str
    user: str
    model: str
    label: str
    strip: Sequence[Segment]
    cards: Sequence[Card]
    empty: str


async def comparison(
    engine: Engine, sides: Sequence[tuple[str | None, str | None]], user: str | None
) -> dict[str, Any]:
    """What the template of the comparison draws; nothing of it is logged, and nothing is explored."""
    names = [_POLICY, *engine.model_names]
    made = [
        await _side(engine, key, who, model if model in names else _POLICY)
        for key, (who, model) in zip(("left", "right"), sides, strict=True)
    ]
    places = [{card.item_id: place for place, card in enumerate(side.cards, 1)} for side in made]
    return {
        "page": "compare",
        "user": user,
        "models": names,
        "sides": [_marked(side, other) for side, other in zip(made, reversed(places), strict=True)],
        "common": len(places[0].keys() & places[1].keys()),
        "size": _SIZE,
    }


async def _side(engine: Engine, key: str, user: str | None, model: str) -> Side:
    person = await engine.person(user)
    ask = Ask(k=_SIZE, user_id=user, explore=False, explain=True, log=False, surface="compare")
    answer = await engine.recommend(ask, person, model=None if model == _POLICY else model)
    return Side(
        key=key,
        user=user or "",
        model=model,
        label=f"{name_of(user or 'someone new')}, {model}",
        strip=taste_of(engine.features(person.items)),
        cards=cards_of(engine, answer, user, person),
        empty=answer.meta["shortfall"] or "",
    )


def _marked(side: Side, other: dict[str, int]) -> Side:
    cards = [
        replace(card, elsewhere=f"#{other[card.item_id]}") if card.item_id in other else card
        for card in side.cards
    ]
    return replace(side, cards=cards)
