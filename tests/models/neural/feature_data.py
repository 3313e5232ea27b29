"""Small data with every kind of feature, and a model that looks at them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data import Dataset
from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.neural.features import FeatureState, fit_features
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Cross,
    FeatureSpec,
    HistoryBag,
    Id,
    Numeric,
    Time,
    Vector,
)
from tastemaker.progress import Progress

BIG = 2**53  # from here on float64 merges neighbors; float32 does from 2**24 on

USERS = pl.DataFrame(
    {
        "user": [BIG, BIG + 1, 2**24, 2**24 + 1],
        "gender": ["f", "m", None, "f"],
        "age": [17, 18, 40, None],
        "installed": [["spotify", "shazam", "waze"], ["shazam"], [], ["waze", "spotify", "spotify"]],
        "income": [1e3, None, 2e5, 3e4],
        "born": [date(2000, 1, 1), None, date(1960, 5, 17), date(1990, 2, 3)],
    }
)
ITEMS = pl.DataFrame(
    {
        "item": ["jaws", "alien", "heat", "new"],
        "genres": ["Horror|Thriller", "Horror | SciFi", None, "Western"],
        "studio": [BIG, BIG + 1, BIG + 2, BIG],
        "cover": [[0.5, -1.0], [0.25, 2.0], None, [1.0, 1.0]],
    },
    schema_overrides={"studio": pl.Int64, "cover": pl.List(pl.Float32)},
)
SPEC = FeatureSpec(
    user=(
        Id("user"),
        Categorical("gender"),
        Numeric("age", "buckets", buckets=2),
        Bag("installed", pooling="sum"),
        HistoryBag(last=2),
        Numeric("income", "log"),
        Time("born", ("recency",)),
    ),
    item=(Id("item"), Bag("genres", separator="|"), Categorical("studio"), Vector("cover")),
    context=(Categorical("device", buckets=8), Time("at"), Numeric("battery")),
    crosses=(
        Cross("user.gender", "item.genres"),
        Cross("user.installed", "user.installed", "item.id"),
        Cross("context.at.hour", "item.genres", buckets=50),
        Cross("user.installed", "item.genres", min_count=2),
    ),
)


def data() -> Dataset:
    """Nine interactions; no one had the item ``new``."""
    start = datetime(2024, 3, 1, 20, 15)
    who = [0, 0, 0, 1, 1, 2, 2, 3, 3]
    what = [0, 1, 2, 0, 2, 1, 2, 0, 1]
    rows = {
        "user": [USERS["user"][u] for u in who],
        "item": [ITEMS["item"][i] for i in what],
        "at": [start + timedelta(hours=7 * j) for j in range(9)],
        "device": ["phone", "tv", None, "phone", "web", "tv", "phone", "phone", "tv"],
        "battery": [0.5, 0.25, None, 1.0, 0.125, 0.5, 0.75, 0.0, 1.0],
    }
    return Dataset.from_interactions(
        rows,
        timestamp="at",
        context=["device", "battery"],
        user_features=USERS,
        item_features=ITEMS,
        name="films",
    )


@dataclass(eq=False, kw_only=True)
class Toy(Recommender[FeatureState]):
    """Scores by the sum of all that the pipeline says of user and context, and by the item's code."""

    name: ClassVar[str] = "toy"
    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "features", "context"})
    cold_start: ClassVar[str] = "By features."
    state_type: ClassVar[type[State]] = FeatureState

    def _fit(self, data: Dataset, progress: Progress) -> FeatureState:
        return FeatureState(**fit_features(SPEC, data).to_state())

    def _score(self, fitted: Fitted[FeatureState], queries: Queries) -> NDArray[np.float32]:
        user, context = fitted.state.pipeline.queries(queries, fitted.catalogue)
        ids = np.concatenate([user.ids, context.ids], axis=1).sum(axis=1)
        bags = sum(np.bincount(b.rows(), b.ids, len(user)) for b in user.bags)
        numbers = (np.concatenate([user.dense, context.dense], axis=1) * [1, 2, 4, 8]).sum(axis=1)
        score: Any = (ids + bags + numbers)[:, None] + np.arange(fitted.catalogue.n_items)
        return score.astype(np.float32)
