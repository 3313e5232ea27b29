"""From the store to training data: interactions with quality weights, and impressions with what became of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from tastemaker.data.dataset import Dataset
from tastemaker.data.quality import dwell_weight, event_weight
from tastemaker.errors import DataError
from tastemaker.service.store import features as typed
from tastemaker.service.store.events import KINDS, TAKES_BACK
from tastemaker.service.store.features import Table
from tastemaker.service.store.tables import decisions, events, items, users
from tastemaker.service.store.values import from_json

__all__ = ["ANSWERS", "WEIGHTS", "dataset", "feature_table", "frames", "impressions"]

WEIGHTS: Mapping[str, float] = {
    "purchase": 5.0,
    "like": 4.0,
    "rating": 4.0,  # of the highest rating in the store; lower ones in proportion
    "cart": 3.0,
    "view": 2.0,  # of all of it; less in proportion
    "click": 1.0,
    "dwell": 1.0,  # of as long as the user always stays; 0.1 to 2 times as much
}
ANSWERS = ("click", "view", "cart", "purchase", "like")  # what makes an impression a success
_UNTOLD_SHARE = 0.5  # of a view without the share completed
_DWELL_BOUNDS = (0.1, 2.0)
_ROWS = 50_000


def frames(
    connection: sa.Connection, chosen: sa.Select[Any], schema: Mapping[str, Any], at_once: int = _ROWS
) -> Iterator[pl.DataFrame]:
    """The rows of a query as Polars tables, some at a time, so that memory stays bounded."""
    for rows in connection.execute(chosen, execution_options={"yield_per": at_once}).partitions():
        yield pl.DataFrame([tuple(row) for row in rows], schema=dict(schema), orient="row")


def dataset(
    connection: sa.Connection, weights: Mapping[str, float] | None = None, until: int | None = None
) -> Dataset:
    """What everybody did, as implicit feedback; see :meth:`Store.dataset`."""
    chosen = dict(WEIGHTS if weights is None else weights)
    if unknown := [kind for kind in chosen if kind not in KINDS]:
        raise DataError(f"weights: there is no kind of event {unknown[0]!r}; there are {', '.join(KINDS)}")
    told = _told(connection, [*chosen, "dismiss"], until)
    kept = _without_dismissed(told).filter(pl.col("kind").is_in(list(chosen)))
    weighted = kept.with_columns(weight=pl.Series(_weights(kept, chosen), dtype=pl.Float32))
    interactions = weighted.filter(pl.col("weight") > 0)
    if interactions.is_empty():
        raise DataError("the store has no events from which a model could learn yet; post some first")
    return Dataset.from_interactions(
        interactions,
        user="user_id",
        item="item_id",
        weight="weight",
        timestamp="time",
        timestamp_unit="us",
        user_features=feature_table(connection, "users"),
        item_features=feature_table(connection, "items"),
        duplicates="max",
        name="events",
    )


def _told(connection: sa.Connection, kinds: Sequence[str], until: int | None) -> pl.DataFrame:
    """The events of these kinds up to a sequence number, oldest first."""
    e = events.c
    schema = {
        "user_id": pl.String,
        "item_id": pl.String,
        "kind": pl.Categorical,
        "value": pl.Float64,
        "time": pl.Int64,
    }
    chosen = sa.select(*(e[name] for name in schema)).where(e.kind.in_(kinds)).order_by(e.sequence)
    if until is not None:
        chosen = chosen.where(e.sequence <= until)
    told = pl.concat([pl.DataFrame(schema=schema), *frames(connection, chosen, schema)])
    return told.sort("time", maintain_order=True).with_columns(pl.col("kind").cast(pl.String))


def _without_dismissed(told: pl.DataFrame) -> pl.DataFrame:
    """Without the pairs that the user dismissed and did not like, buy or put into the cart since."""
    verdict = pl.col("kind").filter(pl.col("kind").is_in(["dismiss", *TAKES_BACK])).last()
    dismissed = (verdict == "dismiss").over("user_id", "item_id").fill_null(False)
    return told.filter(~dismissed)


def _weights(told: pl.DataFrame, weights: Mapping[str, float]) -> np.ndarray:
    """float32[events]: by kind and value."""
    kind, value = told["kind"], told["value"].to_numpy()
    weight = event_weight(kind, weights).copy()
    views, ratings, dwells = ((kind == name).to_numpy() for name in ("view", "rating", "dwell"))
    weight[views] *= np.nan_to_num(value[views], nan=_UNTOLD_SHARE)
    if ratings.any():
        weight[ratings] *= np.clip(value[ratings] / max(value[ratings].max(), 1e-9), 0, 1)
    if dwells.any():
        user = told["user_id"].rank("dense").to_numpy()[dwells]
        weight[dwells] *= dwell_weight(user, value[dwells]).clip(*_DWELL_BOUNDS)
    return weight


def feature_table(connection: sa.Connection, table: Table) -> pl.DataFrame | None:
    """The features of all items that are not deleted, or of all users, as typed columns; None if there are no rows."""
    target = items if table == "items" else users
    there = items.c.deleted.is_(None) if table == "items" else sa.true()
    key = target.primary_key.columns[0]
    rows = connection.execute(sa.select(key, target.c.features).where(there).order_by(key)).all()
    if not rows:
        return None
    values = [from_json(text) for _, text in rows]
    columns = [
        typed.as_column(name, [row.get(name) for row in values], kind)
        for name, kind in typed.schema(connection, table).items()
    ]
    return pl.DataFrame([pl.Series(key.name, [id_ for id_, _ in rows], dtype=pl.String), *columns])


_SLOTS = pl.Struct({"item_id": pl.List(pl.String), "propensity": pl.List(pl.Float64)})


def impressions(connection: sa.Connection, answers: Sequence[str] = ANSWERS) -> pl.DataFrame:
    """Each item that was seen in a logged list, and whether anything came of it; see :meth:`Store.impressions`."""
    e, d = events.c, decisions.c
    shown_as = {
        "user_id": pl.String,
        "item_id": pl.String,
        "time": pl.Int64,
        "recommendation_id": pl.String,
        "context": pl.String,
    }
    cited = e.recommendation_id.is_not(None)
    seen = (
        sa.select(*(e[name] for name in shown_as)).where(cited, e.kind == "impression").order_by(e.sequence)
    )
    answered_as = {"recommendation_id": pl.String, "item_id": pl.String}
    answered = sa.select(*(e[name] for name in answered_as)).where(cited, e.kind.in_(answers)).distinct()
    made_as = dict.fromkeys(
        ("recommendation_id", "surface", "policy", "policy_version", "model", "slots"), pl.String
    )
    made = sa.select(*(d[name] for name in made_as))
    shown = _all(connection, seen, shown_as).unique(
        ["recommendation_id", "item_id"], keep="first", maintain_order=True
    )
    hits = _all(connection, answered, answered_as).with_columns(label=pl.lit(1, pl.Int8))
    places = (
        _all(connection, made, made_as).with_columns(pl.col("slots").str.json_decode(_SLOTS)).unnest("slots")
    )
    places = places.with_columns(slot=pl.int_ranges(0, pl.col("item_id").list.len(), dtype=pl.Int32))
    places = places.filter(pl.col("slot").list.len() > 0).explode("item_id", "propensity", "slot")
    pair = ["recommendation_id", "item_id"]
    joined = shown.join(places, on=pair, how="inner", maintain_order="left")
    joined = joined.join(hits, on=pair, how="left", maintain_order="left")
    return joined.with_columns(pl.col("label").fill_null(0))


def _all(connection: sa.Connection, chosen: sa.Select[Any], schema: Mapping[str, Any]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=dict(schema)), *frames(connection, chosen, schema)])
