"""A catalogue with items added, for models that fold new items in."""

import hashlib
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.past import Past
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.models.checks import a_dataset

__all__ = ["with_new_items", "with_rows"]


def with_new_items(catalogue: Catalogue, data: Dataset) -> tuple[Catalogue, History]:
    """``catalogue`` with those items of ``data`` that it does not know, after its own, and what its users did with them.

    Interactions of users that the catalogue does not know, and with items that it knows, are left out.

    Args:
        catalogue: stays as it is.
        data: with ids of the same types.

    Returns:
        The larger catalogue, and one history row a new item, whose indices are user codes.

    Raises:
        DataError: if ``data`` is no Dataset, or its ids are of another type.
    """
    a_dataset("fold_in_items", data)
    data = data.clicked
    ids = Vocabulary.from_values(catalogue.items.ids, data.items.ids, column=data.schema.item).ids
    items = Vocabulary(ids, uuid=catalogue.items.uuid)
    user_codes = catalogue.users.encode(data.users.ids)
    item_codes = items.encode(data.items.ids)
    at = (user_codes[data.user] >= 0) & (item_codes[data.item] >= catalogue.n_items)
    users, new = user_codes[data.user[at]], item_codes[data.item[at]]
    columns = data.value[at], data.weight[at], data.timestamp[at]
    old = catalogue.history
    history = History.group(
        np.concatenate([old.rows(), users]),
        np.concatenate([old.indices, new]),
        np.concatenate([old.value, columns[0]]),
        np.concatenate([old.weight, columns[1]]),
        np.concatenate([old.timestamp, columns[2]]),
        n_rows=catalogue.n_users,
    )
    added = np.flatnonzero(item_codes >= catalogue.n_items)
    larger = replace(
        catalogue,
        items=items,
        item_features=with_rows(catalogue.item_features, data.item_features, added),
        past=Past(history),
        fingerprint=hashlib.sha256(f"{catalogue.fingerprint}+{data.fingerprint}".encode()).hexdigest(),
    )
    by_item = History.group(
        new - np.int32(catalogue.n_items),
        users,
        *columns,
        n_rows=len(items) - catalogue.n_items,
        by_time=False,
    )
    return larger, by_item


def with_rows(old: pl.DataFrame, more: pl.DataFrame, rows: NDArray[np.integer]) -> pl.DataFrame:
    """The feature table with rows added: the columns and types of the old one, null where the new one has no such column."""
    if not old.width:
        return old
    shared = [pl.col(name).cast(dtype) for name, dtype in old.schema.items() if name in more.columns]
    added = more[rows].select(shared) if shared else pl.DataFrame()
    missing = [pl.lit(None, dtype).alias(n) for n, dtype in old.schema.items() if n not in more.columns]
    if not added.width:
        added = pl.DataFrame({old.columns[0]: [None] * len(rows)}, schema={old.columns[0]: old.dtypes[0]})
        missing = missing[1:]
    return pl.concat([old, added.with_columns(missing).select(old.columns)])
