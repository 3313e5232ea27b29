"""Lists for everyone, streamed into a file in bounded memory."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tastemaker.data.storage import sync
from tastemaker.errors import DataError
from tastemaker.models.base import Recommender
from tastemaker.progress import current

__all__ = ["recommend_to_parquet"]

_QUERIES_AT_ONCE = 8192


def recommend_to_parquet(model: Recommender[Any], path: str | Path, *, users: Any = None, **wish: Any) -> int:
    """Write the lists of many users into a Parquet file, one row a slot: user, item, rank, score, source.

    Memory is bounded by a few thousand lists, however many users there are. The file appears when it is complete.

    Args:
        model: a fitted model.
        path: the file; one that is there is replaced.
        users: ids; all known users when not given.
        wish: ``k``, ``filter``, ``deny`` (one list for all), … as in :meth:`Recommender.recommend`; no reasons.

    Returns:
        How many rows were written.

    Raises:
        DataError: for no users, a folder, or a wish that cannot be met.
    """
    known = model.catalogue.users
    ids = None if users is None else list(users)
    count = len(known) if ids is None else len(ids)
    if not count:
        raise DataError("recommend_to_parquet: there are no users")
    path = Path(path)
    if path.is_dir():
        raise DataError(f"recommend_to_parquet: {path} is a folder, expected the name of a file")
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        with current().start("recommend", total=count, unit="user") as task:
            for at in range(0, count, _QUERIES_AT_ONCE):
                rows_of_part = range(at, min(at + _QUERIES_AT_ONCE, count))
                part = known.decode_list(rows_of_part) if ids is None else ids[at : at + _QUERIES_AT_ONCE]
                table = model.recommend(part, **wish).to_polars().drop("query").to_arrow()
                writer = writer or pq.ParquetWriter(aside, table.schema)
                writer.write_table(table.cast(writer.schema))
                rows += table.num_rows
                task.advance(len(part))
        assert writer is not None
        writer.close()
        sync(aside)
        aside.rename(path)
    finally:
        if writer is not None:
            writer.close()
        aside.unlink(missing_ok=True)
    return rows
