"""MovieLens-1M for neural.py, sequences.py and accuracy_clicks.py, as plain arrays that every library's own Python can read.

``implicit_ml_1m`` is the training part of NCF's files without each user's last item, which is ranked among 99 random others.
``clicks_ml_1m`` takes ratings as clicks: 4 and 5 are clicks, 1 and 2 are shown but not clicked, 3 is left out. Every feature is a
code from 1 on; 0 is for nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import tastemaker as tm
from tastemaker import datasets
from tastemaker.data.history import History
from tastemaker.data.splits import leave_last_out

CANDIDATES = 99  # random items that a held-out one is ranked among
CLICK, NO_CLICK = 4, 2  # ratings from here up, and down to here
USER_FEATURES = ("gender", "age", "occupation")
PARTS = 10  # the last two are for validation and test


def implicit_ml_1m(file: Path, seed: int = 0) -> None:
    """Write the pairs user and item, and valid_user with candidates: the held-out item and others that the user never had."""
    data = datasets.folds("ncf-ml-1m")["test"].train.implicit()
    split = leave_last_out(data)
    random = np.random.default_rng(seed)
    known = np.unique(split.train.item)
    tested = np.isin(split.test.item, known)  # other items are new to every model
    user, item = split.test.user[tested], split.test.item[tested]
    rows = [_others(random, known, _items_of(data.by_user, u)) for u in user]
    np.savez(
        file,
        user=split.train.user,
        item=split.train.item,
        valid_user=user,
        candidates=np.column_stack([item, np.array(rows, np.int32)]),
        shape=np.array([data.n_users, data.n_items]),
    )


def _items_of(history: History, user: int) -> NDArray[np.int32]:
    return history.indices[history.indptr[user] : history.indptr[user + 1]]


def _others(
    random: np.random.Generator, known: NDArray[np.int32], had: NDArray[np.int32]
) -> NDArray[np.int32]:
    return random.choice(np.setdiff1d(known, had), CANDIDATES, replace=False)


def clicks_ml_1m(file: Path, seed: int = 0) -> None:
    """Write user, item, label and part (0 train, 1 validation, 2 test) of each row, and what is known about users and items."""
    data = datasets.load("ml-1m")
    kept = (data.value >= CLICK) | (data.value <= NO_CLICK)
    drawn = np.random.default_rng(seed).permutation(int(kept.sum())) % PARTS
    about = data.user_features
    genres = data.item_features["genres"].fill_null([]).to_list()
    number = {name: n for n, name in enumerate(sorted({g for row in genres for g in row}), start=1)}
    wide = max(map(len, genres))
    np.savez(
        file,
        user=data.user[kept],
        item=data.item[kept],
        label=(data.value[kept] >= CLICK).astype(np.float32),
        part=np.maximum(drawn - (PARTS - 3), 0),
        user_features=np.column_stack([codes(about[name]) for name in USER_FEATURES]),
        year=codes(data.item_features["year"]),
        genres=np.array([[number[g] for g in row] + [0] * (wide - len(row)) for row in genres], np.int32),
        shape=np.array([data.n_users, data.n_items]),
    )


def codes(values: pl.Series) -> NDArray[np.int32]:
    """int32[n]: 1 for the smallest value, 2 for the next ...; 0 for null."""
    there = values.is_not_null().to_numpy()
    found = np.zeros(len(values), np.int32)
    found[there] = np.unique(values.drop_nulls().to_numpy(), return_inverse=True)[1] + 1
    return found


def clicks_dataset(arrays: Mapping[str, NDArray[Any]]) -> tm.Dataset:
    """The Dataset of what :func:`clicks_ml_1m` wrote, rows and codes as they are there; every feature is categorical."""
    n_users, n_items = arrays["shape"]
    about = {f"user_{n}": column.astype(str) for n, column in enumerate(arrays["user_features"].T)}
    genres = [[str(code) for code in row if code] for row in arrays["genres"].tolist()]
    return tm.Dataset.from_impressions(
        {name: arrays[name] for name in ("user", "item", "label")},
        user_features=pl.DataFrame({"user": np.arange(n_users, dtype=np.int32), **about}),
        item_features=pl.DataFrame(
            {"item": np.arange(n_items, dtype=np.int32), "year": arrays["year"].astype(str), "genres": genres}
        ),
        name="ml-1m clicks",
    )


def sequences_ml_1m(file: Path) -> None:
    """Write the training pairs user and item in the order of time, and the next item of each user as valid_user and valid_item.

    They are of SASRec's file; the items that it tests on are not among them.
    """
    split = datasets.folds("sasrec-ml-1m")["test"]
    train, valid = split.train, split.validation
    assert valid is not None
    known = np.isin(valid.item, train.item)  # other items are new to every model
    np.savez(
        file,
        user=train.user,
        item=train.item,
        valid_user=valid.user[known],
        valid_item=valid.item[known],
        shape=np.array([train.n_users, train.n_items]),
    )
