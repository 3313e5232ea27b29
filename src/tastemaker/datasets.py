"""Data by name: public data sets, found or downloaded, and a generated world.

A data set is looked for in its folder under ``TASTEMAKER_DATA``, then in the cache (``TASTEMAKER_CACHE``, by default
the system's user cache), and else downloaded into the cache with a checksum and progress. :func:`table` lists them.

>>> names()
['world', 'ml-100k', 'ml-1m', 'ml-1m-clicks', 'ml-latest-small', 'gowalla', 'ncf-ml-1m', 'sasrec-ml-1m', 'coat']
"""

from dataclasses import dataclass

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.data.public.registry import SOURCES, Source, source
from tastemaker.data.public.store import find, install
from tastemaker.data.public.text import damaged
from tastemaker.data.splits import Split
from tastemaker.data.world import World, world
from tastemaker.errors import DataError

__all__ = ["Entry", "World", "folds", "load", "names", "overview", "table", "world"]


_WORLD = "world"


def names() -> list[str]:
    """The names that :func:`load` knows."""
    return [_WORLD, *SOURCES]


@dataclass(frozen=True)
class Entry:
    """A data set that goes by name.

    Attributes:
        name: what :func:`load` takes.
        where: its folder, or that it will be downloaded.
        about: what it is, and what to know before using it.
        feedback: ``ratings``, ``implicit`` or ``clicks``.
        users, items, interactions: how many there are.
        terms: what its publisher allows.
    """

    name: str
    where: str
    about: str
    feedback: str
    users: int
    items: int
    interactions: int
    terms: str


def overview() -> list[Entry]:
    """What there is: an entry a data set."""
    generated = world().dataset
    about = "a generated streaming catalogue and its viewers, with known true preferences"
    size = (generated.n_users, generated.n_items, len(generated))
    return [
        Entry(_WORLD, "generated when loaded", about, "ratings", *size, "free of any"),
        *(
            Entry(s.name, _where(s), s.about, s.feedback, s.users, s.items, s.interactions, s.terms)
            for s in SOURCES.values()
        ),
    ]


def table() -> pl.DataFrame:
    """What :func:`overview` says, as a table."""
    return pl.DataFrame(overview())


def _where(entry: Source) -> str:
    try:
        folder = find(entry)
    except DataError as error:
        return str(error)
    return "not here yet: downloaded when first loaded" if folder is None else str(folder)


def load(name: str) -> Dataset:
    """A data set by name; a public one is downloaded first if it is not here, ``world`` is generated with its defaults.

    Args:
        name: one of :func:`names`.

    Returns:
        All its interactions in the order of its files, and what is known about users and items. For ``coat``: the ratings
        that users chose to give.

    Raises:
        DataError: for an unknown name, a download that failed (it says what to do), or a damaged file (it names the line).
    """
    return world().dataset if name == _WORLD else _parse(source(name))


def folds(name: str) -> dict[str, Split]:
    """The splits that the publishers of a data set made, by name: ``folds("ml-100k")["u1"]``.

    Raises:
        DataError: if it has none, or for the same reasons as :func:`load`.
    """
    if name == _WORLD:
        raise DataError(f"{name} has no published split; make one with tastemaker.data.splits")
    entry = source(name)
    splits = entry.folds(install(entry), _parse(entry))
    if not splits:
        raise DataError(f"{name} was published without a split; make one with tastemaker.data.splits")
    return splits


def _parse(entry: Source) -> Dataset:
    folder = install(entry)
    data = entry.parse(folder).dataset(entry.name)
    found, expected = (len(data), data.n_users, data.n_items), (entry.interactions, entry.users, entry.items)
    if found != expected:
        counts = "{:,} interactions of {:,} users with {:,} items"
        damaged(
            folder / entry.files[0], None, f"expected {counts.format(*expected)}, got {counts.format(*found)}"
        )
    return data
