"""A catalogue with interactions added, for models that learn from them without a refit."""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.models.new_items import with_rows

__all__ = ["with_new_interactions"]


def with_new_interactions(
    catalogue: Catalogue, data: Dataset
) -> tuple[Catalogue, NDArray[np.int32], NDArray[np.int32]]:
    """``catalogue`` with the interactions of ``data``; users and items that it does not know come after its own.

    Args:
        catalogue: stays as it is.
        data: with ids of the same types.

    Returns:
        The larger catalogue, and the users and items of the new interactions in its codes.

    Raises:
        DataError: if the ids of ``data`` are of another type.
    """
    users = _joined(catalogue.users, data.users, data.schema.user)
    items = _joined(catalogue.items, data.items, data.schema.item)
    user_codes, item_codes = users.encode(data.users.ids), items.encode(data.items.ids)
    user, item = user_codes[data.user], item_codes[data.item]
    old = catalogue.history
    larger = replace(
        catalogue,
        users=users,
        items=items,
        user_features=with_rows(
            catalogue.user_features, data.user_features, np.flatnonzero(user_codes >= catalogue.n_users)
        ),
        item_features=with_rows(
            catalogue.item_features, data.item_features, np.flatnonzero(item_codes >= catalogue.n_items)
        ),
        history=History.group(
            np.concatenate([old.rows(), user]),
            np.concatenate([old.indices, item]),
            np.concatenate([old.value, data.value]),
            np.concatenate([old.weight, data.weight]),
            np.concatenate([old.timestamp, data.timestamp]),
            n_rows=len(users),
        ),
        fingerprint=hashlib.sha256(f"{catalogue.fingerprint}+{data.fingerprint}".encode()).hexdigest(),
    )
    return larger, user, item


def _joined(old: Vocabulary, new: Vocabulary, column: str) -> Vocabulary:
    return Vocabulary(Vocabulary.from_values(old.ids, new.ids, column=column).ids, uuid=old.uuid)
