"""What a list is drawn from: candidates with utilities, how alike they are, and what they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = [
    "LIKENESS_STEPS",
    "Labels",
    "Likeness",
    "Pool",
    "RecordedLikeness",
    "VectorLikeness",
    "labels_of",
    "unit_rows",
]

LIKENESS_STEPS = 127
"""A cosine is kept in so many steps from 0 to 1, so that a recorded one is the one that counted, to the bit."""


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, f]: each row divided by its length; 0 where it is 0 or has a NaN.

    >>> unit_rows(np.array([[3, 4], [0, 0], [np.nan, 1]], np.float32))
    array([[0.6, 0.8],
           [0. , 0. ],
           [0. , 0. ]], dtype=float32)
    """
    lengths = np.sqrt(np.einsum("if,if->i", vectors, vectors))[:, None]
    there = (lengths > 0) & (lengths < np.inf)
    found: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=there)
    return found


class Likeness(Protocol):
    """How alike candidates are."""

    def row(self, position: int) -> NDArray[np.int8]:
        """int8[n]: the cosine of each candidate with the one at ``position``, in steps of 1 / 127."""


@dataclass(frozen=True, eq=False)
class VectorLikeness:
    """Cosines of vectors; an item without a vector (zeros or NaN) is like no other.

    Attributes:
        unit: float32[n, f], rows of length 1 or 0.
        rows: those that were asked for, by position: the draw asks, and then the log.
    """

    unit: NDArray[np.float32]
    rows: dict[int, NDArray[np.int8]] = field(default_factory=dict)

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> "VectorLikeness":
        """The likeness of vectors of any length."""
        return cls(unit_rows(vectors))

    def row(self, position: int) -> NDArray[np.int8]:
        """int8[n]: the cosines, rounded to steps."""
        found = self.rows.get(position)
        if found is None:
            cosines: NDArray[np.float32] = self.unit @ self.unit[position]
            found = self.rows[position] = np.rint(cosines * LIKENESS_STEPS).astype(np.int8)
        return found


@dataclass(frozen=True, eq=False)
class RecordedLikeness:
    """The rows that a list was drawn with, by position of the candidate."""

    rows: Mapping[int, NDArray[np.int8]]

    def row(self, position: int) -> NDArray[np.int8]:
        """int8[n]: as recorded; 0 for a candidate after which no other was drawn."""
        found = self.rows.get(position)
        return np.zeros(1, np.int8) if found is None else found


@dataclass(frozen=True, eq=False)
class Labels:
    """What candidates share and caps count: entry ``e`` says that candidate ``position[e]`` has label ``code[e]``.

    Attributes:
        position: int32[m].
        code: int32[m].
        limit: int32[labels], how many items of a list may have each label.
    """

    position: NDArray[np.int32]
    code: NDArray[np.int32]
    limit: NDArray[np.int32]

    @classmethod
    def none(cls) -> "Labels":
        """No labels."""
        return cls(*(np.empty(0, np.int32) for _ in range(3)))


def labels_of(columns: Sequence[tuple[pl.Series, int]]) -> Labels:
    """The labels of candidates by some columns of their features, each with its cap. A null is no label.

    >>> labels_of([(pl.Series(["drama", None, "crime", "drama"]), 1)]).code
    array([0, 1, 0], dtype=int32)
    """
    parts: list[tuple[NDArray[np.int64], list[int]]] = []
    limits: list[int] = []
    for column, limit in columns:
        values = column.to_list()
        position = np.arange(len(values))
        if isinstance(column.dtype, pl.List | pl.Array):
            bags = [list(dict.fromkeys(bag or ())) for bag in values]
            position = np.repeat(position, [len(bag) for bag in bags])
            values = [value for bag in bags for value in bag]
        distinct = dict.fromkeys(values)
        distinct.pop(None, None)
        codes = {value: code for code, value in enumerate(distinct, len(limits))}
        parts.append((position, [codes.get(value, -1) for value in values]))
        limits += [limit] * len(codes)
    position = np.concatenate([np.empty(0, np.int32), *(part for part, _ in parts)])
    code_of = np.array([one for _, part in parts for one in part], np.int32)
    there = code_of >= 0
    return Labels(position[there].astype(np.int32), code_of[there], np.array(limits, np.int32))


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of one list, the most useful first.

    Attributes:
        utilities: float64[n], falling, finite.
        new: bool[n], which are new items, for the slots that are kept for them.
        likeness: between them.
        labels: for caps.
    """

    utilities: NDArray[np.float64]
    new: NDArray[np.bool_]
    likeness: Likeness
    labels: Labels

    def __len__(self) -> int:
        return len(self.utilities)
