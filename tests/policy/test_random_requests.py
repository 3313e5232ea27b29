"""Random requests to a shop in which everything changes: what must not be shown never is.

TASTEMAKER_REQUESTS says how many; a hundred thousand take some minutes.
"""

import os
from typing import Any

import numpy as np
import pytest

from policy.shop import CAP, ITEMS, NOW, USERS, Books, check, fitted, happen, opened
from tastemaker.policy.exploration import EpsilonGreedy, Softmax
from tastemaker.policy.live import LiveCatalogue
from tastemaker.policy.replay import Record, record, replay
from tastemaker.policy.slots import list_probability

REQUESTS = int(os.environ.get("TASTEMAKER_REQUESTS", "8000"))
POLICIES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "softmax": {"diversity": 0.4, "caps": {"genres": CAP}, "new_item_slots": 2, "exploration": Softmax(0.2)},
    "epsilon": {
        "diversity": 0.2,
        "new_item_slots": 1,
        "exploration": EpsilonGreedy(0.3),
        "also_bought": None,
    },
    "approximate": {"exact_up_to": 0, "exploration": Softmax(0.1)},
    "neighbors": {"retrieval": "item_knn", "ranking": {"model": "als", "factors": 4, "epochs": 2}},
}


def random_question(books: Books, rng: np.random.Generator) -> tuple[str | None, dict[str, Any]]:
    """Who asks, and how."""
    names = [*books.items, "no such item"]

    def some(most: int) -> list[str]:
        return [names[i] for i in rng.choice(len(names), rng.integers(0, most), replace=False)]

    user = None if rng.random() < 0.15 else f"u{rng.integers(USERS + 5)}"
    asked: dict[str, Any] = {"exclude_seen": bool(rng.random() < 0.8)}
    if rng.random() < 0.3:
        asked["below"] = int(rng.integers(0, 8))
    if rng.random() < 0.4:
        asked["deny"] = some(30)
    if rng.random() < 0.2:
        asked["allow"] = some(ITEMS)
    if rng.random() < 0.25:
        asked["history"] = some(6)
    return user, asked


def ask(live: LiveCatalogue, user: str | None, asked: dict[str, Any], **how: Any) -> Any:
    options = {name: value for name, value in asked.items() if name != "below"}
    if "below" in asked:
        options["filter"] = f"price < {asked['below']}"
    return live.choose(user, **options, **how)


@pytest.mark.parametrize("name", POLICIES)
def test_nothing_forbidden_is_ever_shown(name: str) -> None:
    """With an event, a new, a changed or a withdrawn item before every few requests."""
    settings = POLICIES[name]
    live, books = opened(fitted(**settings))
    rng = np.random.default_rng(5)
    now = NOW
    for number in range(REQUESTS // len(POLICIES)):
        if number % 3 == 0:
            now += int(rng.integers(3))
            happen(live, books, rng, now)
        user, asked = random_question(books, rng)
        k = int(rng.choice([1, 5, 10, 200]))
        choice = ask(live, user, asked, k=k, seed=number, now=now, explore=bool(rng.random() < 0.9))
        check(choice, live, books, books.allowed(user, now, **asked), k, "caps" in settings)
        if number % 50 == 0:
            kept = Record.from_bytes(record(choice, live.ids(choice.candidates)).to_bytes())
            assert kept.items == live.ids(choice.items)
            assert replay(kept).positions.tobytes() == choice.drawn.positions.tobytes()
            assert replay(kept).propensities.tobytes() == choice.propensities.tobytes()
            told = list_probability(choice.pool, choice.rules, choice.drawn.positions.tolist())
            assert np.exp(choice.log_probability) == pytest.approx(told, rel=1e-9)
