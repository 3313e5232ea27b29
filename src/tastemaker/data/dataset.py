"""The Dataset: who did what with which item, as contiguous columns; the one form in which data enters a model."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from tastemaker.data.columns import constant, gather
from tastemaker.data.history import History
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError

__all__ = ["Dataset", "Duplicates", "Schema", "fingerprint_of"]

Duplicates = Literal["auto", "first", "last", "sum", "max", "mean", "error"]
_AT_ONCE = 1 << 20  # rows


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the columns were called, and what the values mean.

    Attributes:
        user, item, rating, weight, timestamp, label: the caller's column names; None where there is none. ``label`` is of
            click-through data, whose rows are impressions and whose values are 1 for a click and 0 for none.
        scale: lowest and highest possible rating (declared, else as observed); None for implicit feedback.
        name: what to call the data in reports and errors.
        session_gap: where users are sessions, the pause that ended them, in microseconds; see :mod:`tastemaker.data.sessions`.
    """

    user: str = "user"
    item: str = "item"
    rating: str | None = None
    weight: str | None = None
    timestamp: str | None = None
    scale: tuple[float, float] | None = None
    name: str = "interactions"
    label: str | None = None
    session_gap: int | None = None

    @property
    def explicit(self) -> bool:
        """Whether the values are ratings that users gave (else they are 1: implicit feedback)."""
        return self.rating is not None

    @property
    def clicks(self) -> bool:
        """Whether the rows are impressions with labels: click-through data."""
        return self.label is not None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions of users with items, and what is known about both. Immutable.

    Attributes:
        user, item: int32[n], codes into the vocabularies.
        value: float32[n], the rating, the label of an impression (1 clicked, 0 not), or 1 for implicit feedback.
        weight: float32[n], how much each interaction counts; 1 unless given.
        timestamp: int64[n], microseconds since 1970; zeros where there is none.
        users, items: the caller's ids, by code.
        user_features, item_features: what is known about each user and item; row ``c`` belongs to code ``c``.
        context: further columns of the interactions (device, hour, …), row by row.
        schema: names and meaning of the columns.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    timestamp: NDArray[np.int64]
    users: Vocabulary
    items: Vocabulary
    user_features: pl.DataFrame
    item_features: pl.DataFrame
    context: pl.DataFrame
    schema: Schema

    def __post_init__(self) -> None:
        for column in (self.user, self.item, self.value, self.weight, self.timestamp):
            column.flags.writeable = False

    @classmethod
    def from_interactions(cls, source: Any, **options: Any) -> "Dataset":
        """Build a Dataset from a table of interactions; see :func:`tastemaker.data.build.from_interactions`."""
        from tastemaker.data.build import from_interactions

        return from_interactions(source, **options)

    @classmethod
    def from_impressions(cls, source: Any, **options: Any) -> "Dataset":
        """Build a Dataset from a table of what was shown; see :func:`tastemaker.data.impressions.from_impressions`."""
        from tastemaker.data.impressions import from_impressions

        return from_impressions(source, **options)

    @classmethod
    def load(cls, path: str | Path) -> "Dataset":
        """Read a Dataset that :meth:`save` wrote.

        Raises:
            DataError: if the folder is missing, damaged or not a saved Dataset.
        """
        from tastemaker.data.storage import load_dataset

        return load_dataset(Path(path))

    def save(self, path: str | Path) -> Path:
        """Write the Dataset into the folder ``path`` (Arrow files and a JSON schema), replacing one that is there."""
        from tastemaker.data.storage import save_dataset

        return save_dataset(self, Path(path))

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        """How many users the vocabulary knows, those without interactions included."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items the vocabulary knows, those without interactions included."""
        return len(self.items)

    def __repr__(self) -> str:
        rows, kind = "interactions", f"{len(self) / max(1, self.n_users * self.n_items):.2%} filled, "
        if self.schema.clicks:
            rows, kind = "impressions", f"{self.value.sum(dtype=np.float64) / max(1, len(self)):.2%} clicked"
        elif self.schema.scale:
            kind += f"ratings {self.schema.scale[0]:g}–{self.schema.scale[1]:g}"
        else:
            kind += "implicit feedback"
        return (
            f"Dataset({self.schema.name}: {len(self):,} {rows}, {self.n_users:,} users, "
            f"{self.n_items:,} items, {kind})"
        )

    def select(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> "Dataset":
        """The same users and items with these interactions only.

        Args:
            rows: bool[n] mask, or int[m] row numbers in the order wanted.
        """
        context = self.context
        if context.width:
            context = context[np.flatnonzero(rows) if rows.dtype == np.bool_ else rows]
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            value=gather(self.value, rows),
            weight=gather(self.weight, rows),
            timestamp=gather(self.timestamp, rows),
            context=context,
        )

    def with_columns(
        self, *, value: ArrayLike | None = None, weight: ArrayLike | None = None, schema: Schema | None = None
    ) -> "Dataset":
        """The same interactions with other values or weights (float[n], finite; weights not negative).

        Raises:
            DataError: for a wrong length, a value that is not finite or a negative weight.
        """
        columns: dict[str, Any] = {}
        for name, given in (("value", value), ("weight", weight)):
            if given is None:
                continue
            column = np.array(given, np.float32)
            if column.shape != (len(self),):
                raise DataError(f"{name}: expected shape ({len(self)},), got {column.shape}")
            bad = ~np.isfinite(column) | ((column < 0) if name == "weight" else False)
            if bad.any():
                raise DataError(
                    f"{name}: {bad.sum()} values are not finite or negative; the first is in row {bad.argmax()}"
                )
            columns[name] = column
        return replace(self, **columns, schema=schema or self.schema)

    def implicit(self) -> "Dataset":
        """The same interactions as implicit feedback: values of 1, weights as they are. Of impressions, those clicked."""
        if self.schema.clicks:
            return self.clicked
        ones = constant(np.float32(1), len(self))
        return replace(self, value=ones, schema=replace(self.schema, rating=None, scale=None))

    @cached_property
    def clicked(self) -> "Dataset":
        """The clicks among the impressions as implicit feedback, each user and item once: at the last click, with the weights of
        all. Without labels, the Dataset itself.
        """
        from tastemaker.data.duplicates import merge_duplicates

        if not self.schema.clicks:
            return self
        clicks = replace(self.select(self.value > 0), schema=replace(self.schema, label=None))
        return merge_duplicates(clicks, "auto")

    @cached_property
    def by_user(self) -> History:
        """The interactions of each user, oldest first; equal times in row order. Of impressions, the clicks."""
        if self.schema.clicks:
            return self.clicked.by_user
        columns = (self.item, self.value, self.weight, self.timestamp)
        return History.group(self.user, *columns, n_rows=self.n_users)

    @cached_property
    def by_item(self) -> History:
        """The interactions of each item in row order; ``indices`` are users. Of impressions, the clicks."""
        if self.schema.clicks:
            return self.clicked.by_item
        columns = (self.user, self.value, self.weight, self.timestamp)
        return History.group(self.item, *columns, n_rows=self.n_items, by_time=False)

    def matrix(self, column: Literal["value", "weight"] = "value") -> sp.csr_array:
        """Users × items, float32, sorted and without duplicates, of the values or the weights. Of impressions, the clicks."""
        if self.schema.clicks:
            return self.clicked.matrix(column)
        data = self.value if column == "value" else self.weight
        return sp.csr_array(
            (data, (self.user, self.item)), shape=(self.n_users, self.n_items), dtype=np.float32
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all columns and ids: equal data, equal fingerprint."""
        columns = self.user, self.item, self.value, self.weight, self.timestamp
        return fingerprint_of(columns, (self.users.ids, self.items.ids))

    def to_frame(self, columns: Sequence[str] = ("value", "weight", "timestamp")) -> pl.DataFrame:
        """The interactions as a Polars table with the caller's ids."""
        ids = {"user": self.users.decode(self.user), "item": self.items.decode(self.item)}
        return pl.DataFrame({**ids, **{c: getattr(self, c) for c in columns}}).hstack(self.context)


def fingerprint_of(columns: Iterable[NDArray[Any]], ids: Iterable[pl.Series], since: str = "") -> str:
    """SHA-256 over columns and ids, in hexadecimal digits; ``since``: the fingerprint of what came before them."""
    digest = hashlib.sha256(since.encode())
    for column in columns:
        for start in range(0, len(column), _AT_ONCE):
            digest.update(np.ascontiguousarray(column[start : start + _AT_ONCE]).data)
    for series in ids:
        digest.update(series.cast(pl.String).str.join("\0")[0].encode())
    return digest.hexdigest()
