"""An app store of which the truth is known: who installs what and when, with one effect of each order planted.

logit P(install) = base of the app
    + 1.5 at night                                              order 1
    + 2.5 at meal times, for food delivery                      order 2
    + 3.0 for male teenagers, for shooters                      order 3
    + 6.0 for Japanese men of 18–24 in Ann Arbor, for Karaoke   a niche of a dozen people
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from tastemaker import Dataset

__all__ = ["PLANTED", "World", "make"]

PLANTED = {"night": 1.5, "meal × food": 2.5, "male × teen × shooter": 3.0, "niche": 6.0}
AGES = ["13-17", "18-24", "25-40", "41+"]
CITIES = ["Ann Arbor", "Austin", "Boston", "Chicago", "Denver", "Seattle"]
PASSPORTS = ["American", "Canadian", "Indian", "Japanese", "Mexican"]
KINDS = {"shooter": 5, "food": 5, "news": 5, "tools": 5, "puzzle": 5, "music": 4, "karaoke": 1}
NIGHT, MEALS = [22, 23, 0, 1, 2, 3, 4, 5], [12, 13, 18, 19]
NICHE = 12  # people


@dataclass(frozen=True)
class World:
    """People and apps, and the impressions with their labels.

    Attributes:
        data: the impressions, with the hour as context.
        people, apps: what is known about both.
        in_niche: bool[people].
        newcomers: bool[people], who have not been shown anything yet: whatever is known of them is in their features.
    """

    data: Dataset
    people: pl.DataFrame
    apps: pl.DataFrame
    in_niche: NDArray[np.bool_]
    newcomers: NDArray[np.bool_]


def make(shown: int = 2000, newcomers: int = 500, impressions: int = 100_000, seed: int = 0) -> World:
    """Draw a world; the first dozen people are the niche, each of whom was shown the karaoke app three times."""
    rng = np.random.default_rng(seed)
    people = shown + newcomers
    who = {
        "person": np.arange(people),
        "gender": rng.choice(["female", "male"], people),
        "age": rng.choice(AGES, people),
        "city": rng.choice(CITIES, people),
        "passport": rng.choice(PASSPORTS, people, p=[0.6, 0.1, 0.1, 0.1, 0.1]),
    }
    chosen = {"gender": "male", "age": "18-24", "city": "Ann Arbor", "passport": "Japanese"}
    alike = np.all([who[name] == value for name, value in chosen.items()], axis=0)
    who["passport"][alike] = "American"  # nobody is in the niche by chance
    for name, value in chosen.items():
        who[name][:NICHE] = value
    kinds = np.repeat(list(KINDS), list(KINDS.values()))
    person = np.concatenate([np.repeat(np.arange(NICHE), 3), rng.integers(0, shown, impressions)])
    app = np.concatenate([np.full(3 * NICHE, len(kinds) - 1), rng.integers(0, len(kinds), impressions)])
    hour = rng.integers(0, 24, len(person))
    in_niche = np.arange(people) < NICHE
    logit = rng.normal(-2.5, 0.3, len(kinds))[app]
    logit += PLANTED["night"] * np.isin(hour, NIGHT)
    logit += PLANTED["meal × food"] * (np.isin(hour, MEALS) & (kinds[app] == "food"))
    teenage_boys = (who["gender"] == "male") & (who["age"] == "13-17")
    logit += PLANTED["male × teen × shooter"] * (teenage_boys[person] & (kinds[app] == "shooter"))
    logit += PLANTED["niche"] * (in_niche[person] & (kinds[app] == "karaoke"))
    apps = pl.DataFrame({"app": [f"{kind} {n}" for n, kind in enumerate(kinds)], "kind": kinds})
    rows = {
        "person": person,
        "app": apps["app"].to_numpy()[app],
        "installed": (rng.random(len(person)) < expit(logit)).astype(int),
        "hour": hour,
    }
    data = Dataset.from_impressions(
        rows,
        user="person",
        item="app",
        label="installed",
        context=["hour"],
        user_features=pl.DataFrame(who),
        item_features=apps,
        name="app store",
    )
    return World(data, pl.DataFrame(who), apps, in_niche, np.arange(people) >= shown)
