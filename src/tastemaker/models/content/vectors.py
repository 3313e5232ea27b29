"""Dense item vectors that the caller brings: a column of the item table, or a table of vectors by item id."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError

__all__ = ["VectorTable", "column_vectors", "table_vectors", "unit_rows"]

VectorTable = Mapping[Any, ArrayLike] | pl.DataFrame


def column_vectors(column: pl.Series) -> NDArray[np.float32]:
    """A column of lists or arrays of numbers as rows of length 1; zeros where there is none.

    Raises:
        DataError: if the lists differ in length or hold something else than finite numbers.

    Example:
        >>> column_vectors(pl.Series("vector", [[3.0, 4.0], None]))
        array([[0.6, 0.8],
               [0. , 0. ]], dtype=float32)
    """
    lists = column if isinstance(column.dtype, pl.List) else column.arr.to_list()
    widths = lists.list.len().fill_null(0)
    filled = (widths > 0).to_numpy()
    sizes = widths.filter(filled).unique().sort().to_list()
    if len(sizes) > 1:
        raise DataError(
            f"the vectors in {column.name!r} have {sizes[0]} to {sizes[-1]} numbers; give each as many"
        )
    rows = np.zeros((len(column), sizes[0] if sizes else 0), dtype=np.float32)
    try:
        rows[filled] = np.asarray(lists.filter(filled).to_list(), dtype=np.float32).reshape(-1, rows.shape[1])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the vectors in {column.name!r} hold something else than numbers: {error}"
        ) from error
    return unit_rows(rows)


def table_vectors(table: VectorTable, items: Vocabulary) -> NDArray[np.float32]:
    """Vectors given by item id, as rows of length 1 in the order of the item codes; zeros for items without one.

    Args:
        table: a mapping from item id to vector, or a data frame with two columns, the ids and the vectors (lists or
            arrays). Ids that ``items`` does not know are left out.
        items: the item vocabulary.

    Raises:
        DataError: if the frame has other columns, or none of its items is known.

    Example:
        >>> table_vectors({"dark": [0, 2], "lost": [1, 0]}, Vocabulary.from_values(["lost", "heroes"]))
        array([[1., 0.],
               [0., 0.]], dtype=float32)
    """
    if isinstance(table, pl.DataFrame):
        if table.width != 2:
            raise DataError(f"vectors: expected two columns, item ids and vectors, got {table.columns}")
        ids, lists = table.to_series(0), table.to_series(1)
    else:
        ids = pl.Series("item", list(table.keys()))
        lists = pl.Series(
            "vectors", [np.asarray(vector, dtype=np.float64).tolist() for vector in table.values()]
        )
    codes = items.encode(ids)
    known = codes >= 0
    if not known.any():
        raise DataError(
            f"vectors: none of the {len(ids)} item ids is in the data; the first is {ids[:1].to_list()}"
        )
    given = column_vectors(lists.filter(known))
    rows = np.zeros((len(items), given.shape[1]), dtype=np.float32)
    rows[codes[known]] = given
    return rows


def unit_rows(rows: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Each row divided by its Euclidean length; zero rows stay zero.

    Raises:
        DataError: if there is a NaN or an infinite number.
    """
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise DataError(f"{len(bad)} item vectors have NaN or infinite numbers, first in row {bad[0]}")
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
    unit: NDArray[np.float64] = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return unit.astype(np.float32)
