"""Values of a feature as rows: one row for each value that was learned, or hashed; row 0 for all that is not known."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.vocabulary import Vocabulary, id_series
from tastemaker.errors import DataError

__all__ = ["NO_VALUES", "Keys", "as_keys", "mix"]

NO_VALUES = pl.DataFrame(schema={"field": pl.Int32, "number": pl.Int64, "text": pl.String})

_FEW = 64  # values that are quicker looked up one by one
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def as_keys(values: pl.Series, what: str) -> pl.Series:
    """Values as Int64 where they are whole numbers, as text otherwise: what equal values have in common in any table.

    Args:
        values: whole numbers (also as floats), text, categories, booleans, dates; nulls and NaN are missing.
        what: the feature, for errors.

    Raises:
        DataError: for fractions, lists and other types that are no values.
    """
    if values.dtype == pl.Null:
        return values
    try:
        if values.dtype in (pl.Duration, pl.Time, pl.Int128):
            raise DataError(f"{values.dtype} is not among them")
        keys = id_series(values, what)
    except DataError as error:
        raise DataError(
            f"feature {what!r}: expected text, whole numbers, booleans or dates, got {values.dtype}; "
            f"a column of lists is a Bag, one of fractions Numeric ({error})"
        ) from error
    if keys.dtype == pl.UInt64:
        return keys.reinterpret(signed=True).alias(what)
    if isinstance(keys.dtype, pl.Datetime):
        keys = _moments_as_text(keys)
    return keys.cast(pl.Int64 if keys.dtype.is_integer() else pl.String).alias(what)


def _moments_as_text(moments: pl.Series) -> pl.Series:
    """The same for the same moment in any unit; midnight as the date alone, as a column of dates has it."""
    clock = moments.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    return clock.dt.strftime("%Y-%m-%d %H:%M:%S%.6f").str.strip_suffix(" 00:00:00.000000")


@dataclass(frozen=True, eq=False)
class Keys:
    """The rows of one field.

    Attributes:
        values: the distinct values, Int64 or String, in the order of rows 1, 2, …; none when they are hashed.
        buckets: how many rows they are hashed into; None: not at all.
    """

    values: pl.Series
    buckets: int | None = None

    @classmethod
    def count(
        cls, keys: pl.Series, weights: NDArray[np.integer], min_count: int = 1, buckets: int | None = None
    ) -> "Keys":
        """The values that weigh at least ``min_count`` together, in ascending order.

        Args:
            keys: from :func:`as_keys`.
            weights: int[n], how often each stands in the training data.
            min_count: at least 1.
            buckets: hash instead.
        """
        if keys.dtype == pl.Null:
            keys = keys.cast(pl.String)
        if buckets is not None:
            return cls(keys.clear(), buckets)
        table = pl.DataFrame({"key": keys, "weight": weights}).drop_nulls("key")
        counts = table.group_by("key").agg(pl.col("weight").sum())
        return cls(counts.filter(pl.col("weight") >= min_count)["key"].sort())

    @property
    def size(self) -> int:
        """How many rows there are, row 0 included."""
        return 1 + (len(self.values) if self.buckets is None else self.buckets)

    def rows(self, keys: pl.Series) -> NDArray[np.int32]:
        """int32[n]: the row of each key, 0 where it is missing, rare or unseen.

        Raises:
            DataError: for text where there were whole numbers, or the other way round.
        """
        if keys.dtype == pl.Null:
            return np.zeros(len(keys), np.int32)
        if keys.dtype != self.values.dtype and (self.buckets is not None or len(self.values)):
            kinds = {pl.Int64: "whole numbers", pl.String: "text"}
            was, now = (next(k for t, k in kinds.items() if s.dtype == t) for s in (self.values, keys))
            raise DataError(f"feature {keys.name!r}: the training data have {was}, but this is {now}")
        if self.buckets is not None:
            return self._hashed(keys, self.buckets)
        return self._vocabulary.encode(keys.to_list() if len(keys) <= _FEW else keys) + np.int32(1)

    def facts(self) -> dict[str, Any]:
        """What JSON holds of it; the values are in :meth:`table`."""
        return {"whole": self.values.dtype == pl.Int64, "buckets": self.buckets}

    def table(self, field: int) -> pl.DataFrame:
        """The values, for the table of the values of all fields."""
        whole = self.values.dtype == pl.Int64
        nothing = pl.Series([None] * len(self.values))
        columns = {
            "field": np.full(len(self.values), field, np.int32),
            "number": self.values if whole else nothing,
            "text": nothing if whole else self.values,
        }
        return pl.DataFrame(columns, schema=NO_VALUES.schema)

    @classmethod
    def read(cls, facts: dict[str, Any], values: pl.DataFrame, field: int) -> "Keys":
        """What :meth:`facts` and :meth:`table` took apart."""
        mine = values.filter(pl.col("field") == field)
        return cls(mine["number" if facts["whole"] else "text"], facts["buckets"])

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.values)

    @staticmethod
    def _hashed(keys: pl.Series, buckets: int) -> NDArray[np.int32]:
        if keys.dtype == pl.String:
            distinct = keys.unique().drop_nulls()
            codes = np.array([*map(_hash, distinct.to_list()), 0], np.uint64)
            numbers = codes[Vocabulary(distinct).encode(keys)]
        else:
            numbers = keys.fill_null(0).to_numpy().view(np.uint64)
        bucket = mix(numbers) % np.uint64(buckets)
        return np.where(keys.is_not_null().to_numpy(), bucket.astype(np.int64) + 1, 0).astype(np.int32)


def _hash(text: str) -> int:
    """64 bits of a text: the same on every machine and in every version."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """uint64[n]: each number's bits spread over all of them (the finalizer of SplitMix64; Steele et al., 2014)."""
    bits = numbers + _STEP
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[0]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[1]
    mixed: NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return mixed
