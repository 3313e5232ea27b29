"""Which items are like a new one by what is known about them, without a fit: shared values and words, the rare ones count more.

Each item is a bag of tokens: the values of its features, the buckets of its numbers, the words of its texts. With n(t) of N items
having token t, it weighs ln(N / n(t)); two items are as alike as the cosine of their weighted bags. Tokens are hashed, so that
those of an item that comes later need no vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["ContentIndex", "Nearest"]

_BITS = 20
_BUCKETS = 10  # of a number, about equally many items each
_ROWS = 64  # that are compared at a time
_TINY = np.finfo(np.float32).tiny
_WORD = r"[\p{L}\p{N}]{2,}"


class Nearest(NamedTuple):
    """For each of m items the p known items most like it.

    Attributes:
        codes: int32[m, p], -1 past the last.
        weights: float32[m, p], shares that add up to 1; 0 past the last.
    """

    codes: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def nothing(cls, rows: int, count: int) -> "Nearest":
        """Items that nothing is like."""
        return cls(np.full((rows, count), -1, np.int32), np.zeros((rows, count), np.float32))


@dataclass(frozen=True, eq=False)
class ContentIndex:
    """The bags of the items that a model knows.

    Attributes:
        items: items x tokens, rows of length 1, or 0 for an item of which nothing is known.
        weights: float32[tokens], ln(N / n).
        edges: where the buckets of each column of numbers part.
    """

    items: csr_array
    weights: NDArray[np.float32]
    edges: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, features: pl.DataFrame) -> "ContentIndex":
        """The index of a catalogue, ``features`` with one row an item."""
        edges = {c: _edges(features[c]) for c, kind in features.schema.items() if _is_number(kind)}
        rows, tokens = _tokens(features, edges)
        counts = np.bincount(tokens, minlength=1 << _BITS)
        weights = np.log(max(1, features.height) / np.maximum(counts, 1)).astype(np.float32)
        weights[counts < 2] = 0  # nothing is like it in that
        return cls(_bags(rows, tokens, weights, features.height), weights, edges)

    def nearest(self, features: pl.DataFrame, count: int, keep: NDArray[np.bool_] | None = None) -> Nearest:
        """The ``count`` items most like each row of ``features``; fewer where fewer have anything in common with it.

        Args:
            features: one row a new item, some of the columns of the catalogue.
            count: how many.
            keep: bool[items], which may be found; None for all.

        >>> films = pl.DataFrame({"genre": ["noir", "space", "noir"], "land": ["se", "us", "de"]})
        >>> index = ContentIndex.of(films)
        >>> index.nearest(pl.DataFrame({"genre": ["noir"]}), 3).codes
        array([[ 0,  2, -1]], dtype=int32)
        """
        codes, weights = nearest = Nearest.nothing(features.height, count)
        rows, tokens = _tokens(features, self.edges)
        bags = _bags(rows, tokens, self.weights, features.height)
        for start in range(0, features.height, _ROWS):
            alike = bags[start : start + _ROWS] @ self._by_token
            for row, part in enumerate(zip(alike.indptr[:-1], alike.indptr[1:], strict=True), start):
                found, cosine = alike.indices[slice(*part)], alike.data[slice(*part)]
                if keep is not None:
                    found, cosine = found[keep[found]], cosine[keep[found]]
                best = _highest(found, cosine, count)
                codes[row, : len(best)] = found[best]
                weights[row, : len(best)] = cosine[best] / max(cosine[best].sum(), _TINY)
        return nearest

    @cached_property
    def _by_token(self) -> csr_array:
        return self.items.T.tocsr()


def _highest(codes: NDArray[np.int32], cosine: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Where the highest cosines above 0 stand, falling; equal ones by code."""
    at = np.flatnonzero(cosine > 0)
    if len(at) > count:
        least = np.partition(cosine[at], len(at) - count)[len(at) - count]
        at = at[cosine[at] >= least]
    return at[np.lexsort((codes[at], -cosine[at]))][:count]


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind.is_temporal()


def _numbers(column: pl.Series) -> pl.Series:
    """A column of numbers or times as float64; null where it is no number."""
    whole = column.to_physical() if column.dtype.is_temporal() else column
    return whole.cast(pl.Float64, strict=False).fill_nan(None)


def _edges(column: pl.Series) -> NDArray[np.float64]:
    values = _numbers(column).drop_nulls().to_numpy()
    return np.unique(np.quantile(values, np.arange(1, _BUCKETS) / _BUCKETS)) if len(values) else np.zeros(0)


def _tokens(
    features: pl.DataFrame, edges: Mapping[str, NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and hashed token of all that is known about some items, each once."""
    parts = [pl.DataFrame(schema={"row": pl.UInt32, "token": pl.String})]
    for name, kind in features.schema.items():
        column = features[name]
        if name in edges and not _is_number(kind):
            continue  # of another type than in the catalogue
        for values in _values(column, edges.get(name)):
            pairs = pl.DataFrame({"row": np.arange(len(values), dtype=np.uint32), "token": values})
            pairs = pairs.explode("token") if isinstance(values.dtype, pl.List) else pairs
            words = values.name == "words"
            token = pl.col("token") if words else pl.format(f"{name.replace('{}', '')}={{}}", pl.col("token"))
            parts.append(pairs.drop_nulls("token").with_columns(token))
    pairs = pl.concat(parts).with_columns(pl.col("token").hash(seed=0) % (1 << _BITS)).unique()
    return pairs["row"].to_numpy().astype(np.int64), pairs["token"].to_numpy().astype(np.int64)


def _values(column: pl.Series, edges: NDArray[np.float64] | None) -> list[pl.Series]:
    """What of a column becomes tokens: text, or lists of text; a series called ``words`` is the same in all columns."""
    kind = column.dtype
    if edges is not None and _is_number(kind):
        numbers = _numbers(column)
        bucket = pl.Series(np.searchsorted(edges, numbers.fill_null(0).to_numpy(), side="right"))
        return [pl.select(pl.when(numbers.is_not_null()).then(bucket)).to_series().cast(pl.String)]
    if kind == pl.Boolean:
        return [column.cast(pl.String)]
    if kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum):
        text = column.cast(pl.String)
        return [text, text.str.to_lowercase().str.extract_all(_WORD).alias("words")]
    if isinstance(kind, pl.List) and kind.inner in (pl.String, pl.Boolean, pl.Int64):
        return [column.cast(pl.List(pl.String))]
    return []


def _bags(
    rows: NDArray[np.int64], tokens: NDArray[np.int64], weights: NDArray[np.float32], height: int
) -> csr_array:
    """Weighted bags, each of length 1 or 0."""
    values = weights[tokens]
    lengths = np.sqrt(np.bincount(rows, np.square(values, dtype=np.float64), height))
    scaled = np.divide(values, lengths[rows], out=np.zeros(len(rows)), where=lengths[rows] > 0)
    bags = csr_array((scaled.astype(np.float32), (rows, tokens)), shape=(height, 1 << _BITS))
    bags.eliminate_zeros()
    return bags
