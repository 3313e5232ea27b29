"""Kinds of features, by what their column holds; see :mod:`tastemaker.models.neural.specs`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tastemaker.models.checks import one_of, whole

__all__ = [
    "SIDES",
    "Bag",
    "Categorical",
    "Feature",
    "HistoryBag",
    "Id",
    "Numeric",
    "Output",
    "Pooling",
    "Side",
    "Time",
    "Vector",
    "check_counts",
    "names_of",
]

Side = Literal["user", "item", "context"]
Output = Literal["id", "bag", "dense"]
Pooling = Literal["mean", "sum"]
TimePart = Literal["hour", "weekday", "recency"]
TimeUnit = Literal["s", "ms", "us", "ns"]
Transform = Literal["standard", "log", "buckets"]

SIDES: tuple[Side, ...] = get_args(Side)


@dataclass(frozen=True)
class Feature:
    """One thing that is known about a user, an item or a context."""

    @property
    def name(self) -> str:
        """What it is called within its side, by default as its column."""
        column: str = self.__dict__["column"]
        return column

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """What it becomes: names within the side, each with ``"id"``, ``"bag"`` or ``"dense"``."""
        return ((self.name, "id"),)


@dataclass(frozen=True)
class Id(Feature):
    """The user or the item itself.

    Args:
        side: ``"user"`` or ``"item"``.
        min_count: who has fewer training interactions shares the one row of all that are not known: a vector that was never
            trained would say nothing.
    """

    side: Literal["user", "item"]
    min_count: int = 1

    def __post_init__(self) -> None:
        one_of("side", self.side, ("user", "item"))
        whole("min_count", self.min_count)

    @property
    def name(self) -> str:
        """``"id"``."""
        return "id"


@dataclass(frozen=True)
class Categorical(Feature):
    """One value a row: text, whole numbers, booleans, dates. Each value has a row of its own.

    Args:
        column: of the side's table.
        min_count: values in fewer training interactions share one row with those that are unseen or missing.
        buckets: hash the values into so many rows instead (missing ones keep their own).
    """

    column: str
    min_count: int = 1
    buckets: int | None = None

    def __post_init__(self) -> None:
        check_counts(self.min_count, self.buckets)


@dataclass(frozen=True)
class Bag(Feature):
    """Several values a row, as a set: repeated ones count once, and a row without any is all zeros.

    Args:
        column: of lists, or of text such as ``Drama|War``, cut at ``separator``.
        pooling: ``"mean"`` or ``"sum"`` of the vectors.
        min_count, buckets: as of :class:`Categorical`. Rare and unseen values share one row.
        separator: at which text is cut.
    """

    column: str
    pooling: Pooling = "mean"
    min_count: int = 1
    buckets: int | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, get_args(Pooling))
        check_counts(self.min_count, self.buckets)

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """One bag."""
        return ((self.name, "bag"),)


@dataclass(frozen=True)
class HistoryBag(Feature):
    """The items that the user had, as a bag, with rows of their own beside the items' ids.

    In training, the item that is to be predicted must be taken out of it: see ``Encoded.without``.

    Args:
        pooling: ``"mean"`` or ``"sum"`` of the vectors.
        min_count: items with fewer training interactions share one row with unknown ones.
        last: only so many of the latest.
    """

    pooling: Pooling = "mean"
    min_count: int = 1
    last: int | None = None

    def __post_init__(self) -> None:
        one_of("pooling", self.pooling, get_args(Pooling))
        whole("min_count", self.min_count)
        if self.last is not None:
            whole("last", self.last)

    @property
    def name(self) -> str:
        """``"history"``."""
        return "history"

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """One bag."""
        return ((self.name, "bag"),)


@dataclass(frozen=True)
class Numeric(Feature):
    """A number.

    Args:
        column: of numbers.
        transform: ``"standard"``: (x − mean) / standard deviation; ``"log"``: the same of sign(x) · log(1 + \\|x\\|); a missing
            number is 0 in both. ``"buckets"``: one row for each of ``buckets`` stretches of about equally many values, and
            one for missing numbers.
        buckets: how many.
    """

    column: str
    transform: Transform = "standard"
    buckets: int = 10

    def __post_init__(self) -> None:
        one_of("transform", self.transform, get_args(Transform))
        whole("buckets", self.buckets, 2)

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """A number, or one row."""
        return ((self.name, "id" if self.transform == "buckets" else "dense"),)


@dataclass(frozen=True)
class Vector(Feature):
    """A vector of numbers from any text or image encoder, taken as it is; zeros where it is missing."""

    column: str

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """Numbers."""
        return ((self.name, "dense"),)


@dataclass(frozen=True)
class Time(Feature):
    """A moment.

    Args:
        column: of dates, or of numbers counted in ``unit`` since 1970. In the context, the name of the Dataset's timestamp
            column means the time of the interaction.
        parts: ``"hour"`` (0 to 23) and ``"weekday"`` become one row each; ``"recency"`` a number, the days before the end of
            the training data as sign(d) · log(1 + \\|d\\|), standardised.
        unit: of numbers.
    """

    column: str
    parts: tuple[TimePart, ...] = ("hour", "weekday", "recency")
    unit: TimeUnit = "s"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        for part in self.parts:
            one_of("parts", part, get_args(TimePart))
        if not self.parts or len(set(self.parts)) < len(self.parts):
            raise ValueError(f"parts must be one or more different parts of a time, got {self.parts}")
        one_of("unit", self.unit, get_args(TimeUnit))

    def outputs(self) -> tuple[tuple[str, Output], ...]:
        """``column.hour``, ``column.weekday`` and ``column.recency``, as asked for."""
        return tuple((f"{self.name}.{part}", "dense" if part == "recency" else "id") for part in self.parts)


def check_counts(min_count: int, buckets: int | None) -> None:
    """Refuse a ``min_count`` or ``buckets`` that is no count."""
    whole("min_count", min_count)
    if buckets is not None:
        whole("buckets", buckets)


def names_of(features: Sequence[Feature]) -> list[str]:
    """The names of the columns that these features read."""
    return [f.__dict__["column"] for f in features if "column" in f.__dict__]
