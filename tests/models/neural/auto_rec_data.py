"""Ratings, and AutoRec models of made-up weights, for the tests of AutoRec."""

import math
from typing import Any

import numpy as np
import pytest

import tastemaker as tm
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.history import History
from tastemaker.models.base import Fitted
from tastemaker.models.neural.auto_rec import AutoRec
from tastemaker.models.neural.auto_rec_state import AutoRecState

KINDS = pytest.mark.parametrize("kind", ["item", "user"])
MEAN, SHOWN, SPREAD = 3.0, 2.5, 1.5


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def world(
    users: int = 200, items: int = 90, per_user: int = 30, noise: float = 0.3, seed: int = 0
) -> tm.Dataset:
    """Ratings from 1 to 5 made of biases, two true factors and noise."""
    rng = np.random.default_rng(seed)
    taste, content = rng.normal(0, 0.7, (users, 2)), rng.normal(0, 0.9, (items, 2))
    truth = 3 + rng.normal(0, 0.4, (users, 1)) + rng.normal(0, 0.4, (1, items)) + taste @ content.T
    chosen = np.argsort(rng.random((users, items)), axis=1)[:, :per_user]
    rating = np.take_along_axis(truth, chosen, axis=1) + rng.normal(0, noise, chosen.shape)
    table = {
        "user": np.repeat(np.arange(users), per_user),
        "item": chosen.ravel(),
        "rating": rating.clip(1, 5).ravel(),
    }
    return tm.Dataset.from_interactions(table, rating="rating", scale=(1, 5))


def halves(data: tm.Dataset, share: float = 0.2) -> tuple[tm.Dataset, tm.Dataset]:
    test = np.random.default_rng(1).random(len(data)) < share
    return data.select(~test), data.select(test)


def rmse(model: AutoRec, data: tm.Dataset) -> float:
    return float(np.sqrt(np.mean((model.predict_codes(data.user, data.item) - data.value) ** 2)))


def small(kind: Any, **options: Any) -> AutoRec:
    return AutoRec(
        kind=kind,
        **{"factors": 16, "epochs": 60, "learning_rate": 0.01, "batch_size": 16, "device": "cpu", **options},
    )


def by_hand(kind: Any, data: tm.Dataset, factors: int = 3, penalty: float = 2.0) -> AutoRec:
    """A model with made-up weights, that no training has touched."""
    rng = np.random.default_rng(5)
    columns = data.n_users if kind == "item" else data.n_items
    encoder, hidden_bias, decoder, output_bias = (
        rng.normal(0, 1, shape).astype(np.float32)
        for shape in ((columns, factors), factors, (columns, factors), columns)
    )
    model = AutoRec(kind=kind, factors=factors, dropout=0.25)
    state = AutoRecState(MEAN, SHOWN, SPREAD, encoder, hidden_bias, decoder, output_bias, penalty, 0)
    model._hold(Fitted(state, Catalogue.of(data)))
    return model


def rebuilt(state: AutoRecState, row: dict[int, float]) -> np.ndarray:
    """h(x) of one row in ratings, written out: float64[columns]."""
    z = [
        float(state.hidden_bias[f]) + sum(float(state.encoder[c, f]) * r / SPREAD for c, r in row.items())
        for f in range(len(state.hidden_bias))
    ]
    hidden = [1 / (1 + math.exp(-value)) for value in z]
    out = [
        sum(float(state.decoder[c, f]) * hidden[f] for f in range(len(hidden))) + float(state.output_bias[c])
        for c in range(len(state.decoder))
    ]
    mean = MEAN + sum(r - SHOWN for r in row.values()) / (len(row) + 5)
    return mean + SPREAD * np.array(out)


TINY = tm.Dataset.from_interactions(
    {"user": ["a", "a", "b", "c", "c"], "item": ["x", "y", "x", "y", "z"], "rating": [5, 2, 1, 4, 3]},
    rating="rating",
    scale=(-1000, 1000),
    item_features={"item": ["x", "y", "z", "new"], "year": [1, 2, 3, 4]},
)


def row_of(history: History, row: int) -> dict[int, float]:
    part = history[row : row + 1]
    return dict(zip(part.indices.tolist(), part.value.tolist(), strict=True))


def grid(model: AutoRec, data: tm.Dataset) -> np.ndarray:
    """float32[users, items]: all predictions."""
    pairs = np.indices((data.n_users, data.n_items)).reshape(2, -1).astype(np.int32)
    return model.predict_codes(*pairs).reshape(data.n_users, data.n_items)
