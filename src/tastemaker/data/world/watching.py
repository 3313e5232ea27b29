"""Who watches what in a generated world, when, for how long, and what they say of it."""

from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.world.people import People
from tastemaker.data.world.titles import Titles
from tastemaker.data.world.words import GENRES

START, DAYS = datetime(2025, 1, 1), 120
_DAY, _HOUR = 86_400_000_000, 3_600_000_000  # microseconds


def watch(
    people: People,
    titles: Titles,
    promised: NDArray[np.float32],
    stars: NDArray[np.float32],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """One row for each user and title that they opened, in order of time (see `World.interactions`).

    Args:
        people: The users.
        titles: The titles.
        promised: float32[users, items], `promise`.
        stars: float32[users, items], `enjoyment`.
        rng: Where all chance comes from. The order of the draws is part of the world.
    """
    user, item = opened(titles.exposure, promised, rng)
    minutes, episodes = (titles.table[name].to_numpy()[item] for name in ("minutes", "episodes"))
    liking = stars[user, item] - 3 + 0.5 * rng.standard_normal(len(user))  # the evening has its part in it
    watched = _episodes_watched(liking, episodes, people.binges[user], rng)
    hour = _hours(titles.genres[item].argmax(axis=1), people.hour[user], rng)
    table = pl.DataFrame(
        {
            "user": people.table["user"][user],
            "item": titles.table["item"][item],
            "timestamp": pl.Series(_moments(hour, rng)).cast(pl.Datetime("us")),
            "event": _events(liking, rng),
            "episodes_watched": pl.Series(np.ceil(watched), dtype=pl.Int32),
            "completed": pl.Series(watched / episodes, dtype=pl.Float32),
            "dwell": pl.Series(_dwell(liking, watched * minutes, people.pace[user], rng), dtype=pl.Float32),
            "hour": pl.Series(hour, dtype=pl.Int8),
            "rating": pl.Series(_ratings(stars[user, item] - people.strictness[user], rng), dtype=pl.Float32),
        }
    )
    return table.sort("timestamp", maintain_order=True)


def opened(
    exposure: NDArray[np.float32], promised: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The titles that each user opened: by exposure and promise, without opening one twice.

    User u opens n_u titles, one after the other with probability ∝ exposure_i · exp(1.5 promise_ui): the n_u largest
    of log exposure + 1.5 promise + Gumbel noise. n_u is log-normal around 25 √(items / 300), from 5 to half of all.

    Returns:
        Codes of users and of items, int64 both.
    """
    users, items = promised.shape
    median = 25 * np.sqrt(items / 300)
    most = max(1, items // 2)
    count = np.clip(rng.lognormal(np.log(median), 0.6, users), min(5, most), most).astype(np.int64)
    noise = rng.standard_exponential((users, items), dtype=np.float32)
    np.log(np.maximum(noise, np.float32(1e-30), out=noise), out=noise)  # minus Gumbel noise
    noise -= np.float32(1.5) * promised
    noise -= exposure
    widest = int(count.max())
    first = np.argpartition(noise, min(widest, items - 1), axis=1)[:, :widest]
    order = np.argsort(np.take_along_axis(noise, first, axis=1), axis=1, kind="stable")
    item = np.take_along_axis(first, order, axis=1)
    kept = np.arange(widest) < count[:, None]
    return np.repeat(np.arange(users), count), item[kept]


def _episodes_watched(
    liking: NDArray[np.float64],
    episodes: NDArray[np.int32],
    binges: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Episodes in the one sitting, of a film the part seen.

    A binge watcher goes on after an episode with probability σ(1.5 + 1.2 liking), a one-a-day watcher with
    probability .05 whatever they think of it. Of a film both see a share of 1.25 σ(1.2 + liking + .7 noise), at most 1.
    """
    goes_on = np.where(binges, _sigmoid(1.5 + 1.2 * liking), 0.05)
    series = 1 + np.floor(np.log1p(-rng.random(len(liking))) / np.log(goes_on))
    film = 1.25 * _sigmoid(1.2 + liking + 0.7 * rng.standard_normal(len(liking)))
    return np.where(episodes > 1, np.minimum(series, episodes), np.clip(film, 0.02, 1.0))


def _dwell(
    liking: NDArray[np.float64],
    minutes: NDArray[np.float64],
    pace: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Seconds in front of the title: what was seen of it, at one's own pace, longer with pleasure (no skipping, the
    credits, a scene again): 60 · minutes · exp(pace_u + .2 liking + .3 noise).
    """
    return 60 * minutes * np.exp(pace + 0.2 * liking + 0.3 * rng.standard_normal(len(liking)))


def _events(liking: NDArray[np.float64], rng: np.random.Generator) -> pl.Series:
    """What they did beside watching: like with probability σ(liking − 2), share with σ(liking − 4), else nothing."""
    chance = rng.random(len(liking))
    code = (chance < _sigmoid(liking - 2)).astype(np.int8) + (chance < _sigmoid(liking - 4))
    return pl.Series(np.array(["view", "like", "share"])[code].tolist(), dtype=pl.String)


def _ratings(stars: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """Whole stars from 1 to 5: the expected enjoyment less one's strictness, give or take half a star."""
    return np.clip(np.round(stars + 0.5 * rng.standard_normal(len(stars))), 1, 5)


def _hours(
    genre: NDArray[np.int64], habit: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The hour of day, 0 to 23: two in three times it goes by the main genre, else by the user's habit."""
    usual, spread = np.array([(g.hour, g.spread) for g in GENRES.values()])[genre].T
    by_genre = rng.random(len(genre)) < 2 / 3
    drawn = rng.normal(np.where(by_genre, usual, habit), np.where(by_genre, spread, 2.0))
    hour: NDArray[np.int64] = np.floor(drawn).astype(np.int64) % 24
    return hour


def _moments(hour: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Microseconds since the epoch: any day, within that hour."""
    start = int((START - datetime(1970, 1, 1)).total_seconds()) * 1_000_000
    day = rng.integers(0, DAYS, len(hour))
    return start + day * _DAY + hour * _HOUR + rng.integers(0, _HOUR // 1_000_000, len(hour)) * 1_000_000


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))
