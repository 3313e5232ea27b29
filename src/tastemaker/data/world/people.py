"""The people of a generated world: the table that everyone sees, and the tastes behind it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.world.titles import STYLES
from tastemaker.data.world.words import GENRES, personal_name, slug

BINGE, ONE_A_DAY = "binge", "one-a-day"

# The first two are very different people: how much each likes the genres, in the unit of `People.genres`.
_ALICE = {
    "thriller": 2.5,
    "romance": 2.0,
    "comedy": 1.5,
    "history": -1.5,
    "science fiction": -2.0,
    "documentary": -1.5,
}
_BOB = {
    "science fiction": 2.5,
    "documentary": 2.0,
    "history": 1.5,
    "romance": -2.0,
    "thriller": -1.5,
    "comedy": -1.5,
}
_KNOWN = (("F", 29, BINGE, _ALICE), ("M", 52, ONE_A_DAY, _BOB))


@dataclass(frozen=True)
class People:
    """All users of a world.

    Attributes:
        table: One row a user (see `World.users`).
        genres: float32[users, genres], taste for each genre: what age and gender lead one to expect, plus one's own.
        themes: float32[users, themes], standard normal: taste for what stories are about.
        feel, depth: float32[users, `STYLES`], standard normal: taste in what no feature shows.
        strictness: float32[users], stars that a user gives less than others for the same enjoyment.
        pace: float32[users], log of how long they take over an hour of film (pauses, going back).
        hour: float32[users], the hour of day at which they like to watch.
    """

    table: pl.DataFrame
    genres: NDArray[np.float32]
    themes: NDArray[np.float32]
    feel: NDArray[np.float32]
    depth: NDArray[np.float32]
    strictness: NDArray[np.float32]
    pace: NDArray[np.float32]
    hour: NDArray[np.float32]

    @property
    def binges(self) -> NDArray[np.bool_]:
        """bool[users]: who goes on to the next episode."""
        return (self.table["cadence"] == BINGE).to_numpy()


def make_people(count: int, rng: np.random.Generator) -> People:
    """Draw ``count`` users; the first two are Alice and Bob."""
    female = rng.random(count) < 0.5
    age = np.clip(rng.gamma(5.0, 5.5, count) + 12, 13, 90).astype(np.int64)
    cadence = np.where(rng.random(count) < 0.5, BINGE, ONE_A_DAY)
    for row, (gender, years, habit, _) in enumerate(_KNOWN[:count]):
        female[row], age[row], cadence[row] = gender == "F", years, habit
    themes = sum(len(genre.themes) for genre in GENRES.values())
    return People(
        table=pl.DataFrame(
            {
                "user": [slug(personal_name(row)) for row in range(count)],
                "age": pl.Series(age, dtype=pl.Int32),
                "gender": np.where(female, "F", "M").tolist(),
                "cadence": cadence.tolist(),
            }
        ),
        genres=_genre_tastes(female, age, rng),
        themes=rng.standard_normal((count, themes), dtype=np.float32),
        feel=rng.standard_normal((count, STYLES), dtype=np.float32),
        depth=rng.standard_normal((count, STYLES), dtype=np.float32),
        strictness=np.float32(0.3) * rng.standard_normal(count, dtype=np.float32),
        pace=np.float32(0.3) * rng.standard_normal(count, dtype=np.float32),
        hour=rng.normal(20, 2.5, count).astype(np.float32),
    )


def _genre_tastes(
    female: NDArray[np.bool_], age: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float32]:
    """What gender and age lead one to expect, plus as much again of one's own.

    Young and old set in smoothly: at 26 one is half young, at 50 half old.
    """
    groups = np.column_stack(
        [np.where(female, 1, -1), 1 / (1 + np.exp((age - 26) / 5)), 1 / (1 + np.exp((50 - age) / 5))]
    )
    effects = np.array([[genre.female, genre.young, genre.old] for genre in GENRES.values()])
    own = 0.7 * rng.standard_normal((len(age), len(GENRES)))
    tastes = np.einsum("ud,gd->ug", groups, effects) + own  # einsum: its sums do not depend on BLAS threads
    names = list(GENRES)
    for row, (*_, likes) in enumerate(_KNOWN[: len(age)]):
        tastes[row] = [likes.get(name, 0.0) for name in names]
    return np.asarray(tastes, dtype=np.float32)
