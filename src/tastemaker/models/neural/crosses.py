"""Fitted crosses: which combinations of values have a weight of their own, and which of them an example has.

A combination is one whole number, mixed-radix in the rows of its values: the part of user and context above, the item's below.
So all combinations of a query stand together in the sorted list of those that were learned.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from tastemaker.errors import DataError
from tastemaker.models.neural.encoded import Encoded, Ragged
from tastemaker.models.neural.keys import mix
from tastemaker.models.neural.specs import Cross, Side

__all__ = ["Codes", "FittedCross", "Operand", "Place", "fit_cross", "operands_of"]

_AT_ONCE = 1 << 17  # examples

Int64 = NDArray[np.int64]
Place = tuple[Side, bool, int]  # of which side, whether it is a bag, and which of its bags or columns of ids


@dataclass(frozen=True, eq=False)
class Codes:
    """Combinations as numbers, row after row.

    Attributes:
        indptr: int64[n + 1].
        codes: int64[entries].
    """

    indptr: Int64
    codes: Int64

    def rows(self) -> Int64:
        """int64[entries]: the row of each."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def times(self, other: "Codes", radix: int | None) -> "Codes":
        """Every combination of a row here with every one there, as ``self · radix + other``; hashed without a radix."""
        others = np.diff(other.indptr)
        lengths = np.diff(self.indptr) * others
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(indptr[-1]) - indptr[rows]
        left = self.codes[self.indptr[rows] + place // others[rows]]
        right = other.codes[other.indptr[rows] + place % others[rows]]
        return Codes(indptr, joined(left, right, radix))

    def where(self, keep: NDArray[np.bool_]) -> "Codes":
        """Only these."""
        lengths = np.bincount(self.rows()[keep], minlength=len(self.indptr) - 1)
        return Codes(np.concatenate([[0], np.cumsum(lengths)]), self.codes[keep])


def joined(left: Int64, right: Int64, radix: int | None) -> Int64:
    """``left · radix + right``; without a radix 64 bits that depend on both."""
    if radix is not None:
        return left * np.int64(radix) + right
    return (mix(left.view(np.uint64)) + right.view(np.uint64)).view(np.int64)


@dataclass(frozen=True)
class Operand:
    """A feature of a cross: where it stands in its side's :class:`Encoded`.

    Attributes:
        side, bag, place: which bag or column of ids of which side.
        start: its first row of the embedding table, which stands for what is not known.
        rows: how many it has.
        power: how often it is named; the combinations are of so many different values.
    """

    side: Side
    bag: bool
    place: int
    start: int
    rows: int
    power: int

    @property
    def radix(self) -> int:
        """Codes are below it."""
        return int(self.rows**self.power)

    def codes(self, encoded: Encoded) -> Codes:
        """The known values of each row, or their combinations."""
        if self.bag:
            ragged = encoded.bags[self.place]
            values = Codes(ragged.indptr, ragged.ids.astype(np.int64) - self.start)
        else:
            column = encoded.ids[:, self.place].astype(np.int64) - self.start
            values = Codes(np.arange(len(column) + 1), column)
        single = values.where(values.codes > 0)
        combined = single
        for _ in range(self.power - 1):
            pairs = combined.times(single, self.rows)
            last, before = pairs.codes % self.rows, pairs.codes // self.rows % self.rows
            combined = pairs.where(before < last)
        return combined


@dataclass(frozen=True, eq=False)
class FittedCross:
    """A cross with the combinations that have weights.

    Attributes:
        spec: the cross.
        operands: those of user and context, then those of the item.
        learned: int64, ascending: the combinations; none when they are hashed.
    """

    spec: Cross
    operands: tuple[Operand, ...]
    learned: Int64

    @property
    def size(self) -> int:
        """How many weights."""
        return len(self.learned) if self.spec.buckets is None else self.spec.buckets

    @cached_property
    def item_radix(self) -> int | None:
        """The codes of the item's part are below it; None when they are hashed."""
        return self._radix(prod(o.radix for o in self.operands if o.side == "item"))

    def query_part(self, user: Encoded, context: Encoded) -> Codes:
        """The combinations of users and contexts alone."""
        sides = {"user": user, "context": context}
        return self._product([(o, sides[o.side]) for o in self.operands if o.side != "item"], len(user))

    def item_part(self, item: Encoded) -> Codes:
        """The combinations of items alone."""
        return self._product([(o, item) for o in self.operands if o.side == "item"], len(item))

    def ids(self, user: Encoded, item: Encoded, context: Encoded) -> Ragged:
        """The weights of n examples; row j of each side belongs together. Hashed ones may repeat, and then count twice."""
        both = self.query_part(user, context).times(self.item_part(item), self.item_radix)
        ids = self.found(both.codes)
        known = Codes(both.indptr, ids.astype(np.int64)).where(ids >= 0)
        return Ragged(known.indptr, known.codes.astype(np.int32), "sum")

    def found(self, codes: Int64) -> NDArray[np.int32]:
        """int32: the weight of each combination, −1 for none."""
        if self.spec.buckets is not None:
            return (mix(codes.view(np.uint64)) % np.uint64(self.spec.buckets)).astype(np.int32)
        at = np.searchsorted(self.learned, codes)
        hit = np.append(self.learned, np.int64(-1))[at] == codes
        return np.where(hit, at, -1).astype(np.int32)

    def _radix(self, radix: int) -> int | None:
        return radix if self.spec.buckets is None else None

    def _product(self, parts: Sequence[tuple[Operand, Encoded]], n: int) -> Codes:
        codes = Codes(np.arange(n + 1), np.zeros(n, np.int64))
        for operand, encoded in parts:
            codes = codes.times(operand.codes(encoded), self._radix(operand.radix))
        return codes


def operands_of(
    cross: Cross, places: Mapping[str, Place], ranges: Mapping[str, range]
) -> tuple[Operand, ...]:
    """Where the features of a cross stand, those of user and context first.

    Args:
        cross: the cross.
        places: of all features, by name with the side.
        ranges: their rows of the embedding table.

    Raises:
        DataError: if there are more combinations than numbers for them.
    """
    operands = []
    for name in sorted(dict.fromkeys(cross.features), key=lambda name: places[name][0] == "item"):
        side, bag, place = places[name]
        rows = ranges[name]
        operands.append(Operand(side, bag, place, rows.start, len(rows), cross.features.count(name)))
    sizes = [operand.radix for operand in operands]
    if (prod(sizes) if cross.buckets is None else max(sizes)) >= 2**63:
        raise DataError(
            f"{cross.name} has 2⁶³ or more possible combinations; raise min_count= of its features, or hash them"
            " and the cross into fewer buckets="
        )
    return tuple(operands)


def fit_cross(
    cross: Cross,
    operands: tuple[Operand, ...],
    sides: Mapping[Side, Encoded],
    user: NDArray[np.int32],
    item: NDArray[np.int32],
) -> FittedCross:
    """The combinations that at least ``min_count`` of the interactions have.

    Args:
        cross: the cross.
        operands: from :func:`operands_of`.
        sides: all users, all items, and the context of each interaction.
        user, item: int32[n], the codes of the interactions.
    """
    learned, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    unlearned = FittedCross(cross, operands, learned)
    if cross.buckets is not None:
        return unlearned
    for codes in _all_codes(unlearned, sides, user, item):
        new, times = np.unique(codes, return_counts=True)
        learned, at = np.unique(np.concatenate([learned, new]), return_inverse=True)
        counts = np.bincount(at, np.concatenate([counts, times]), len(learned)).astype(np.int64)
    return FittedCross(cross, operands, learned[counts >= cross.min_count])


def _all_codes(
    cross: FittedCross, sides: Mapping[Side, Encoded], user: NDArray[np.int32], item: NDArray[np.int32]
) -> Iterator[Int64]:
    for start in range(0, len(user), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(user)))
        queries = cross.query_part(sides["user"].take(user[rows]), sides["context"].take(rows))
        items = cross.item_part(sides["item"].take(item[rows]))
        yield queries.times(items, cross.item_radix).codes
