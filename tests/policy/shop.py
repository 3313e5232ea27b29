"""A small shop with a fitted policy, live, and its own books to check every list against."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contract.conftest import GENRES, small_data
from tastemaker.policy.choice import Choice
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.stock import NewItem

NOW = 1_700_000_000_000_000
USERS, ITEMS = 30, 60
CAP = 2


def fitted(explicit: bool = False, **settings: Any) -> Policy:
    """A policy on the small data of the contract tests; its last item has no interactions."""
    retrieval = settings.pop("retrieval", {"model": "als", "factors": 8, "epochs": 3})
    policy = Policy(retrieval=retrieval, **{"candidates": 30, "pool": 15, **settings})
    return policy.fit(small_data(users=USERS, items=ITEMS, explicit=explicit))


@dataclass
class Item:
    """What the books say of an item."""

    price: float | None
    genres: list[str]
    start: int | None = None
    end: int | None = None
    withdrawn: bool = False


@dataclass
class Books:
    """Every fact that decides what may be shown, kept apart from the code under test."""

    items: dict[str, Item] = field(default_factory=dict)
    had: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    out: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def allowed(self, user: str | None, now: int, **asked: Any) -> set[str]:
        """The items that may be shown."""
        left = set()
        for name, item in self.items.items():
            open_now = (item.start is None or item.start <= now) and (item.end is None or now < item.end)
            limit = asked.get("below")
            cheap = limit is None or (item.price is not None and item.price < limit)
            if open_now and cheap and not item.withdrawn:
                left.add(name)
        if user is not None:
            left -= self.out[user] | (self.had[user] if asked.get("exclude_seen", True) else set())
        if asked.get("history") is not None and asked.get("exclude_seen", True):
            left -= set(asked["history"])
        left -= set(asked.get("deny", ()))
        return left if asked.get("allow") is None else left & set(asked["allow"])


def opened(policy: Policy) -> tuple[LiveCatalogue, Books]:
    """A live catalogue and its books."""
    live, books = LiveCatalogue(policy, now=NOW), Books()
    catalogue = policy.catalogue
    table = catalogue.item_features
    names = catalogue.items.ids.to_list()
    for name, price, genres in zip(names, table["price"].to_list(), table["genres"].to_list(), strict=True):
        books.items[name] = Item(price, genres)
    history = catalogue.history
    for user, item in zip(history.rows(), history.indices, strict=True):
        books.had[catalogue.users.ids[int(user)]].add(names[item])
    return live, books


def happen(live: LiveCatalogue, books: Books, rng: np.random.Generator, now: int) -> None:
    """Something happens, in the shop and in its books."""
    names = list(books.items)
    what = rng.integers(10)
    if what < 7:
        user, item = f"u{rng.integers(USERS + 5)}", names[rng.integers(len(names))]
        kind = str(
            rng.choice(["click", "view", "like", "purchase", "dismiss", "cart", "impression", "dwell"])
        )
        live.observe([Observed(user, item, kind, now)])
        if kind == "dismiss":
            books.out[user].add(item)
        elif kind not in ("impression", "dwell"):
            books.had[user].add(item)
            books.out[user] |= {item} if kind == "purchase" else set()
    elif what == 7 and sum(not item.withdrawn for item in books.items.values()) > ITEMS // 2:
        gone = names[rng.integers(len(names))]
        live.withdraw([gone])
        books.items[gone].withdrawn = True
    elif len(books.items) < 2 * ITEMS or rng.random() < 0.5:
        name = f"n{rng.integers(ITEMS)}" if rng.random() < 0.7 else names[rng.integers(len(names))]
        price = None if rng.random() < 0.2 else float(rng.integers(7))
        start = None if rng.random() < 0.5 else int(now + rng.integers(-50, 50))
        end = None if rng.random() < 0.5 else int(now + rng.integers(-20, 80))
        item = Item(price, rng.choice(GENRES, rng.integers(0, 3), replace=False).tolist(), start, end)
        features = {"title": f"{name} story", "genres": item.genres, "price": price}
        live.put_items([NewItem(name, features, start=start, end=end)], now=now)
        books.items[name] = item


def check(choice: Choice, live: LiveCatalogue, books: Books, allowed: set[str], k: int, capped: bool) -> None:
    """Nothing forbidden, nothing twice; a short list has all there is, and says why."""
    shown = live.ids(choice.items)
    assert len(set(shown)) == len(shown) <= k
    assert set(shown) <= allowed
    assert not choice.degraded
    counts: dict[str, int] = defaultdict(int)
    for name in shown:
        for genre in set(books.items[name].genres):
            counts[genre] += 1
    if capped:
        assert max(counts.values(), default=0) <= CAP
    if len(shown) < k:
        assert choice.shortfall.startswith(f"{len(shown)} of {k}: ")
        left = allowed - set(shown)
        assert capped or not left
        assert all(any(counts[g] >= CAP for g in books.items[name].genres) for name in left)
        assert sum(choice.removed.values()) + len(shown) == choice.n_items
        assert choice.removed["capped"] == len(left)
    else:
        assert choice.shortfall == ""
    assert np.isfinite(choice.scores).all()
    assert ((choice.propensities > 0) & (choice.propensities <= 1)).all()
    assert len(choice.reasons) == len(choice.sources) == len(choice.roles) == len(shown)
