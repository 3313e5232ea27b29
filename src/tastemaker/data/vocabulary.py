"""Ids of any type, in and out; int32 codes within."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.errors import DataError

__all__ = ["Vocabulary", "id_series"]

_CLOSE = 8  # integers that take up to so many times the room of their number are looked up in a table
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"  # as str(UUID) writes it


def _is_uuid(values: pl.Series) -> bool:
    return values.dtype == pl.Object and any(isinstance(v, UUID) for v in values if v is not None)


def id_series(values: Any, column: str = "id") -> pl.Series:
    """Ids as a Polars series of a type that can be compared, stored and sent: integers, text, dates, booleans.

    UUIDs become their text, categories the names of their levels, whole-numbered floats integers.

    Raises:
        DataError: for ids of mixed or unsuitable types (lists, fractions).
    """
    if isinstance(values, pl.Series):
        series = values
    else:
        if not isinstance(values, np.ndarray):
            values = list(values)
            kinds = {type(v) for v in values if v is not None}
            if any(issubclass(kind, UUID) for kind in kinds):
                values = [str(v) if isinstance(v, UUID) else v for v in values]
            if {bool, np.bool_} & kinds and len(kinds) > 1:  # Polars would take True for 1
                values = pl.Series(column, values, dtype=pl.Object)
        try:
            series = pl.Series(column, values, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"column {column!r}: ids must be of one type, e.g. all text or all integers ({error})"
            ) from error
    if series.dtype == pl.Object:
        kinds = {type(v) for v in series if v is not None}
        if not all(issubclass(kind, UUID | str) for kind in kinds):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise DataError(
                f"column {column!r}: ids must be of one type, e.g. all text or all integers; got {names}"
            )
        return pl.Series(column, [None if v is None else str(v) for v in series], dtype=pl.String)
    if isinstance(series.dtype, pl.Categorical | pl.Enum):
        return series.cast(pl.String)
    if series.dtype.is_float():
        whole = series.is_null() | series.is_nan() | ((series == series.round(0)) & (series.abs() < 2.0**63))
        if not whole.all():
            raise DataError(
                f"column {column!r}: ids must be whole numbers or text, got {series.filter(~whole)[0]}"
            )
        exact = 2.0**53 if series.dtype == pl.Float64 else 2.0**24
        merged = series.filter(~series.is_nan() & (series.abs() >= exact))
        if len(merged):
            raise DataError(
                f"column {column!r}: {merged[0]:.0f} as {series.dtype} may be another id rounded; give ids "
                f"from {exact:.0f} on as integers or text"
            )
        return series.fill_nan(None).cast(pl.Int64)
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype.is_nested() or series.dtype.is_decimal() or series.dtype == pl.Binary:
        raise DataError(f"column {column!r}: ids must be text, integers, UUIDs or dates, got {series.dtype}")
    return series


def _check_uuids(ids: pl.Series, column: str) -> None:
    """Raise a DataError if some of the text does not stand for a UUID."""
    other = ids.filter(~ids.str.contains(_UUID))
    if len(other):
        raise DataError(
            f"column {column!r}: ids are UUIDs and other text, e.g. {other[0]!r}; give them one type"
        )


class Vocabulary:
    """A bijection between the caller's ids and the codes 0, 1, …, n − 1.

    >>> v = Vocabulary.from_values(["squid-game", "the-crown", "squid-game"])
    >>> len(v), v.encode(["the-crown", "unknown"]).tolist(), v.decode_list([0])
    (2, [1, -1], ['squid-game'])
    """

    def __init__(self, ids: pl.Series, *, uuid: bool = False) -> None:
        """``ids``: distinct, none missing, in the order of their codes; ``uuid``: text that stands for UUIDs."""
        self.ids = ids
        self.uuid = uuid

    @classmethod
    def from_values(cls, *values: Any, column: str = "id") -> "Vocabulary":
        """The distinct ids of one or more columns, in order of first appearance."""
        raw = [v if isinstance(v, pl.Series) else list(v) for v in values]
        uuid = any(
            _is_uuid(v) if isinstance(v, pl.Series) else any(isinstance(x, UUID) for x in v) for v in raw
        )
        parts = [id_series(v, column).rename(column) for v in raw]
        parts = [p for p in parts if len(p)] or parts[:1]
        if len({p.dtype for p in parts}) > 1:
            wide = [p.cast(pl.Int64, strict=False) for p in parts if p.dtype.is_integer()]
            if len(wide) < len(parts) or any(w.has_nulls() for w in wide):
                kinds = " and ".join(sorted({str(p.dtype) for p in parts}))
                raise DataError(f"column {column!r}: ids are {kinds} in different tables; give them one type")
            parts = wide
        ids = pl.concat(parts).unique(maintain_order=True).rechunk()
        if uuid:
            _check_uuids(ids, column)
        return cls(ids, uuid=uuid)

    def extended(self, more: "Vocabulary", column: str = "id") -> tuple["Vocabulary", NDArray[np.int32]]:
        """The ids of ``more`` that are not known after those that are, which keep their codes.

        Returns:
            The larger vocabulary (this one, if all are known), and int32[len(more)], its codes of the ids of ``more``.

        Raises:
            DataError: if the ids of ``more`` are of another type.

        >>> larger, codes = Vocabulary.from_values(["tea", "jam"]).extended(Vocabulary.from_values(["ham", "tea"]))
        >>> larger.ids.to_list(), codes.tolist()
        (['tea', 'jam', 'ham'], [2, 0])
        """
        if more.ids.dtype != self.ids.dtype or not len(self):
            larger = Vocabulary(
                Vocabulary.from_values(self.ids, more.ids, column=column).ids, uuid=self.uuid or more.uuid
            )
            return larger, larger.encode(more.ids)
        codes = self.encode(more.ids)
        unknown = codes < 0
        if not unknown.any():
            return self, codes
        if self.uuid:
            _check_uuids(more.ids, column)
        codes = codes.copy()
        codes[unknown] = np.arange(len(self), len(self) + np.count_nonzero(unknown), dtype=np.int32)
        return Vocabulary(
            pl.concat([self.ids, more.ids.filter(pl.Series(unknown)).rename(self.ids.name)]).rechunk(),
            uuid=self.uuid,
        ), codes

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids of {'UUID' if self.uuid else self.ids.dtype})"

    @cached_property
    def _table(self) -> pl.DataFrame:
        return pl.DataFrame({"id": self.ids, "code": np.arange(len(self), dtype=np.int32)})

    @cached_property
    def _places(self) -> tuple[int, NDArray[np.int32]] | None:
        """Of integers that lie close together: the lowest, and the code of each from there on, −1 for one that is no id."""
        if not self.ids.dtype.is_integer() or not len(self):
            return None
        low, high = int(self.ids.min()), int(self.ids.max())  # type: ignore[arg-type]
        if high - low >= _CLOSE * len(self) or high >= 2**63:
            return None
        codes = np.full(high - low + 1, -1, np.int32)
        codes[self.ids.to_numpy().astype(np.int64) - low] = np.arange(len(self), dtype=np.int32)
        return low, codes

    @cached_property
    def _small(self) -> dict[Any, int]:
        return dict(zip(self.ids.to_list(), range(len(self)), strict=True))

    def encode(self, values: Any) -> NDArray[np.int32]:
        """int32 codes of ``values``, −1 for an id that is not known (nulls and ids of another type are not known)."""
        if isinstance(values, Sequence) and len(values) <= 64 and not isinstance(values, str):
            return self._look_up(values)
        values = values if isinstance(values, pl.Series | np.ndarray) else list(values)
        try:
            series = id_series(values)
        except DataError:  # some are no ids, which the others need not suffer for
            return self._look_up(list(values))
        # Polars rounds integers beside a NaN, and gives a zone to times that have none.
        if isinstance(values, list) and (series.dtype == pl.Datetime or len(set(map(type, values))) > 1):
            return self._look_up(values)
        if series.dtype != self.ids.dtype:
            if not (series.dtype.is_integer() and self.ids.dtype.is_integer()):
                return self._look_up(values if isinstance(values, list) else series.to_list())
            series = series.cast(self.ids.dtype, strict=False)
        if self._places and not series.has_nulls():
            low, codes = self._places
            given = series.to_numpy()
            within = (given >= low) & (given < low + len(codes))
            place = np.where(within, given, low).astype(np.int64) - low
            return np.where(within, codes[place], np.int32(-1))
        joined = pl.DataFrame({"id": series}).join(self._table, on="id", how="left", maintain_order="left")
        return joined["code"].fill_null(-1).to_numpy().astype(np.int32, copy=False)

    def _look_up(self, values: Sequence[Any]) -> NDArray[np.int32]:
        """int32 codes by the equality of Python, one value after another."""
        found = (self._small.get(str(v) if isinstance(v, UUID) else self._plain(v), -1) for v in values)
        return np.fromiter(found, np.int32, len(values))

    def _plain(self, value: Any) -> Any:
        """A NumPy scalar as the Python value that equals it; what has no hash is no id, and True is not 1."""
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, bool) != (self.ids.dtype == pl.Boolean):
            return None
        return value if value.__hash__ is not None else None

    def decode(self, codes: Any) -> pl.Series:
        """The ids of ``codes`` as a Polars series; null for −1. UUIDs come as text, which Polars can hold."""
        codes = np.asarray(codes)
        found = (
            self.ids.gather(np.where(codes < 0, 0, codes))
            if len(self)
            else pl.Series([None] * len(codes), dtype=self.ids.dtype)
        )
        if len(codes) and codes.min() < 0 and len(self):
            found = pl.select(pl.when(pl.Series(codes >= 0)).then(found).otherwise(None)).to_series()
        return found.rename("id")

    def decode_list(self, codes: Any) -> list[Any]:
        """The ids of ``codes`` as Python objects of the caller's own type (UUIDs as UUIDs)."""
        ids = self.decode(codes).to_list()
        return [None if i is None else UUID(i) for i in ids] if self.uuid else ids
