"""The titles of a generated world: the table that everyone sees, and the traits behind it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.world.words import GENRES, LANGUAGES, PLACES, QUALIFIERS, Theme, personal_name, slug

STYLES = 4
"""How many dimensions of feel, and of depth, there are: what no column of a table names."""

_THEMES = tuple(theme for genre in GENRES.values() for theme in genre.themes)
_THEMES_A_GENRE = len(_THEMES) // len(GENRES)
_TONES = tuple(genre.tones for genre in GENRES.values())
_LAST_YEAR = 2024

# The lecture's four: title, genres, themes (as genre and number within it), language, year, minutes, episodes.
_FIRST = (
    ("Squid Game", ("thriller", "drama"), ("thriller", 0), "Korean", 2021, 54, 9),
    ("The Crown", ("history", "drama"), ("history", 0), "English", 2016, 58, 10),
    ("Breaking Bad", ("crime", "thriller"), ("crime", 2), "English", 2008, 47, 7),
    ("The Office", ("comedy", "romance"), ("comedy", 0), "English", 2005, 22, 24),
)


@dataclass(frozen=True)
class Titles:
    """All titles of a world.

    Attributes:
        table: One row a title, as people see it (see `World.items`).
        genres: float32[items, genres], rows of length 1: how much of each genre a title has.
        themes: float32[items, themes], rows of length 1: what it is about.
        feel, depth: float32[items, `STYLES`], about standard normal: what one senses before watching, and what one
            finds in watching. Half comes from its cast and director, half is its own; no column shows them.
        quality: float32[items], standard normal: what makes everyone like it more.
        exposure: float32[items], log of how often it is put before people (up to a constant).
    """

    table: pl.DataFrame
    genres: NDArray[np.float32]
    themes: NDArray[np.float32]
    feel: NDArray[np.float32]
    depth: NDArray[np.float32]
    quality: NDArray[np.float32]
    exposure: NDArray[np.float32]


def make_titles(count: int, rng: np.random.Generator) -> Titles:
    """Draw ``count`` titles; the first four are well known."""
    genre, theme = _genres_and_themes(count, rng)
    cast, director, style = _makers(genre[:, 0], rng)
    quality = rng.standard_normal(count, dtype=np.float32)
    names, descriptions = _texts(genre, theme, rng)
    table = pl.DataFrame(
        {
            "item": [slug(name) for name in names],
            "title": names,
            "genres": [list(dict.fromkeys(list(GENRES)[g] for g in pair)) for pair in genre],
            "cast": cast,
            "director": director,
            "description": descriptions,
        }
    ).with_columns(_numbers(genre[:, 0], rng))
    return Titles(
        table=table,
        genres=_mix(genre, (0.8, 0.6), len(GENRES)),
        themes=_mix(theme, (1.0, 1.0), len(_THEMES)),
        feel=style[:, :STYLES],
        depth=style[:, STYLES:],
        quality=quality,
        exposure=_exposure(quality, rng),
    )


def _genres_and_themes(count: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A main and a second genre, and a theme of each: int64[items, 2] both; the two genres may be the same."""
    names = list(GENRES)
    genre = rng.integers(0, len(names), (count, 2))
    pure = rng.random(count) < 0.35
    genre[pure, 1] = genre[pure, 0]
    theme = genre * _THEMES_A_GENRE + rng.integers(0, _THEMES_A_GENRE, (count, 2))
    for row, (_, genres, (theme_genre, number), *_) in enumerate(_FIRST[:count]):
        genre[row] = [names.index(name) for name in genres]
        theme[row] = names.index(theme_genre) * _THEMES_A_GENRE + number
    return genre, theme


def _mix(codes: NDArray[np.int64], shares: tuple[float, ...], width: int) -> NDArray[np.float32]:
    """Spread each row's codes over ``width`` columns in these shares, and scale the row to length 1."""
    mixed = np.zeros((len(codes), width), dtype=np.float32)
    for column, share in zip(codes.T, shares, strict=True):
        mixed[np.arange(len(codes)), column] += np.float32(share)
    mixed /= np.sqrt(np.square(mixed).sum(axis=1, keepdims=True))
    return mixed


