"""Item and user profiles: the blocks of all columns and of the texts, weighted and laid side by side; their cosines.

With weight w_b for block b and unit rows x_ib, the profile of item i is the concatenation of √(w_b / W_i) · x_ib, where
W_i sums the weights of the blocks that say something of i. It has length 1, and the cosine of two items is

    cos(i, j) = Σ_b w_b cos_b(i, j) / √(W_i W_j),

which is the weighted mean of their cosines block by block, where every block says something of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array, hstack

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker.models.content.features import Block

__all__ = ["DenseBlock", "Profiles", "UserProfiles", "lay_out"]

_NOTHING = (
    1e-6  # a user profile shorter than this share of its parts is what rounding left of likes and dislikes
)


@dataclass(frozen=True)
class DenseBlock:
    """Dense vectors as a part of the item profiles.

    Attributes:
        column: where they come from.
        rows: float32[items, width], each row of length 1 or 0.
    """

    column: str
    rows: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class UserProfiles:
    """Weighted sums of item profiles.

    Attributes:
        sparse: users x features, float32.
        dense: float32[users, width].
        length: float64[users]: Euclidean lengths of the whole; NaN where nothing is left of it.
    """

    sparse: csr_array
    dense: NDArray[np.float32]
    length: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profiles:
    """The profiles of all items, each of length 1, or 0 for an item of which nothing is known.

    Attributes:
        sparse: items x features, float32: the named features.
        dense: float32[items, width]: the dense blocks side by side.
        features: one row for each column of ``sparse``: ``column`` and ``label``.
        parts: one row for each dense block: ``column`` and ``width``.
    """

    sparse: csr_array
    dense: NDArray[np.float32]
    features: pl.DataFrame
    parts: pl.DataFrame

    @cached_property
    def _by_feature(self) -> csr_array:
        return self.sparse.T.tocsr()

    @cached_property
    def _packed(self) -> PackedItems:
        return PackedItems(self.dense)

    @cached_property
    def unknown(self) -> NDArray[np.bool_]:
        """bool[items]: of which nothing is known."""
        unknown: NDArray[np.bool_] = (np.diff(self.sparse.indptr) == 0) & ~self.dense.any(axis=1)
        return unknown

    def users(self, liked: csr_array) -> UserProfiles:
        """The profiles of users who liked items so much (users x items)."""
        sparse, dense = (liked @ self.sparse).tocsr(), liked @ self.dense
        length = np.sqrt(_row_squares(sparse) + np.square(dense, dtype=np.float64).sum(axis=1))
        most = np.bincount(_rows(liked), np.abs(liked.data), liked.shape[0])
        length[length <= _NOTHING * most] = np.nan
        return UserProfiles(sparse, dense, length)

    def cosines(self, users: UserProfiles) -> NDArray[np.float32]:
        """float32[users, items]; NaN where the user's or the item's profile is empty."""
        scores: NDArray[np.float32] = (users.sparse @ self._by_feature).toarray()
        if self.dense.shape[1]:
            scores += dot_scores(users.dense, self._packed)
        scores *= (1 / users.length).astype(np.float32)[:, None]
        scores[:, self.unknown] = np.nan
        return scores


def _rows(matrix: csr_array) -> NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _row_squares(matrix: csr_array) -> NDArray[np.float64]:
    squares = np.square(matrix.data, dtype=np.float64)
    return np.bincount(_rows(matrix), squares, matrix.shape[0]).astype(np.float64, copy=False)


def lay_out(
    blocks: list[Block], dense: list[DenseBlock], weights: Mapping[str, float], n_items: int
) -> Profiles:
    """Weigh blocks by column name (1 unless in ``weights``), and lay them side by side in rows of length 1."""
    mass = np.zeros(n_items)
    for block in blocks:
        mass += weights.get(block.column, 1.0) * (np.diff(block.rows.indptr) > 0)
    for part in dense:
        mass += weights.get(part.column, 1.0) * part.rows.any(axis=1)
    per_item = np.divide(1.0, np.sqrt(mass), out=np.zeros(n_items), where=mass > 0)

    def share(column: str) -> NDArray[np.float32]:
        scale: NDArray[np.float64] = per_item * np.sqrt(weights.get(column, 1.0))
        return scale.astype(np.float32)

    sparse = [coo_array((n_items, 0), dtype=np.float32)]
    sparse += [diags_array(share(block.column)) @ block.rows for block in blocks]
    scaled = [part.rows * share(part.column)[:, None] for part in dense]
    labels = [(block.column, label) for block in blocks for label in block.labels]
    widths = [(part.column, part.rows.shape[1]) for part in dense]
    return Profiles(
        sparse=hstack(sparse, format="csr", dtype=np.float32),
        dense=np.hstack([np.zeros((n_items, 0), np.float32), *scaled]),
        features=pl.DataFrame(labels, schema={"column": pl.String, "label": pl.String}, orient="row"),
        parts=pl.DataFrame(widths, schema={"column": pl.String, "width": pl.Int64}, orient="row"),
    )
