"""Who asks: one row a list to fill, whether a known user, a new one with a history, an anonymous session or a seed."""

from dataclasses import dataclass, replace
from numbers import Number
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.sources import read_table
from tastemaker.errors import DataError

__all__ = ["KINDS", "Queries", "as_rows", "context_of", "queries_from_ids", "queries_of_pairs"]

KINDS = ("known", "history", "anonymous", "seeds")


@dataclass(frozen=True, eq=False)
class Queries:
    """Lists to fill, in codes.

    Attributes:
        users: int32[q], the user's code, −1 where unknown.
        history: q rows; the given history, else the user's stored one, else nothing.
        given: bool[q], whether the caller gave the history (then it replaces the stored one for scoring).
        seeds: q rows of items to be similar to; None when the queries are not about seeds.
        unknown: how many ids in the given histories and seeds are in no vocabulary, and so were left out.
        features: q rows of user features, which replace the stored ones; None when none are given.
        context: q rows: where and when it is asked; None when nothing is known of that.
    """

    users: NDArray[np.int32]
    history: History
    given: NDArray[np.bool_]
    seeds: History | None = None
    unknown: int = 0
    features: pl.DataFrame | None = None
    context: pl.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, rows: slice) -> "Queries":
        return replace(
            self,
            users=self.users[rows],
            history=self.history[rows],
            given=self.given[rows],
            seeds=None if self.seeds is None else self.seeds[rows],
            features=None if self.features is None else self.features[rows],
            context=None if self.context is None else self.context[rows],
        )

    def take(self, rows: NDArray[np.integer]) -> "Queries":
        """These queries, in this order."""
        return replace(
            self,
            users=self.users[rows],
            history=self.history.take(rows),
            given=self.given[rows],
            seeds=None if self.seeds is None else self.seeds.take(rows),
            features=None if self.features is None else self.features[rows],
            context=None if self.context is None else self.context[rows],
        )

    def kinds(self) -> NDArray[np.int8]:
        """int8[q], each an index into :data:`KINDS`: what there is to answer the query from."""
        if self.seeds is not None:
            return np.where(self.seeds.lengths > 0, KINDS.index("seeds"), KINDS.index("anonymous")).astype(
                np.int8
            )
        known = np.where(self.given, KINDS.index("history"), KINDS.index("known"))
        return np.where(self.history.lengths > 0, known, KINDS.index("anonymous")).astype(np.int8)


def of_users(users: NDArray[np.int32], catalogue: Catalogue) -> Queries:
    """One query for each user code (−1 for an unknown user), with the stored histories."""
    known = np.flatnonzero(users >= 0)
    history = catalogue.past.take(users[known])
    if len(known) < len(users):
        row = np.full(len(users), len(known))
        row[known] = np.arange(len(known))
        history = history.grown(len(known) + 1).take(row)
    return Queries(users, history, np.zeros(len(users), np.bool_))


