"""What a fitted model remembers of its data: ids, features, and who has seen what."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.past import Past
from tastemaker.data.vocabulary import Vocabulary

__all__ = ["Catalogue"]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Users, items, features and seen items. Models of one bundle share one.

    Attributes:
        users, items: the vocabularies.
        user_features, item_features: row ``c`` belongs to code ``c``.
        past: what each user did, oldest first; :attr:`history` has all of it in one.
        schema: names and meaning of the columns.
        fingerprint: of the Dataset that this came from.
    """

    users: Vocabulary
    items: Vocabulary
    user_features: pl.DataFrame
    item_features: pl.DataFrame
    past: Past
    schema: Schema
    fingerprint: str

    @classmethod
    def of(cls, data: Dataset) -> "Catalogue":
        """The catalogue of a Dataset."""
        return cls(
            users=data.users,
            items=data.items,
            user_features=data.user_features,
            item_features=data.item_features,
            past=Past(data.by_user),
            schema=data.schema,
            fingerprint=data.fingerprint,
        )

    @property
    def n_users(self) -> int:
        """How many users the vocabulary knows."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """How many items the vocabulary knows."""
        return len(self.items)

    @property
    def history(self) -> History:
        """What all users did, in one; for some users ask :attr:`past`, which an update need not copy."""
        return self.past.whole

    @cached_property
    def popularity(self) -> NDArray[np.float32]:
        """float32[n_items]: the summed weights of each item's interactions."""
        summed = np.bincount(self.history.indices, self.history.weight, self.n_items)
        return summed.astype(np.float32)