def _makers(
    genre: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[list[str]], list[str], NDArray[np.float32]]:
    """Four players and a director each, who work in one genre and bring their style with them."""
    troupe = int(np.clip(len(genre) // 20, 5, 200))  # players in each genre; the first of them direct as well
    chosen = np.argsort(rng.random((len(genre), troupe)), axis=1)[:, :4]
    director = rng.integers(0, max(1, troupe // 3), len(genre))
    people = np.column_stack([chosen, director]) * len(GENRES) + genre[:, None]
    signature = rng.standard_normal((troupe * len(GENRES), 2 * STYLES), dtype=np.float32)
    shared = signature[people].sum(axis=1) / np.sqrt(np.float32(people.shape[1]))
    own = rng.standard_normal((len(genre), 2 * STYLES), dtype=np.float32)
    # All with a surname, and without repeating one: 7 and 5400, the number of full names, have no common factor.
    names = [[personal_name(int(p) * 7 % 5400 + 90) for p in row] for row in people]
    style = (shared + own) * np.float32(np.sqrt(0.5))
    return [row[:4] for row in names], [row[4] for row in names], style


def _numbers(genre: NDArray[np.int64], rng: np.random.Generator) -> list[pl.Series]:
    """Language, year, price, minutes an episode and episodes; a third of all titles are films of one part."""
    count = len(genre)
    language = rng.choice(list(LANGUAGES), count, p=list(LANGUAGES.values()))
    year = _LAST_YEAR - np.minimum(rng.exponential(8.0, count).astype(np.int64), 60)
    film = rng.random(count) < 1 / 3
    short = np.isin(genre, [list(GENRES).index("comedy"), list(GENRES).index("kids")])
    minutes = np.where(film, rng.normal(105, 15, count), np.where(short, 24, 48) + rng.normal(0, 4, count))
    episodes = np.where(film, 1, rng.integers(6, 17, count))
    for row, (_, _, _, language_name, published, length, parts) in enumerate(_FIRST[:count]):
        language[row], year[row], minutes[row], episodes[row] = language_name, published, length, parts
    recent = np.clip((year - _LAST_YEAR + 20) / 20, 0, 1)
    price = np.ceil(3 + 9 * recent + rng.gamma(2.0, 1.0, count)) - 0.01
    return [
        pl.Series("language", language.tolist(), dtype=pl.String),
        pl.Series("year", year, dtype=pl.Int32),
        pl.Series("price", price, dtype=pl.Float32),
        pl.Series("minutes", np.clip(minutes, 10, 180).round(), dtype=pl.Int32),
        pl.Series("episodes", episodes, dtype=pl.Int32),
    ]


def _texts(
    genre: NDArray[np.int64], theme: NDArray[np.int64], rng: np.random.Generator
) -> tuple[list[str], list[str]]:
    """A title that no other has, and a sentence on what it is about."""
    picks = rng.integers(0, 2**31, (len(genre), 8))
    names: dict[str, None] = {}
    descriptions = []
    for row, pick in enumerate(picks.tolist()):
        first, second = (_THEMES[t] for t in theme[row])
        made = _FIRST[row][0] if row < len(_FIRST) else _title(first, second, pick[:4])
        names[_unused(made, names)] = None
        descriptions.append(_description(genre[row], first, second, pick[4:]))
    return list(names), descriptions


def _title(first: Theme, second: Theme, pick: list[int]) -> str:
    pattern, noun, other, word = pick
    main = first.nouns[noun % len(first.nouns)]
    minor = second.nouns[other % len(second.nouns)]
    if pattern % 4 == 0 and main != minor:
        return f"{main} & {minor}"
    if pattern % 4 == 1:
        return f"The {main} of {PLACES[word % len(PLACES)]}"
    return f"{'The ' if pattern % 4 == 2 else ''}{QUALIFIERS[word % len(QUALIFIERS)]} {main}"


def _unused(name: str, names: dict[str, None]) -> str:
    """The name itself, or its first sequel that is not there yet."""
    part = 2
    free = name
    while free in names:
        free, part = f"{name} {part}", part + 1
    return free


def _description(genre: NDArray[np.int64], first: Theme, second: Theme, pick: list[int]) -> str:
    tones = _TONES[genre[0]]
    tone = tones[pick[0] % len(tones)]
    people, thing = first.people[pick[1] % 3], first.things[pick[2] % 3]
    other = second.things[(pick[2] + 1 + pick[3] % 2) % 3]  # not the same thing, should both themes be one
    article = "An" if tone[0] in "aeiou" else "A"
    return f"{article} {tone} {list(GENRES)[genre[0]]} story about {people}, {thing} and {other}."


def _exposure(quality: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Zipf's law: the r-th most shown title is shown in proportion to 1 / (r + 2); the well-known four come first.

    Quality brings a title up, luck as much: what is popular is not simply what is good.
    """
    fame = quality + rng.standard_normal(len(quality), dtype=np.float32)
    fame[: len(_FIRST)] = np.inf
    rank = np.empty(len(fame))
    rank[np.argsort(-fame, kind="stable")] = np.arange(1, len(fame) + 1)
    return -np.log(rank + 2).astype(np.float32)
