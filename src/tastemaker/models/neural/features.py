"""The feature pipeline: a specification fitted to a Dataset, which turns users, items and contexts into numbers.

    spec = FeatureSpec.infer(data)              # or written by hand
    features = fit_features(spec, data)
    users = features.user(data.user_features, codes)       # Encoded: ids, bags, dense
    items = features.item(data.item_features, codes)
    when = features.context(context_of(data))
    wide = features.cross_ids(users.take(u), items.take(i), when)      # row j of each belongs together

All ids and bags of all sides are rows of ONE embedding table of ``features.n_rows`` rows; crosses have a table of their own.
Nothing here knows torch: training gathers the arrays that answering gathers, and so computes the same numbers.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import State
from tastemaker.models.neural.crosses import FittedCross, Operand, Place, fit_cross, operands_of
from tastemaker.models.neural.encoded import Encoded, Ragged, side_by_side
from tastemaker.models.neural.fields import Field, Given
from tastemaker.models.neural.fitting import fit_fields, sides_of
from tastemaker.models.neural.keys import NO_VALUES, Keys
from tastemaker.models.neural.specs import SIDES, Cross, FeatureSpec, Side

__all__ = ["FeatureState", "FittedFeatures", "Layout", "fit_features"]


@dataclass(frozen=True)
class Layout:
    """What the columns of a side's :class:`Encoded` are.

    Attributes:
        ids: the names of its id fields, one a column.
        bags: the names of its bags.
        dense: the names of its numbers, one a column; those of a vector as ``column[0]``, ``column[1]`` …
    """

    ids: tuple[str, ...]
    bags: tuple[str, ...]
    dense: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FittedFeatures:
    """A specification with all that it learned from the training data.

    Attributes:
        spec: the specification.
        fields: what its features become, in its order.
        crosses: its crosses.
    """

    spec: FeatureSpec
    fields: tuple[Field, ...]
    crosses: tuple[FittedCross, ...]

    @property
    def n_rows(self) -> int:
        """The length of the one embedding table."""
        return sum(field.rows for field in self.fields)

    @property
    def n_cross_rows(self) -> int:
        """The length of the table of crosses."""
        return sum(cross.size for cross in self.crosses)

    @cached_property
    def ranges(self) -> dict[str, range]:
        """The rows of the embedding table that each field has, by name with the side; the first is for what is not known."""
        found, start = {}, 0
        for field in self.fields:
            if field.output != "dense":
                found[field.name] = range(start, start + field.rows)
                start += field.rows
        return found

    def layout(self, side: Side) -> Layout:
        """What the columns of ``side`` are."""
        mine = [field for field in self.fields if field.side == side]
        return Layout(
            ids=tuple(f.name for f in mine if f.output == "id"),
            bags=tuple(f.name for f in mine if f.output == "bag"),
            dense=tuple(label for f in mine if f.output == "dense" for label in f.labels()),
        )

    def user(
        self,
        table: pl.DataFrame | None,
        users: NDArray[np.integer] | None = None,
        history: History | None = None,
    ) -> Encoded:
        """The users of ``table``, row by row.

        Args:
            table: the columns that the specification names, others are ignored; None: nothing is known.
            users: int[n], their codes, −1 where unknown; None: all unknown.
            history: their histories, for a ``HistoryBag``; None: no one had anything.

        Raises:
            DataError: if a column is missing or of a type that does not suit.
        """
        return self.encode(Given.of("user", table, users, history))

    def item(self, table: pl.DataFrame | None, items: NDArray[np.integer] | None = None) -> Encoded:
        """The items of ``table``, row by row; as :meth:`user`."""
        return self.encode(Given.of("item", table, items))

    def context(self, table: pl.DataFrame | None, n: int | None = None) -> Encoded:
        """The contexts of ``table``, row by row; without a table, ``n`` of which nothing is known."""
        nobody = None if n is None else np.full(n, -1, np.int32)
        return self.encode(Given.of("context", table, nobody))

    def queries(self, queries: Queries, catalogue: Catalogue) -> tuple[Encoded, Encoded]:
        """The users and the contexts of queries: given features, else the stored ones of known users, else nothing.

        A given history takes the place of the stored one, and of what was learned about the user's id from that.
        """
        table = queries.features
        if table is None:
            table = _rows_or_nulls(catalogue.user_features, queries.users)
        history = queries.history if "user.history" in self.ranges else None
        users = self.user(table, np.where(queries.given, -1, queries.users), history)
        return users, self.context(queries.context, len(queries))

    def cross_ids(self, user: Encoded, item: Encoded, context: Encoded) -> Ragged:
        """The crosses of n examples, as rows of the table of crosses; row j of each side belongs together."""
        offsets = np.cumsum([0, *(cross.size for cross in self.crosses)])
        parts = [
            cross.ids(user, item, context).shifted(int(offset))
            for cross, offset in zip(self.crosses, offsets, strict=False)
        ]
        return side_by_side(parts, len(user))

    def history_rows(self, items: NDArray[np.integer]) -> NDArray[np.int32]:
        """int32[n]: the rows by which these items stand in the ``HistoryBag``: ``users.without(bag, rows)`` takes them out."""
        field = next(field for field in self.fields if field.name == "user.history")
        assert field.keys is not None
        keys = pl.Series(field.name, items, dtype=pl.Int64)
        return field.keys.rows(keys) + np.int32(self.ranges[field.name].start)

    def to_state(self) -> dict[str, Any]:
        """The fields of a :class:`FeatureState`."""
        facts = {
            "spec": json.loads(self.spec.to_json()),
            "fields": [
                {
                    "side": field.side,
                    "feature": getattr(self.spec, field.side).index(field.spec),
                    "part": field.part,
                    "numbers": field.numbers,
                    "width": field.width,
                    "keys": None if field.keys is None else field.keys.facts(),
                }
                for field in self.fields
            ],
            "crosses": [len(cross.learned) for cross in self.crosses],
        }
        values = [
            field.keys.table(number) for number, field in enumerate(self.fields) if field.keys is not None
        ]
        return {
            "features": json.dumps(facts),
            "feature_values": pl.concat([NO_VALUES, *values]).rechunk(),
            "feature_crosses": np.concatenate(
                [np.empty(0, np.int64), *(cross.learned for cross in self.crosses)]
            ),
        }

    @classmethod
    def from_state(
        cls, features: str, feature_values: pl.DataFrame, feature_crosses: NDArray[np.int64]
    ) -> "FittedFeatures":
        """What :meth:`to_state` took apart."""
        facts = json.loads(features)
        spec = FeatureSpec.from_json(json.dumps(facts["spec"]))
        fields = tuple(
            Field(
                side=one["side"],
                spec=getattr(spec, one["side"])[one["feature"]],
                part=one["part"],
                keys=None if one["keys"] is None else Keys.read(one["keys"], feature_values, number),
                numbers=tuple(one["numbers"]),
                width=one["width"],
            )
            for number, one in enumerate(facts["fields"])
        )
        uncrossed = cls(spec, fields, ())
        learned = np.split(np.asarray(feature_crosses), np.cumsum(facts["crosses"])[:-1])
        crosses = tuple(
            FittedCross(cross, uncrossed.operands(cross), own)
            for cross, own in zip(spec.crosses, learned, strict=False)
        )
        return cls(spec, fields, crosses)

    def operands(self, cross: Cross) -> tuple[Operand, ...]:
        """Where the features of a cross stand.

        Raises:
            DataError: if there are more combinations than numbers for them.
        """
        places: dict[str, Place] = {}
        for side in SIDES:
            layout = self.layout(side)
            places |= {name: (side, False, place) for place, name in enumerate(layout.ids)}
            places |= {name: (side, True, place) for place, name in enumerate(layout.bags)}
        return operands_of(cross, places, self.ranges)

    def encode(self, given: Given) -> Encoded:
        """The fields of one side."""
        mine = [field for field in self.fields if field.side == given.side]
        ids = [f.ids(given) + np.int32(self.ranges[f.name].start) for f in mine if f.output == "id"]
        bags = (f.bag(given).shifted(self.ranges[f.name].start) for f in mine if f.output == "bag")
        dense = [f.dense(given) for f in mine if f.output == "dense"]
        return Encoded(
            ids=np.stack(ids, axis=1) if ids else np.empty((given.n, 0), np.int32),
            bags=tuple(bags),
            dense=np.concatenate(dense, axis=1) if dense else np.empty((given.n, 0), np.float32),
        )


def fit_features(spec: FeatureSpec, data: Dataset) -> FittedFeatures:
    """Learn values, means, edges and crosses from the training interactions.

    Raises:
        DataError: if there is no feature, if a column that ``spec`` names is missing, or of a type that does not suit.

    >>> from tastemaker.models.neural.specs import Bag, Id
    >>> data = Dataset.from_interactions(
    ...     {"user": ["ann", "bob"], "item": ["jam", "tea"]},
    ...     item_features={"item": ["jam", "tea"], "taste": [["sweet"], ["bitter", "hot"]]},
    ... )
    >>> features = fit_features(FeatureSpec(user=(Id("user"),), item=(Id("item"), Bag("taste"))), data)
    >>> features.n_rows, features.ranges["item.taste"]
    (10, range(6, 10))
    >>> features.item(pl.DataFrame({"taste": [["hot", "sour"]]})).bags[0].ids.tolist()
    [6, 8]
    """
    if not spec.outputs():
        raise DataError(
            "the specification has no features at all; FeatureSpec.infer(data) has the ids at least"
        )
    uncrossed = FittedFeatures(spec, fit_fields(spec, data), ())
    if uncrossed.n_rows >= 2**31:
        raise DataError(
            f"the features have {uncrossed.n_rows:,} values, more than 2³¹; raise min_count= or lower buckets="
        )
    operands = [uncrossed.operands(cross) for cross in spec.crosses]
    if not operands:
        return uncrossed
    sides = {side: uncrossed.encode(given) for side, given in sides_of(data).items()}
    crosses = (
        fit_cross(cross, own, sides, data.user, data.item)
        for cross, own in zip(spec.crosses, operands, strict=True)
    )
    return FittedFeatures(spec, uncrossed.fields, tuple(crosses))


@dataclass(frozen=True, eq=False)
class FeatureState(State):
    """What a model with features learned; ``FeatureState(**features.to_state())``, and more fields in subclasses.

    Attributes:
        features: the specification and its numbers, as JSON.
        feature_values: the values that have rows: field, whole number or text, in the order of the rows.
        feature_crosses: int64, the combinations that have weights, cross after cross.
    """

    features: str
    feature_values: pl.DataFrame
    feature_crosses: NDArray[np.int64]

    @cached_property
    def pipeline(self) -> FittedFeatures:
        """The fitted features."""
        return FittedFeatures.from_state(self.features, self.feature_values, self.feature_crosses)


def _rows_or_nulls(table: pl.DataFrame, codes: NDArray[np.integer]) -> pl.DataFrame:
    """Row ``codes[j]`` of the table, nulls for −1."""
    if not table.width:
        return table
    return pl.concat([table, table.clear(1)])[np.where(codes < 0, table.height, codes)]
