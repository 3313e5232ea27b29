"""A generated world: a streaming catalogue in which the true preferences are known."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.quality import apply_quality
from tastemaker.data.world.people import make_people
from tastemaker.data.world.taste import discovery, enjoyment, promise
from tastemaker.data.world.titles import make_titles
from tastemaker.data.world.watching import watch


@dataclass(frozen=True, eq=False)
class World:
    """What `world` made.

    Attributes:
        interactions: One row for each user and item that they opened, oldest first: ``user``, ``item``,
            ``timestamp`` (datetime, UTC), ``event`` ("view", "like" or "share"), ``episodes_watched`` (whole or
            begun, in that sitting), ``completed`` (share of the item, 0 to 1), ``dwell`` (seconds), ``hour`` (of
            day), ``rating`` (1 to 5 whole stars).
        users: One row a user: ``user``, ``age``, ``gender`` ("F" or "M"), ``cadence`` ("binge" or "one-a-day").
        items: One row an item: ``item``, ``title``, ``genres`` (one or two), ``cast`` (four), ``director``,
            ``description``, ``language``, ``year``, ``price``, ``minutes`` (an episode), ``episodes`` (1: a film).
        preferences: float32[users, items], how many stars, between 1 and 5, each user would truly give each item;
            rows and columns as in ``users`` and ``items``.
    """

    interactions: pl.DataFrame
    users: pl.DataFrame
    items: pl.DataFrame
    preferences: NDArray[np.float32]

    @cached_property
    def dataset(self) -> Dataset:
        """The ratings, with everything else known of interactions, users and items beside them."""
        return Dataset.from_interactions(
            self.interactions,
            rating="rating",
            timestamp="timestamp",
            context=("event", "completed", "episodes_watched", "dwell", "hour"),
            user_features=self.users,
            item_features=self.items,
            scale=(1, 5),
            name="world",
        )

    @cached_property
    def implicit(self) -> Dataset:
        """The same interactions without the ratings, weighted by their quality (see `apply_quality`).

        ``dataset.implicit()`` is the same without the weights: who opened what.
        """
        return apply_quality(
            self.dataset,
            completed="completed",
            episodes="episodes",
            dwell="dwell",
            length="minutes",
            event="event",
            event_weights={"view": 1.0, "like": 1.5, "share": 2.0},
        )

    def preferences_of(self, dataset: Dataset) -> NDArray[np.float32]:
        """The true preferences in the codes of a Dataset made from this world.

        Args:
            dataset: `dataset`, `implicit`, or any part of them.

        Returns:
            float32[dataset.n_users, dataset.n_items].
        """
        rows = dict(zip(self.users["user"], range(self.users.height), strict=True))
        columns = dict(zip(self.items["item"], range(self.items.height), strict=True))
        return self.preferences[
            np.ix_([rows[id] for id in dataset.users.ids], [columns[id] for id in dataset.items.ids])
        ]

    def __repr__(self) -> str:
        return f"World({self.users.height} users, {self.items.height} items, {self.interactions.height} interactions)"


def world(users: int = 500, items: int = 300, *, seed: int = 0) -> World:
    """Generate a streaming catalogue, with people whose true preferences are known.

    What user u would truly give item i, in stars, is

        preference_ui = 1 + 4 σ(promise_ui + discovery_ui)

        promise   = .7 taste for its genres + .4 for its themes + .8 for its feel        (known before watching)
        discovery = .7 taste for its depth + .7 its quality + .3 noise                   (known after watching)

    Taste for genres goes half by age and gender. Genres and themes stand in the tables and descriptions, the feel shows
    only in who watches what, and the depth only in what those who watched made of it: the three levels that
    content-based, collaborative and quality-weighted models can reach.

    What is seen of it, is seen as in life:

    - Choice: u opens i with probability ∝ exposure_i · exp(1.5 promise_ui). Exposure follows Zipf's law, by quality and as
      much by luck, so popularity is not preference; and people choose what they expect to like.
    - Liking that evening: preference − 3 + .5 noise.
    - Episodes: a binge watcher goes on after each with probability σ(1.5 + 1.2 liking), a one-a-day watcher with
      probability .05 whatever they think of it. Of a film (a third of all items) both see 1.25 σ(1.2 + liking + .7 noise).
    - Dwell: time for what was watched · exp(the user's pace + .2 liking + .3 noise).
    - Events: "like" with probability σ(liking − 2), "share" with σ(liking − 4), else "view".
    - Rating: preference − the user's strictness + .5 noise, rounded to 1 to 5.
    - Hour: two in three times by the main genre (kids' shows in the morning, horror at night), else the user's own.

    Alice and Bob come first, with clearly different tastes; four well-known titles head the catalogue.

    Args:
        users: How many users, at least 1.
        items: How many items, at least 1.
        seed: Same seed, same world, whatever the number of threads. The titles depend on ``items`` and ``seed``
            alone, and the people on ``users`` and ``seed``.

    Returns:
        The tables and the true preferences (4 bytes · users · items; making them takes about four times that).

    Raises:
        ValueError: For fewer than one user or item.

    >>> small = world(users=20, items=30)
    >>> small.items["title"].head(2).to_list()
    ['Squid Game', 'The Crown']
    >>> small.users["user"].head(2).to_list()
    ['alice', 'bob']
    >>> small.preferences.shape
    (20, 30)
    """
    for name, value in (("users", users), ("items", items)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, received {value}")
    titles_rng, people_rng, taste_rng, watch_rng = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    titles = make_titles(items, titles_rng)
    people = make_people(users, people_rng)
    promised = promise(people, titles)
    stars = enjoyment(promised + discovery(people, titles, taste_rng))
    interactions = watch(people, titles, promised, stars, watch_rng)
    stars.flags.writeable = False
    return World(interactions, people.table, titles.table, stars)
