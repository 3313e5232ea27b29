"""Small data on which every model must keep the same promises."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Dataset
from tastemaker.models import model_class, names
from tastemaker.models.base import Recommender

USERS, ITEMS = 40, 30
GENRES = ["drama", "comedy", "crime", "space", "cooking"]


def small_data(
    user: Callable[[int], Any] = "u{}".format,
    item: Callable[[int], Any] = "i{}".format,
    users: int = USERS,
    items: int = ITEMS,
    explicit: bool = True,
) -> Dataset:
    """Random ratings with times and features; the last item has features but no ratings."""
    rng = np.random.default_rng(7)
    filled = rng.random((users, items)) < 0.35
    filled[:, 0] = True
    if items > 1:
        filled[:, -1] = False
    who, what = np.nonzero(filled)
    ratings = rng.integers(1, 6, len(who)).astype(float)
    films = pl.DataFrame(
        {
            "item": [item(i) for i in range(items)],
            "title": [f"{GENRES[i % 5]} story number {i // 5}" for i in range(items)],
            "genres": [[GENRES[i % 5], GENRES[(i * 3 + 1) % 5]] for i in range(items)],
            "price": [float(i % 7) for i in range(items)],
        },
        strict=False,
    )
    order = rng.permutation(len(who))
    return Dataset.from_interactions(
        {
            "user": [user(int(u)) for u in who[order]],
            "item": [item(int(i)) for i in what[order]],
            "rating": ratings[order],
            "time": rng.integers(1_600_000_000, 1_700_000_000, len(who)),
        },
        rating="rating" if explicit else None,
        timestamp="time",
        item_features=films,
        scale=(1, 5) if explicit else None,
        name="small",
    )


@pytest.fixture(params=[*names(), "policy"])
def name(request: pytest.FixtureRequest) -> str:
    """The registered name of every model, one after another, and of the policy, which answers like one."""
    return str(request.param)


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], Recommender[Any]]:
    """A model by name, fitted on the small data once a module."""
    kept: dict[str, Recommender[Any]] = {}
    data = small_data()

    def get(name: str) -> Recommender[Any]:
        if name not in kept:
            kept[name] = model_class(name)().fit(data)
        return kept[name]

    return get


def as_uuid(number: int) -> UUID:
    """A UUID for a number."""
    return UUID(int=number + 1)
