"""Ratings made of biases, two true factors and noise, and what is asked of a model of them."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tastemaker import Dataset
from tastemaker.data.queries import Queries
from tastemaker.models.matrix_factorization import MatrixFactorization

MF = MatrixFactorization


def world(
    users: int = 300, items: int = 120, per_user: int = 40, noise: float = 0.3, seed: int = 0
) -> Dataset:
    """Ratings from 1 to 5 made of biases, two true factors and noise."""
    rng = np.random.default_rng(seed)
    taste, content = rng.normal(0, 0.7, (users, 2)), rng.normal(0, 0.9, (items, 2))
    truth = 3 + rng.normal(0, 0.4, (users, 1)) + rng.normal(0, 0.4, (1, items)) + taste @ content.T
    chosen = np.argsort(rng.random((users, items)), axis=1)[:, :per_user]
    rating = np.take_along_axis(truth, chosen, axis=1) + rng.normal(0, noise, chosen.shape)
    table = pl.DataFrame(
        {
            "user": np.repeat([f"u{u}" for u in range(users)], per_user),
            "item": [f"i{i}" for i in chosen.ravel()],
            "rating": rating.clip(1, 5).ravel(),
        }
    )
    return Dataset.from_interactions(
        table.sample(fraction=1, shuffle=True, seed=seed), rating="rating", scale=(1, 5)
    )


def halves(data: Dataset, share: float = 0.2) -> tuple[Dataset, Dataset]:
    test = np.random.default_rng(1).random(len(data)) < share
    return data.select(~test), data.select(test)


def rmse(model: MF, data: Dataset) -> float:
    return float(np.sqrt(np.mean((model.predict_codes(data.user, data.item) - data.value) ** 2)))


def state_bytes(model: MF) -> list[bytes]:
    state = model._fitted.state
    return [a.tobytes() for a in (state.user_factors, state.item_factors, state.user_bias, state.item_bias)]


def history_of(data: Dataset, user: int) -> dict[Any, float]:
    row = data.by_user[user : user + 1]
    return dict(zip(data.items.decode_list(row.indices), row.value.tolist(), strict=True))


def given(data: Dataset, users: np.ndarray) -> Any:
    nobody = np.full(len(users), -1, np.int32)
    return Queries(nobody, data.by_user.take(users), np.ones(len(users), np.bool_))


def real_ratings(folder: Path, name: str, file: str, separator: str) -> Dataset:
    rows = [line.split(separator)[:3] for line in (folder / name / file).read_text().splitlines()]
    table = pl.DataFrame(np.array(rows, np.int64), schema=["user", "item", "rating"], orient="row")
    return Dataset.from_interactions(table, rating="rating", scale=(1, 5))
