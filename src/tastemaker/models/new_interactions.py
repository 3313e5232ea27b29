"""A catalogue with interactions added, for models that learn from them without a refit."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset, Schema, fingerprint_of
from tastemaker.data.history import History
from tastemaker.errors import DataError
from tastemaker.models.checks import a_dataset
from tastemaker.models.new_items import with_rows

__all__ = ["MUCH", "NewInteractions", "changed", "with_new_interactions"]

MUCH = 0.05
"""The share of new interactions from which on an item or user is always learned anew."""


class NewInteractions(NamedTuple):
    """What new interactions change; rows are users and indices items, in the codes of the larger catalogue.

    Attributes:
        catalogue: the larger one.
        gone: interactions that others took the place of.
        came: those, and what is new.
    """

    catalogue: Catalogue
    gone: History
    came: History

    @property
    def came_by_item(self) -> History:
        """What came, one row an item; ``indices`` are users."""
        return _by_item(self.came, self.catalogue.n_items)

    @property
    def gone_by_item(self) -> History:
        """What is gone, one row an item; ``indices`` are users."""
        return _by_item(self.gone, self.catalogue.n_items)


def with_new_interactions(catalogue: Catalogue, data: Dataset) -> NewInteractions:
    """``catalogue`` with the interactions of ``data``; users and items that it does not know come after its own.

    Of a pair of a user and an item that it has already, the later interaction stands: a rating as it is, implicit feedback
    with the weights of both added. So it becomes the catalogue of a Dataset made of all interactions with
    ``duplicates="auto"``.

    Args:
        catalogue: stays as it is.
        data: with ids of the same types.

    Raises:
        DataError: if ``data`` is no Dataset, its ids are of another type, or it lacks the ratings or times that the catalogue
            has.
    """
    a_dataset("update", data)
    data = data.clicked
    _check(catalogue.schema, data.schema)
    users, user = catalogue.users.extended(data.users, data.schema.user)
    items, item = catalogue.items.extended(data.items, data.schema.item)
    who, what = user[data.user], item[data.item]
    new = History.group(who, what, data.value, data.weight, data.timestamp, n_rows=len(users))
    add_weights = not catalogue.schema.explicit
    inserted = catalogue.past.inserted(new, columns=len(items), add_weights=add_weights)
    larger = replace(
        catalogue,
        users=users,
        items=items,
        user_features=_features(catalogue.user_features, data.user_features, user, catalogue.n_users),
        item_features=_features(catalogue.item_features, data.item_features, item, catalogue.n_items),
        past=inserted.past,
        schema=replace(catalogue.schema, scale=_wider(catalogue.schema.scale, data.schema.scale)),
        fingerprint=fingerprint_of(
            (who, what, data.value, data.weight, data.timestamp),
            (users.ids[catalogue.n_users :], items.ids[catalogue.n_items :]),
            since=catalogue.fingerprint,
        ),
    )
    return NewInteractions(larger, inserted.gone, inserted.came)


def changed(new: NDArray[Any], lengths: NDArray[Any], budget: float = 0.0) -> NDArray[np.int64]:
    """The rows that new interactions change most: all of which they are `MUCH` or more, and more of them within a budget.

    Args:
        new: how many new interactions each row has.
        lengths: how many it has in all.
        budget: rows are taken, the most changed first, while they have no more interactions than this together.

    >>> changed(np.array([1, 0, 1, 1]), np.array([10, 10, 100, 30]), budget=50)
    array([0, 3])
    """
    rows = np.flatnonzero(new)
    share = new[rows] / lengths[rows]
    order = np.argsort(-share, kind="stable")
    within = (np.cumsum(lengths[rows[order]]) <= budget) | (share[order] >= MUCH)
    return np.sort(rows[order[within]])


def _check(known: Schema, new: Schema) -> None:
    for what, there, here in (
        ("ratings", known.explicit, new.explicit),
        ("times", known.timestamp, new.timestamp),
    ):
        if there and not here:
            option = {"ratings": "rating=", "times": "timestamp="}[what]
            raise DataError(f"{new.name}: the model was fitted on {what}; name their column in {option}")
    if new.explicit and not known.explicit:
        raise DataError(f"{new.name}: the model was fitted without ratings; take implicit() of the new data")


def _features(old: pl.DataFrame, new: pl.DataFrame, codes: NDArray[np.int32], known: int) -> pl.DataFrame:
    return with_rows(old, new, np.flatnonzero(codes >= known))


def _wider(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    if one is None or other is None:
        return one
    return min(one[0], other[0]), max(one[1], other[1])


def _by_item(history: History, n_items: int) -> History:
    """The entries of a history of users by item, in the order of the users."""
    columns = history.value, history.weight, history.timestamp
    return History.group(history.indices, history.rows(), *columns, n_rows=n_items, by_time=False)
