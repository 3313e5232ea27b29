"""Item profiles from explicit features: each column of the item table becomes a block of named features.

A block is a sparse matrix, items x features, whose rows have length 1 (or 0, where the item says nothing), so
that the product of two rows is their cosine. What a column becomes depends on its kind:

=============== =============================================== ========================================
kind            features                                        inferred for
=============== =============================================== ========================================
``categorical`` one for each value                              strings that repeat
``multi``       one for each value in the list (genres, cast)   lists; strings such as ``Drama|War``
``flag``        one; false says nothing                         booleans, numbers that are only 0 or 1
``number``      one for each bucket (price 100 to 150)          numbers, dates (their year)
``text``        the words: see ``text.py``                      prose, strings that rarely repeat
``vector``      none; a dense vector given by the caller        lists of floats, arrays of numbers
``ignore``      none                                            web addresses, everything else
=============== =============================================== ========================================
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from tastemaker.errors import DataError

__all__ = ["Block", "FeatureKind", "feature_block", "infer_kinds", "normalize_rows", "quantile_edges"]

FeatureKind = Literal["categorical", "multi", "flag", "number", "text", "vector", "ignore"]
KINDS: tuple[FeatureKind, ...] = get_args(FeatureKind)

_LONG_TEXT_WORDS = 8  # strings with more words than this on average are prose, however often they repeat
_SEPARATORS = ("|", ";", ",")


@dataclass(frozen=True)
class Block:
    """One column's part of the item profiles.

    Attributes:
        column: where it comes from.
        rows: items x features, float32, each row of length 1 or 0.
        labels: the feature that each column of ``rows`` stands for, in words.
    """

    column: str
    rows: csr_array
    labels: list[str]


def infer_kinds(table: pl.DataFrame, overrides: Mapping[str, FeatureKind]) -> dict[str, FeatureKind]:
    """The kind of each column of an item table: the caller's word, else what type and values suggest.

    Args:
        table: one row for each item.
        overrides: kinds by column name.

    Returns:
        A kind for each column, in the table's order.

    Raises:
        DataError: if ``overrides`` names a column that the table does not have.

    Example:
        >>> table = pl.DataFrame({"title": ["Squid Game", "Dark"], "genres": [["Drama"], []], "year": [2021, 2017]})
        >>> infer_kinds(table, {})
        {'title': 'text', 'genres': 'multi', 'year': 'number'}
    """
    unknown = sorted(set(overrides) - set(table.columns))
    if unknown:
        columns = ", ".join(table.columns) or "none"
        raise DataError(f"kinds: the item table has no column {unknown[0]!r}; its columns: {columns}")
    return {column.name: overrides.get(column.name) or _infer(column) for column in table}


def _infer(column: pl.Series) -> FeatureKind:
    dtype = column.dtype
    if column.null_count() == len(column):
        return "ignore"
    if dtype == pl.Boolean:
        return "flag"
    if isinstance(dtype, pl.Array):
        return "vector"
    if isinstance(dtype, pl.List):
        return "vector" if dtype.inner in (pl.Float32, pl.Float64) else "multi"
    if dtype.is_numeric():
        return "flag" if column.drop_nulls().cast(pl.Float64).is_in([0.0, 1.0]).all() else "number"
    if dtype in (pl.Date, pl.Datetime):
        return "number"
    if dtype in (pl.Categorical, pl.Enum):
        return "categorical"
    return _infer_string(column.drop_nulls()) if dtype == pl.String else "ignore"


def _infer_string(values: pl.Series) -> FeatureKind:
    if values.str.contains(r"^https?://").mean() == 1.0:
        return "ignore"
    if values.str.contains("|", literal=True).any():
        return "multi"
    words = values.str.count_matches(r"\S+").mean()
    if isinstance(words, float) and words > _LONG_TEXT_WORDS:
        return "text"
    return "categorical" if 2 * values.n_unique() <= len(values) else "text"


def feature_block(
    column: pl.Series, kind: FeatureKind, *, buckets: int, edges: Sequence[float] | None
) -> Block:
    """The features of one column, as rows of length 1.

    Args:
        column: one value for each item; nulls say nothing.
        kind: ``"categorical"``, ``"multi"``, ``"flag"`` or ``"number"``.
        buckets: into how many buckets, of about equally many items, a number is cut.
        edges: where to cut it instead: below ``e0``, ``[e0, e1)``, ... , from ``e_last``.

    Raises:
        DataError: if the column's type does not suit the kind.

    Example:
        >>> block = feature_block(pl.Series("price", [120.0, 80.0]), "number", buckets=3, edges=[100, 150])
        >>> block.labels, block.rows.toarray().tolist()
        (['100 to 150', 'below 100'], [[1.0, 0.0], [0.0, 1.0]])
    """
    try:
        values = _values(column, kind, buckets, edges)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"item feature {column.name!r} of type {column.dtype} cannot be read as {kind!r}; in kinds=, name "
            f"another of {', '.join(KINDS)}"
        ) from error
    long = pl.DataFrame({"value": values}).with_row_index("row")
    if isinstance(values.dtype, pl.List):
        long = long.explode("value")
    long = long.drop_nulls().unique()
    labels = long["value"].unique().sort()
    codes = pl.DataFrame({"value": labels}).with_row_index("code")
    pairs = long.join(codes, on="value").sort("row", "code")
    row, code = pairs["row"].to_numpy(), pairs["code"].to_numpy()
    ones = np.ones(len(pairs), dtype=np.float32)
    rows = coo_array((ones, (row, code)), shape=(len(column), len(labels))).tocsr()
    return Block(column.name, normalize_rows(rows), labels.to_list())


def _values(column: pl.Series, kind: FeatureKind, buckets: int, edges: Sequence[float] | None) -> pl.Series:
    """The column as strings or lists of strings: what it says of each item."""
    if kind == "categorical":
        return column.cast(pl.String)
    if kind == "multi":
        lists = _split(column) if column.dtype == pl.String else column
        return lists.cast(pl.List(pl.String))
    if kind == "flag":
        true = column.cast(pl.Float64) != 0
        return pl.select(pl.when(true).then(pl.lit(""))).to_series()
    return _bucket_labels(_as_number(column), buckets, edges)


def _split(column: pl.Series) -> pl.Series:
    """Cut ``"Drama|War"`` at the first of ``|``, ``;`` and ``,`` that occurs anywhere in the column."""
    present = [mark for mark in _SEPARATORS if column.str.contains(mark, literal=True).any()]
    parts = column.str.split(present[0] if present else _SEPARATORS[0])
    return parts.list.eval(pl.element().str.strip_chars()).list.eval(
        pl.when(pl.element() != "").then(pl.element())
    )


def _as_number(column: pl.Series) -> pl.Series:
    year = column.dt.year() if column.dtype in (pl.Date, pl.Datetime) else column
    return year.cast(pl.Float64).fill_nan(None)


def _bucket_labels(numbers: pl.Series, buckets: int, edges: Sequence[float] | None) -> pl.Series:
    if edges is None:
        edges = quantile_edges(numbers.drop_nulls().to_numpy(), buckets).tolist()
    inner = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    labels = pl.Series([f"below {edges[0]:g}", *inner, f"from {edges[-1]:g}"] if edges else ["any"])
    bucket = np.searchsorted(np.asarray(edges, float), numbers.fill_null(0.0).to_numpy(), side="right")
    return pl.select(pl.when(numbers.is_not_null()).then(labels.gather(bucket))).to_series()


def quantile_edges(numbers: NDArray[np.float64], buckets: int) -> NDArray[np.float64]:
    """Where to cut so that each bucket holds about as many numbers; fewer cuts where values repeat.

    Example:
        >>> quantile_edges(np.array([1.0, 2.0, 3.0, 4.0]), 2).tolist()
        [3.0]
    """
    if numbers.size == 0:
        return np.empty(0)
    cuts = np.quantile(numbers, np.arange(1, buckets) / buckets, method="higher")
    return np.unique(cuts[cuts > numbers.min()])


def normalize_rows(rows: csr_array) -> csr_array:
    """Each row divided by its Euclidean length; empty rows stay empty."""
    squares = np.append(np.square(rows.data, dtype=np.float64), 0.0)
    lengths = np.sqrt(np.add.reduceat(squares, rows.indptr[:-1]))
    data = rows.data / np.repeat(lengths, np.diff(rows.indptr))
    return csr_array((data.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape)
