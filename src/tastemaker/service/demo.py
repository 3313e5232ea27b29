"""What ``tastemaker serve`` shows when it is given nothing: the generated world, in a store, with models fitted on it."""

import time
from pathlib import Path
from typing import Any

import polars as pl

from tastemaker import datasets
from tastemaker.data.world import World
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import save
from tastemaker.models.content import ContentBased
from tastemaker.models.implicit_als import ImplicitALS
from tastemaker.models.item_knn import ItemKNN
from tastemaker.models.popularity import Popularity
from tastemaker.policy.exploration import EpsilonGreedy
from tastemaker.policy.policy import Policy
from tastemaker.service.store import Event, Item, Store, User

__all__ = ["PEOPLE", "fill"]

PEOPLE = ("alice", "bob")
_NEW = 12  # titles that nobody has seen yet
_BATCH = 2_000


def fill(store: Store, bundle: Path, *, users: int = 500, items: int = 300, seed: int = 0) -> None:
    """Put the world's people, titles and events into an empty store, and models fitted on them into the bundle.

    The newest titles that few have seen come without anybody having seen them, so that there is something new to recommend.
    """
    world = datasets.world(users, items, seed=seed)
    late = _late(world)
    store.put_users([User(row.pop("user"), row) for row in world.users.to_dicts()]).result()
    store.put_items([Item(row.pop("item"), row) for row in world.items.to_dicts()]).result()
    seen = world.interactions.filter(~pl.col("item").is_in(late))
    shift = time.time_ns() // 1000 - int(seen["timestamp"].dt.epoch("us").max())  # type: ignore[arg-type]
    events = _events(seen, shift)
    for start in range(0, len(events), _BATCH):
        store.post(events[start : start + _BATCH]).result()
    _fit(store, bundle)


def _late(world: World) -> list[str]:
    """The newest titles that fewest people have seen."""
    counts = world.interactions.group_by("item").len()
    newest = world.items.filter(pl.col("year") == pl.col("year").max()).select("item")
    return newest.join(counts, on="item", how="left").sort("len", "item")["item"].head(_NEW).to_list()


def _events(interactions: pl.DataFrame, shift: int) -> list[Event]:
    """What people did, as events: each watched a share of a title, rated it, and some liked or bought it."""
    made = []
    columns = ("user", "item", "event", "completed", "rating")
    times = interactions["timestamp"].dt.epoch("us").to_list()
    rows = zip(*(interactions[c].to_list() for c in columns), times, strict=True)
    for number, (user, item, what, completed, rating, moment) in enumerate(rows):
        kinds = [("view", completed), ("rating", rating)]
        kinds += [("like", None)] if what in ("like", "share") else []
        kinds += [("purchase", None)] if what == "share" else []
        for place, (kind, value) in enumerate(kinds):
            made.append(
                Event(
                    event_id=f"world-{number}-{kind}",
                    user_id=user,
                    item_id=item,
                    kind=kind,
                    time=moment + shift + place,
                    value=value,
                    recommendation_id=None,
                    slot=None,
                    session_id=None,
                    context={},
                )
            )
    return made


def _fit(store: Store, bundle: Path) -> None:
    """Two versions of a policy, each with the models to compare it with: by what goes together, and by factors."""
    notes = {"sequence": store.last_sequence(), "change": store.last_change()}
    data = store.dataset(until=notes["sequence"])
    knn, factors = ItemKNN().fit(data), ImplicitALS().fit(data)
    parts: dict[str, Recommender[Any]] = {
        "als": factors,
        "item_knn": knn,
        "popularity": Popularity().fit(data),
        "content": ContentBased().fit(data),
    }
    for model in (knn, factors):
        policy = Policy.of(
            model,
            also_bought=knn,
            diversity=0.2 if model is factors else 0.0,
            caps={"genres": 6},
            new_item_slots=1,
            exploration=EpsilonGreedy(0.1),
        )
        save({"policy": policy, **parts}, bundle, notes=notes)
