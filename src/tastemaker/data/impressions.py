"""Click-through data: what was shown to whom in which circumstances, and whether it was clicked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.build import all_rows
from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError

__all__ = ["from_impressions"]

_SHOWN = 3


def from_impressions(
    source: Any,
    *,
    user: str = "user",
    item: str = "item",
    label: str = "label",
    weight: str | None = None,
    timestamp: str | None = None,
    timestamp_unit: Literal["s", "ms", "us", "ns"] = "s",
    context: Sequence[str] = (),
    user_features: Any = None,
    item_features: Any = None,
    user_id: str | None = None,
    item_id: str | None = None,
    separator: str | None = None,
    columns: Sequence[str] | None = None,
    connection: Any = None,
    name: str = "impressions",
) -> Dataset:
    """Build a Dataset from a table with one row an impression: an item was shown to a user, who clicked or did not.

    Every row is kept, in its order; the same item may be shown to the same user many times. Models that give the probability of
    a click learn from all rows. For all others, and as what a user has seen, only the clicks count
    (:attr:`tastemaker.data.Dataset.clicked`): an item that was shown and not clicked may be recommended.

    Args:
        source, user, item, timestamp, timestamp_unit, user_features, item_features, user_id, item_id, separator, columns,
            connection, name: as in :func:`tastemaker.data.build.from_interactions`.
        label: column with 1 or true for a click, 0 or false for none.
        weight: column that says how much an impression counts (not negative).
        context: columns with the circumstances (device, hour, place on the page, …), kept row by row.

    Raises:
        DataError: names the column, the count and the first offending rows.

    >>> shown = {"user": ["ann", "ann", "bob"], "item": ["tea", "tea", "jam"], "label": [0, 1, 0], "hour": [8, 20, 8]}
    >>> data = from_impressions(shown, context=["hour"])
    >>> data
    Dataset(impressions: 3 impressions, 2 users, 2 items, 33.33% clicked)
    >>> data.clicked.to_frame(()).rows()
    [('ann', 'tea', 20)]
    """
    data = all_rows(
        source,
        user=user,
        item=item,
        rating=label,
        weight=weight,
        timestamp=timestamp,
        timestamp_unit=timestamp_unit,
        context=context,
        user_features=user_features,
        item_features=item_features,
        user_id=user_id,
        item_id=item_id,
        scale=None,
        separator=separator,
        columns=columns,
        connection=connection,
        name=name,
    )
    _refuse_other_labels(data.value, label, name)
    return data.with_columns(schema=replace(data.schema, rating=None, scale=None, label=label))


def _refuse_other_labels(value: NDArray[np.float32], label: str, name: str) -> None:
    rows = np.flatnonzero((value != 0) & (value != 1))
    if len(rows):
        shown = ", ".join(f"row {r + 1}: {value[r]:g}" for r in rows[:_SHOWN])
        more = " …" if len(rows) > _SHOWN else ""
        raise DataError(
            f"{name}, column {label!r}: {len(rows):,} labels are neither 0 nor 1; {shown}{more}. For ratings use "
            "from_interactions(rating=...), or make labels of them first"
        )
