"""Impressions with features of all kinds, the click models, and networks with random weights."""

from collections.abc import Callable

import numpy as np
import polars as pl
import torch

import tastemaker as tm
from tastemaker.data import Catalogue, Dataset
from tastemaker.models.base import Fitted
from tastemaker.models.neural.click_network import ClickNetwork
from tastemaker.models.neural.click_training import sides_of, state_of
from tastemaker.models.neural.ctr import ClickModel
from tastemaker.models.neural.features import fit_features
from tastemaker.models.neural.specs import Bag, Categorical, Cross, FeatureSpec, HistoryBag, Id, Numeric

SPEC = FeatureSpec(
    user=(Id("user"), Categorical("gender"), HistoryBag()),
    item=(Id("item"), Bag("genres"), Bag("tags", pooling="sum"), Numeric("price")),
    context=(Categorical("hour"),),
    crosses=(Cross("user.gender", "item.genres"), Cross("context.hour", "item.id")),
)
MODELS: list[Callable[..., ClickModel]] = [
    tm.LogisticRegression,
    lambda **o: tm.FactorizationMachine(factors=3, **o),
    lambda **o: tm.WideAndDeep(factors=3, hidden=(5, 4), **o),
    lambda **o: tm.WideAndDeep(part="wide", **o),
    lambda **o: tm.WideAndDeep(part="deep", factors=3, hidden=(5,), **o),
    lambda **o: tm.DeepFM(factors=3, hidden=(5, 4), **o),
]
IDS = ["lr", "fm", "wide and deep", "wide", "deep", "deepfm"]


def shown(rows: int = 300, users: int = 12, items: int = 9) -> Dataset:
    """Impressions with features of all kinds; the last item is never shown."""
    rng = np.random.default_rng(3)
    genres = ["drama", "crime", "space"]
    return Dataset.from_impressions(
        {
            "user": rng.integers(0, users, rows),
            "item": rng.integers(0, items - 1, rows),
            "label": rng.integers(0, 2, rows),
            "hour": rng.choice(["day", "night"], rows),
        },
        context=["hour"],
        user_features=pl.DataFrame(
            {"user": range(users), "gender": [["f", "m"][u % 2] for u in range(users)]}
        ),
        item_features=pl.DataFrame(
            {
                "item": range(items),
                "genres": [genres[: i % 4] for i in range(items)],
                "tags": [["a", "b", "c"][i % 3 :] for i in range(items)],
                "price": [float(i) for i in range(items)],
            }
        ),
    )


def drawn(model: ClickModel, data: Dataset) -> tuple[ClickNetwork, ClickModel]:
    """A network with random weights everywhere, and the model that answers with them."""
    features = fit_features(SPEC, data)
    generator = torch.Generator().manual_seed(5)
    history = torch.from_numpy(features.history_rows(np.arange(data.n_items)).astype(np.int64))
    parts = model._parts(features.n_cross_rows)
    network = ClickNetwork(sides_of(data, features), features.n_rows, parts, 0.3, generator, (0, history))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    model._hold(Fitted(state_of(network, features), Catalogue.of(data)))
    return network, model
