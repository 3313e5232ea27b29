"""From what a caller may say about items to what the kernels take: a mask of the catalogue, and lists of item codes."""

import re
from collections.abc import Sequence

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from tastemaker._native.topk import Rows
from tastemaker.errors import DataError
from tastemaker.ranking.sql import check_condition

__all__ = ["code_rows", "condition_mask", "join_rows"]


def condition_mask(condition: pl.Expr | str, item_features: pl.DataFrame) -> NDArray[np.bool_]:
    """Which items meet a condition on their features.

    It fails closed: an item for which the condition is null, or rests on a missing number (null or NaN), does not meet it, and
    a condition that cannot be evaluated is an error, never "all" or "none".

    Args:
        condition: a Polars expression that gives one boolean for each item, or the same as SQL text, which may call a few
            functions only (:mod:`tastemaker.ranking.sql`).
        item_features: one row for each item code.

    Returns:
        bool, one for each item.

    Raises:
        DataError: if the condition names an unknown column, cannot be evaluated, is more than a condition, or gives something
            else than one boolean an item.

    >>> features = pl.DataFrame({"price": [5.0, 20.0, None, float("nan")]})
    >>> condition_mask("price > 10", features)
    array([False,  True, False, False])
    """
    expression = _expression(condition)
    if not item_features.columns:
        raise DataError(f"filter: the items have no features, so {condition!s} cannot be decided")
    known = item_features.lazy().with_columns(cs.float().fill_nan(None))
    try:
        result = known.select(expression).collect()
    except pl.exceptions.ColumnNotFoundError as error:
        there = ", ".join(map(repr, item_features.columns))
        unknown = re.search(r'"([^"]*)"', str(error))
        raise DataError(
            f"filter: the items have no feature {unknown[1] if unknown else ''!r}; there are: {there}"
        ) from error
    except pl.exceptions.PolarsError as error:
        raise DataError(f"filter: {condition!s} cannot be evaluated: {_why(error, item_features)}") from error
    if result.width != 1 or result.height != item_features.height or result.dtypes != [pl.Boolean]:
        types = ", ".join(map(str, result.dtypes))
        raise DataError(
            f"filter: expected one boolean for each of the {item_features.height} items, "
            f"got {result.height} x ({types}) from {condition!s}"
        )
    return result.to_series().fill_null(False).to_numpy().copy()


def _expression(condition: pl.Expr | str) -> pl.Expr:
    if isinstance(condition, pl.Expr):
        return condition
    if not isinstance(condition, str):
        raise DataError(
            f"filter: expected a Polars expression or SQL text, got {type(condition).__name__} {condition!r}"
        )
    check_condition(condition)
    try:
        return pl.sql_expr(condition)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"filter: {condition!r} is not a SQL condition: {str(error).splitlines()[0]}"
        ) from error


def _why(error: Exception, item_features: pl.DataFrame) -> str:
    """The heart of an error of Polars, and how to ask for one of several values where that may be meant."""
    lists = [c for c, kind in item_features.schema.items() if isinstance(kind, pl.List)]
    heart = str(error).splitlines()[0]
    return f"{heart}. {lists[0]} holds several values: array_contains({lists[0]}, 'x')" if lists else heart


def code_rows(codes: NDArray[np.int32] | Sequence[NDArray[np.int32]], queries: int) -> Rows:
    """Lists of item codes as the kernels take them: one array shared by all queries, or one array a query.

    Codes of -1 (unknown items) are kept: an allow list of unknown items only allows nothing.

    Raises:
        ValueError: if there are several lists, but not one for each query.

    >>> code_rows([np.array([3], np.int32), np.array([1, 2], np.int32)], 2)
    Rows(indptr=array([0, 1, 3]), indices=array([3, 1, 2], dtype=int32))
    """
    lists = [codes] if isinstance(codes, np.ndarray) else codes
    if not isinstance(codes, np.ndarray) and len(codes) != queries:
        raise ValueError(f"expected one list for each of the {queries} queries, got {len(codes)}")
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    return Rows(_indptr(lengths), np.concatenate([np.empty(0, np.int32), *lists], dtype=np.int32))


def join_rows(first: Rows, second: Rows) -> Rows:
    """Query by query, what is in either: the list of the first, then that of the second.

    >>> one = code_rows([np.array([3], np.int32), np.array([1], np.int32)], 2)
    >>> join_rows(one, one).indices
    array([3, 3, 1, 1], dtype=int32)
    """
    lengths = [np.diff(rows.indptr) for rows in (first, second)]
    if len(lengths[0]) != len(lengths[1]):
        raise ValueError(f"expected as many lists on both sides, got {len(lengths[0])} and {len(lengths[1])}")
    query = np.concatenate([np.repeat(np.arange(len(n)), n) for n in lengths])
    indices = np.concatenate([first.indices, second.indices])
    return Rows(_indptr(lengths[0] + lengths[1]), indices[np.argsort(query, kind="stable")])


def _indptr(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
