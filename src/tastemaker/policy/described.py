"""A query with what is known at the moment of whoever asks, and of where and when, for a model that ranks by it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl

from tastemaker.data.queries import Queries
from tastemaker.models.base import Recommender

__all__ = ["described"]


def described(
    model: Recommender[Any],
    query: Queries,
    features: Mapping[str, Any] | None,
    context: Mapping[str, Any],
    now: int,
) -> Queries:
    """The query as the model is asked it.

    Args:
        model: fitted; one that looks at neither features nor context is asked the query as it is.
        query: one.
        features: of the user, in place of those that the model was fitted on: what it lacks is missing. None leaves those.
        context: where and when it is asked; columns that the model reads and this has not are missing.
        now: microseconds since 1970, for the column of times.
    """
    columns = model.context_columns
    if columns:
        moment = datetime.fromtimestamp(now / 1e6, UTC).replace(tzinfo=None)
        clock = model.catalogue.schema.timestamp
        given = {name: context.get(name, moment if name == clock else None) for name in columns}
        query = replace(query, context=pl.DataFrame({name: [value] for name, value in given.items()}))
    schema = model.catalogue.user_features.schema
    if features is not None and schema and "features" in model.answers:
        query = replace(query, features=_row(schema, features))
    return query


def _row(schema: Mapping[str, pl.DataType], values: Mapping[str, Any]) -> pl.DataFrame:
    """One row of the types of a table; null where there is no value, or one that does not fit."""
    found = [
        pl.Series(name, [_moment(values.get(name), kind)], dtype=kind, strict=False)
        for name, kind in schema.items()
    ]
    return pl.DataFrame(found)


def _moment(value: Any, kind: pl.DataType) -> Any:
    """Text of a time, in UTC; other values as they are."""
    if not isinstance(value, str) or not isinstance(kind, pl.Datetime):
        return value
    moment = datetime.fromisoformat(value)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
