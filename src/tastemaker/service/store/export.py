"""The store as Parquet files, all of one moment."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import polars as pl
import pyarrow.parquet as pq
import sqlalchemy as sa

from tastemaker.errors import DataError
from tastemaker.policy.replay import Record
from tastemaker.service.store.features import Table
from tastemaker.service.store.tables import decisions, events
from tastemaker.service.store.training import feature_table, frames

__all__ = ["export"]

_TYPES = {
    sa.Text: pl.String,
    sa.BigInteger: pl.Int64,
    sa.Integer: pl.Int64,
    sa.Double: pl.Float64,
    sa.LargeBinary: pl.Binary,
}
_SLOTS = pl.Struct(
    {
        "item_id": pl.List(pl.String),
        "score": pl.List(pl.Float64),
        "propensity": pl.List(pl.Float64),
        "role": pl.List(pl.String),
        "source": pl.List(pl.String),
        "reason": pl.List(pl.String),
    }
)


def export(connection: sa.Connection, folder: Path) -> dict[str, int]:
    """Write ``events``, ``decisions``, ``items`` and ``users`` into a new folder; the number of rows of each.

    The files are written aside and the folder is renamed at the end, so that it is there whole or not at all.

    Raises:
        DataError: if the folder is there and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already; name a new folder")
    aside = folder.with_name(f".{folder.name}.{uuid4().hex}")
    aside.mkdir(parents=True)
    try:
        counts = {
            "events": _write(aside / "events.parquet", _events(connection)),
            "decisions": _write(aside / "decisions.parquet", _decisions(connection)),
            "items": _write(aside / "items.parquet", _features(connection, "items")),
            "users": _write(aside / "users.parquet", _features(connection, "users")),
        }
        if folder.exists():
            folder.rmdir()
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return counts


def _write(path: Path, tables: Iterator[pl.DataFrame]) -> int:
    first = next(tables)
    rows = first.height
    schema = first.to_arrow().schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        writer.write_table(first.to_arrow())
        for table in tables:
            writer.write_table(table.to_arrow().cast(schema))
            rows += table.height
    return rows


def _of(table: sa.Table) -> dict[str, type[pl.DataType]]:
    return {c.name: _TYPES[type(c.type)] for c in table.c}


def _events(connection: sa.Connection) -> Iterator[pl.DataFrame]:
    yield pl.DataFrame(schema=_of(events))
    yield from frames(connection, sa.select(events).order_by(events.c.sequence), _of(events))


def _decisions(connection: sa.Connection) -> Iterator[pl.DataFrame]:
    chosen = sa.select(decisions).order_by(decisions.c.time, decisions.c.recommendation_id)
    yield _spread(pl.DataFrame(schema=_of(decisions)))
    for table in frames(connection, chosen, _of(decisions), at_once=2000):
        yield _spread(table)


def _spread(table: pl.DataFrame) -> pl.DataFrame:
    """JSON and packed arrays as lists."""
    records = [None if packed is None else Record.from_bytes(packed) for packed in table["record"]]
    ids = [None if record is None else list(record.ids) for record in records]
    numbers = [None if record is None else record.pool.utilities for record in records]
    return (
        table.with_columns(
            pl.col("history").str.json_decode(pl.List(pl.String)),
            pl.col("slots").str.json_decode(_SLOTS),
            pl.Series("candidates", ids, dtype=pl.List(pl.String)),
            pl.Series("utilities", numbers, dtype=pl.List(pl.Float64)),
        )
        .with_columns(pl.col("slots").struct.rename_fields([f"slot_{field.name}" for field in _SLOTS.fields]))
        .unnest("slots")
    )


def _features(connection: sa.Connection, table: Table) -> Iterator[pl.DataFrame]:
    there = feature_table(connection, table)
    yield pl.DataFrame(schema={f"{table[:-1]}_id": pl.String}) if there is None else there
