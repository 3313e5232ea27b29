"""Fitted fields: how the column of a table becomes rows of the embedding table, bags of them, or numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.history import History
from tastemaker.errors import DataError
from tastemaker.models.neural.columns import as_lists, as_moments, as_numbers, as_vectors
from tastemaker.models.neural.encoded import Ragged
from tastemaker.models.neural.keys import Keys, as_keys
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Feature,
    HistoryBag,
    Id,
    Numeric,
    Output,
    Pooling,
    Side,
    Time,
    Vector,
)

__all__ = ["Field", "Given", "day_of", "history_keys", "id_keys", "reshaped"]

_DAY = 86_400_000_000  # microseconds
_MOST = 1e18  # standard deviations; the squares of more overflow in single precision


@dataclass(frozen=True, eq=False)
class Given:
    """What is known about n users, items or contexts.

    Attributes:
        side: whose features.
        n: how many.
        table: n rows; None: nothing is known.
        codes: int[n], −1 where unknown; None: all unknown.
        history: n rows; None: no one had anything.
    """

    side: Side
    n: int
    table: pl.DataFrame | None
    codes: NDArray[np.integer] | None = None
    history: History | None = None

    @classmethod
    def of(
        cls,
        side: Side,
        table: pl.DataFrame | None,
        codes: NDArray[np.integer] | None = None,
        history: History | None = None,
    ) -> "Given":
        """Check that all speak of equally many; a table without columns says nothing."""
        if table is not None and not table.width:
            table = None
        sizes = {len(part) for part in (table, codes, history) if part is not None}
        if len(sizes) > 1:
            raise DataError(f"{side} features: expected one row for each {side}, got {sorted(sizes)} of them")
        return cls(side, sizes.pop() if sizes else 0, table, codes, history)

    def column(self, name: str) -> pl.Series:
        """The column, named with its side; nulls where nothing is known."""
        if self.table is None:
            return pl.Series(f"{self.side}.{name}", [None] * self.n, dtype=pl.Null)
        if name not in self.table.columns:
            there = ", ".join(map(repr, self.table.columns))
            raise DataError(
                f"{self.side} features: no column {name!r}; there are: {there}. Give nulls for what is not known"
            )
        return self.table[name].alias(f"{self.side}.{name}")


@dataclass(frozen=True, eq=False)
class Field:
    """One output of a feature with what was learned for it.

    Attributes:
        side, spec: where it comes from.
        part: the part of a time; empty for other features.
        keys: the values that have rows of their own.
        numbers: mean and standard deviation of a number (of a recency, the end of the training data before them); the edges
            of buckets.
        width: of a vector.
    """

    side: Side
    spec: Feature
    part: str = ""
    keys: Keys | None = None
    numbers: tuple[float, ...] = ()
    width: int = 1

    @property
    def name(self) -> str:
        """With its side: ``user.gender``, ``context.time.hour``."""
        return f"{self.side}.{self.spec.name}" + (f".{self.part}" if self.part else "")

    @property
    def output(self) -> Output:
        """``"id"``, ``"bag"`` or ``"dense"``."""
        return dict(self.spec.outputs())[self.name.removeprefix(f"{self.side}.")]

    @property
    def rows(self) -> int:
        """How many rows of the embedding table it has; the first is for what is not known."""
        if self.output == "dense":
            return 0
        if self.keys is not None:
            return self.keys.size
        return {"hour": 25, "weekday": 8}.get(self.part, len(self.numbers) + 2)

    def labels(self) -> Iterator[str]:
        """A name for each number."""
        many = isinstance(self.spec, Vector)
        return (f"{self.name}[{j}]" if many else self.name for j in range(self.width))

    def ids(self, given: Given) -> NDArray[np.int32]:
        """int32[n]: the row within this field; 0 where nothing is known."""
        match self.spec:
            case Id():
                return self._rows(id_keys(given))
            case Categorical(column=column):
                series = given.column(column)
                return self._rows(as_keys(series, series.name))
            case Numeric(column=column):
                numbers = as_numbers(given.column(column))
                rows = np.searchsorted(np.asarray(self.numbers), numbers, side="right") + 1
                return np.where(np.isnan(numbers), 0, rows).astype(np.int32)
            case Time(column=column, unit=unit):
                moments = as_moments(given.column(column), unit)
                part = moments.dt.hour() + 1 if self.part == "hour" else moments.dt.weekday()
                return part.cast(pl.Int32).fill_null(0).to_numpy()
        raise AssertionError(f"{self.name} has no ids")

    def bag(self, given: Given) -> Ragged:
        """The rows within this field, a set for each of n; rare and unseen values are row 0, missing ones nothing."""
        if isinstance(self.spec, HistoryBag):
            rows, keys = history_keys(given, self.spec.last)
        else:
            assert isinstance(self.spec, Bag)
            rows, keys = as_lists(given.column(self.spec.column), self.spec.separator)
        pooling: Pooling = self.spec.pooling
        return Ragged.of_sets(rows, self._rows(keys), given.n, pooling)

    def dense(self, given: Given) -> NDArray[np.float32]:
        """float32[n, width]; 0 where nothing is known."""
        match self.spec:
            case Vector(column=column):
                return as_vectors(given.column(column), self.width)
            case Numeric(column=column, transform=transform):
                numbers = reshaped(as_numbers(given.column(column)), transform == "log")
                mean, deviation = self.numbers
            case Time(column=column, unit=unit):
                end, mean, deviation = self.numbers
                moments = as_moments(given.column(column), unit)
                numbers = reshaped(end - day_of(moments), True)
        with np.errstate(over="ignore"):
            scaled = (numbers - mean) / deviation
        scaled = np.where(np.isnan(scaled), 0.0, scaled)
        if (np.abs(scaled) > _MOST).any():
            raise DataError(
                f"feature {self.name!r}: {numbers[np.abs(scaled).argmax()]:g} is too large beside {mean:g}"
            )
        return scaled.astype(np.float32)[:, None]

    def _rows(self, keys: pl.Series) -> NDArray[np.int32]:
        assert self.keys is not None
        return self.keys.rows(keys)


def reshaped(numbers: NDArray[np.float64], log: bool) -> NDArray[np.float64]:
    """The numbers, or sign(x) · log(1 + |x|)."""
    return np.copysign(np.log1p(np.abs(numbers)), numbers) if log else numbers


def day_of(moments: pl.Series) -> NDArray[np.float64]:
    """float64[n]: days since 1970, NaN where missing."""
    micros = moments.dt.epoch("us").cast(pl.Float64)
    days: NDArray[np.float64] = micros.fill_null(float("nan")).to_numpy() / _DAY
    return days


def id_keys(given: Given) -> pl.Series:
    """The codes, null where unknown."""
    if given.codes is None:
        return pl.Series(f"{given.side}.id", [None] * given.n, dtype=pl.Int64)
    codes = pl.Series(f"{given.side}.id", given.codes, dtype=pl.Int64)
    return pl.select(pl.when(codes >= 0).then(codes).alias(codes.name)).to_series()


def history_keys(given: Given, last: int | None) -> tuple[NDArray[np.int32], pl.Series]:
    """The row and the item code of each entry of the histories, of the ``last`` ones."""
    if given.history is None:
        return np.empty(0, np.int32), pl.Series("user.history", [], dtype=pl.Int64)
    rows, items = given.history.rows(), given.history.indices
    if last is not None:
        late = np.arange(len(items)) >= given.history.indptr[rows + 1] - last
        rows, items = rows[late], items[late]
    return rows, pl.Series("user.history", items, dtype=pl.Int64)