def as_rows(values: Any, what: str) -> list[Any]:
    """``values`` as a list of Python objects with one entry a query; text or a single id is refused with a hint.

    >>> as_rows(["alice", "bob"], "users")
    ['alice', 'bob']
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise DataError(f"{what}: expected a list with one entry a query, got {values!r}; write [{values!r}]")
    if isinstance(values, np.ndarray):  # dates through Polars: NumPy makes numbers of some of them
        return pl.Series(values).to_list() if values.dtype.kind == "M" else values.tolist()
    for method in ("to_list", "to_pylist"):
        if hasattr(values, method):
            return list(getattr(values, method)())
    return list(values)


def _rows_of_items(rows: list[Any], catalogue: Catalogue, what: str, center: float) -> tuple[History, int]:
    """Lists of ids, or mappings from id to rating, as a History; the number of ids that no vocabulary knows."""
    parts = [_ids_of_row(row, what) for row in rows]
    lengths = [len(part) for part in parts]
    codes = _encoded(parts, catalogue)
    numbers = np.full(len(codes), center, np.float32)
    query = np.repeat(np.arange(len(rows)), lengths)
    if any(isinstance(row, dict) for row in rows):
        values = [v for row, n in zip(rows, lengths, strict=True) for v in _ratings_of_row(row, n, center)]
        numbers = _checked_ratings(values, what)
    known = np.flatnonzero(codes >= 0)
    pair = query[known] * np.int64(catalogue.n_items) + codes[known]
    _, last = np.unique(
        pair[::-1], return_index=True
    )  # an item named twice counts once, where it was named last
    keep = np.sort(known[len(known) - 1 - last])
    counts = np.bincount(query[keep], minlength=len(rows))
    return History.of_lengths(counts, codes[keep], numbers[keep]), len(codes) - len(known)


def _ids_of_row(row: Any, what: str) -> list[Any] | NDArray[np.integer]:
    if isinstance(row, str | bytes) or not hasattr(row, "__iter__"):
        raise DataError(
            f"{what}: each entry must be a list of item ids or a mapping from id to rating, got {row!r}"
        )
    if isinstance(row, np.ndarray) and row.ndim == 1 and row.dtype.kind in "iu":
        return row
    return list(row) if isinstance(row, dict) else as_rows(row, what)


def _encoded(parts: list[list[Any] | NDArray[np.integer]], catalogue: Catalogue) -> NDArray[np.int32]:
    """The codes of all ids, in one array; whole arrays of integers need not become Python objects."""
    if parts and all(isinstance(part, np.ndarray) for part in parts):
        return catalogue.items.encode(np.concatenate(parts))
    ids = [i for part in parts for i in (part.tolist() if isinstance(part, np.ndarray) else part)]
    return catalogue.items.encode(ids) if ids else np.empty(0, np.int32)


def _ratings_of_row(row: Any, length: int, center: float) -> list[Any]:
    return list(row.values()) if isinstance(row, dict) else [center] * length


def _checked_ratings(values: list[Any], what: str) -> NDArray[np.float32]:
    bad = [v for v in values if not isinstance(v, Number) or isinstance(v, complex)]
    if bad:
        raise DataError(f"{what}: ratings must be numbers, got {bad[0]!r}")
    numbers = np.asarray(values, np.float32)
    if not np.isfinite(numbers).all():
        raise DataError(f"{what}: ratings must be finite, got {numbers[~np.isfinite(numbers)][0]}")
    return numbers


def context_of(data: Dataset) -> pl.DataFrame:
    """The context of each interaction as models learn it: the context columns, and the time as a date under its column's name.

    >>> rows = {"user": [1], "item": ["tea"], "at": [86_400], "device": ["phone"]}
    >>> context_of(Dataset.from_interactions(rows, timestamp="at", context=["device"])).rows()
    [('phone', datetime.datetime(1970, 1, 2, 0, 0))]
    """
    name = data.schema.timestamp
    if name is None or name in data.context.columns:
        return data.context
    times = pl.Series(name, np.ascontiguousarray(data.timestamp)).cast(pl.Datetime("us"))
    return data.context.hstack([times]) if data.context.width else times.to_frame()


def queries_from_ids(
    catalogue: Catalogue,
    users: Any = None,
    history: Any = None,
    seeds: Any = None,
    features: Any = None,
    context: Any = None,
) -> Queries:
    """Queries from the caller's ids.

    Args:
        catalogue: whose vocabularies and stored histories to use.
        users: one id a query; all known users when nothing else is given.
        history: one list of item ids a query, oldest first, or one mapping from item id to rating. Ids alone count as liked:
            the top of the rating scale, or 1 for implicit feedback.
        seeds: one list of item ids a query.
        features: a table of user features with one row a query; without users and history, each row is someone new.
        context: a table with one row a query, as ``features``.

    Raises:
        DataError: if their numbers differ or an entry has the wrong form.
    """
    tables = _tables(features=features, context=context)
    if seeds is not None and (users is not None or history is not None or tables):
        raise DataError("seeds: give either seeds, or users, history, features and context, not both")
    if tables and users is None and history is None:
        history = [[]] * next(iter(tables.values())).height
    return _with_tables(_of_ids(catalogue, users, history, seeds), tables)


def queries_of_pairs(
    catalogue: Catalogue, users: NDArray[np.int32], features: Any = None, context: Any = None
) -> tuple[Queries, NDArray[np.int64]]:
    """The queries behind n predictions, and int64[n], which of them each belongs to.

    One for each user, unless a table says something of its own about each of the n.
    """
    tables = _tables(features=features, context=context)
    if tables:
        return _with_tables(of_users(users, catalogue), tables), np.arange(len(users))
    distinct, rows = np.unique(users, return_inverse=True)
    return of_users(distinct.astype(np.int32), catalogue), rows


def _tables(**given: Any) -> dict[str, pl.DataFrame]:
    return {name: read_table(table, name=name) for name, table in given.items() if table is not None}


def _with_tables(queries: Queries, tables: dict[str, pl.DataFrame]) -> Queries:
    for name, table in tables.items():
        if table.height != len(queries):
            raise DataError(
                f"{name}: expected one row for each of {len(queries)} queries, got {table.height}"
            )
    return replace(queries, features=tables.get("features"), context=tables.get("context"))


def _of_ids(catalogue: Catalogue, users: Any, history: Any, seeds: Any) -> Queries:
    if users is None and history is None and seeds is None:
        return of_users(np.arange(catalogue.n_users, dtype=np.int32), catalogue)
    liked = catalogue.schema.scale[1] if catalogue.schema.scale else 1.0
    if seeds is not None:
        rows, unknown = _rows_of_items(as_rows(seeds, "seeds"), catalogue, "seeds", 1.0)
        nobody = np.full(len(rows), -1, np.int32)
        return Queries(nobody, History.empty(len(rows)), np.zeros(len(rows), np.bool_), rows, unknown)
    if users is not None:
        queries = of_users(catalogue.users.encode(as_rows(users, "users")), catalogue)
    if history is None:
        return queries
    given, unknown = _rows_of_items(as_rows(history, "history"), catalogue, "history", liked)
    if users is None:
        codes = np.full(len(given), -1, np.int32)
    elif len(queries) == len(given):
        codes = queries.users
    else:
        raise DataError(f"history: expected one entry for each of {len(queries)} users, got {len(given)}")
    return Queries(codes, given, np.ones(len(given), np.bool_), None, unknown)
