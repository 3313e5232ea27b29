"""What every parser gives: a data set as tables, before it becomes a Dataset."""

from dataclasses import dataclass

import polars as pl

from tastemaker.data.dataset import Dataset

__all__ = ["Tables"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A published data set, parsed.

    Attributes:
        interactions: columns ``user`` and ``item``; ``rating`` and ``timestamp`` (seconds) where there are any; what
            else there is, is context.
        users, items: features, with id columns ``user`` and ``item``.
        scale: lowest and highest rating one can give.
    """

    interactions: pl.DataFrame
    users: pl.DataFrame | None = None
    items: pl.DataFrame | None = None
    scale: tuple[float, float] | None = None

    def dataset(self, name: str) -> Dataset:
        """The tables as a Dataset; its rows are in the order of the file, and no user and item repeat.

        Raises:
            DataError: if a user and item repeat, or a rating is off the scale.
        """
        columns = self.interactions.columns
        return Dataset.from_interactions(
            self.interactions,
            rating="rating" if "rating" in columns else None,
            timestamp="timestamp" if "timestamp" in columns else None,
            context=[c for c in columns if c not in ("user", "item", "rating", "timestamp")],
            user_features=self.users,
            item_features=self.items,
            duplicates="error",
            scale=self.scale,
            name=name,
        )
