"""What every parser gives: a data set as tables, before it becomes a Dataset."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from tastemaker.data.dataset import Dataset

__all__ = ["Tables"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A published data set, parsed.

    Attributes:
        interactions: columns ``user`` and ``item``; ``rating`` or ``label``, and ``timestamp`` (seconds), where there are any;
            what else there is, is context.
        users, items: features, with id columns ``user`` and ``item``.
        scale: lowest and highest rating one can give.
    """

    interactions: pl.DataFrame
    users: pl.DataFrame | None = None
    items: pl.DataFrame | None = None
    scale: tuple[float, float] | None = None

    def dataset(self, name: str) -> Dataset:
        """The tables as a Dataset; its rows are in the order of the file. Only in impressions a user and item may repeat.

        Raises:
            DataError: if a user and item repeat, or a rating is off the scale.
        """
        columns = self.interactions.columns
        options: dict[str, Any] = {
            "timestamp": "timestamp" if "timestamp" in columns else None,
            "context": [c for c in columns if c not in ("user", "item", "rating", "label", "timestamp")],
            "user_features": self.users,
            "item_features": self.items,
            "name": name,
        }
        if "label" in columns:
            return Dataset.from_impressions(self.interactions, **options)
        rating = "rating" if "rating" in columns else None
        return Dataset.from_interactions(
            self.interactions, rating=rating, scale=self.scale, duplicates="error", **options
        )
