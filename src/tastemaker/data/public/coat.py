"""Coat shopping: ratings that people chose to give, and ratings of coats shown at random.

Schnabel et al.: Recommendations as Treatments. ICML 2016. https://www.cs.cornell.edu/~schnabts/mnar/
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.public.tables import Tables
from tastemaker.data.public.text import damaged, read_content, read_lists, require_equal_lengths
from tastemaker.data.splits import Split

__all__ = ["coat", "coat_folds"]

_USERS, _ITEMS = 290, 300


def coat(folder: Path) -> Tables:
    """The 24 ratings that each user chose to give, each with its learned ``propensity``; ids count from 0.

    Users have ``gender``, ``age``, ``location``, ``fashioninterest``; items ``gender``, ``jackettype``, ``color``,
    ``onfrontpage``. The ratings of coats shown at random are the test part of :func:`coat_folds`.
    """
    ratings = _ratings(folder / "train.ascii")
    propensity = _matrix(folder / "propensities.ascii", (_USERS, _ITEMS), pl.Float64)
    shares = propensity[ratings["user"], ratings["item"]]
    features = folder / "user_item_features"
    return Tables(
        interactions=ratings.with_columns(propensity=pl.Series(shares)),
        users=_features(features / "user_features", "user", _USERS),
        items=_features(features / "item_features", "item", _ITEMS),
        scale=(1, 5),
    )


def coat_folds(folder: Path, data: Dataset) -> dict[str, Split]:
    """``random``: train on what users chose to rate, test on 16 ratings a user of coats drawn at random (no selection bias).

    The draw showed people 366 coats that they had also chosen; those ratings are left out of training, so that no model
    has seen what it is tested on and the test part stays the random sample that was published.
    """
    ratings = _ratings(folder / "test.ascii")
    n = ratings.height
    test = replace(
        data,
        user=data.users.encode(ratings["user"]),
        item=data.items.encode(ratings["item"]),
        value=ratings["rating"].to_numpy().astype(np.float32),
        weight=np.ones(n, np.float32),
        timestamp=np.zeros(n, np.int64),
        context=pl.DataFrame({"propensity": np.full(n, 16 / _ITEMS)}),
    )
    shown = np.zeros((_USERS, _ITEMS), bool)
    shown[test.user, test.item] = True
    train = data.select(~shown[data.user, data.item])
    return {"random": Split(train, test, "random", "chosen ratings for training, random coats for the test")}


def _ratings(path: Path) -> pl.DataFrame:
    """A matrix of ratings, 0 for none, as rows."""
    matrix = _matrix(path, (_USERS, _ITEMS), pl.Int64)
    user, item = np.nonzero(matrix)
    return pl.DataFrame({"user": user, "item": item, "rating": matrix[user, item]})


def _matrix(path: Path, shape: tuple[int, int], kind: type[pl.DataType]) -> NDArray[np.generic]:
    lists = read_lists(path, kind)
    require_equal_lengths(path, lists, shape[1])
    if len(lists) != shape[0]:
        damaged(path, None, f"expected {shape[0]} lines, got {len(lists)}")
    return lists.explode().to_numpy().reshape(shape)


def _features(stem: Path, id_column: str, count: int) -> pl.DataFrame:
    """One-of-n columns, named ``group:level`` in the map beside them, as one text column a group."""
    path = stem.with_name(f"{stem.name}_map.txt")
    names = [line.split(":", 1) for line in read_content(path).decode().splitlines()]
    for number, name in enumerate(names, 1):
        if len(name) != 2:
            damaged(path, number, f"expected group:level, got {name[0]!r}")
    ones = _matrix(stem.with_suffix(".ascii"), (count, len(names)), pl.Int64)
    table = {id_column: np.arange(count)}
    for group in dict.fromkeys(group for group, _ in names):
        at = [i for i, (g, _) in enumerate(names) if g == group]
        levels = np.array([names[i][1] for i in at])
        table[group] = levels[ones[:, at].argmax(axis=1)]
    return pl.DataFrame(table)
