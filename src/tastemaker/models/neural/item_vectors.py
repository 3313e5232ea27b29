"""The vectors of items for sequence models: one for each id, and what the item's features add. Imported only by a fit."""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError
from tastemaker.models.neural.click_network import Fields
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import fit_features
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.networks import normal_table
from tastemaker.models.neural.specs import FeatureSpec, Id

__all__ = ["ItemVectors"]

_START = 0.02  # deviation of the first vectors


class ItemVectors(nn.Module):
    """v = e(id) + Σ e(value of a feature) + W · numbers, of the items that somebody took.

    Attributes:
        ids: float32[items taken, factors], e(id).
        known: bool[items], which were taken; their rows are in the order of the codes.
        described: bool[items], which have features; none without a specification.
    """

    def __init__(
        self,
        known: NDArray[np.bool_],
        factors: int,
        generator: torch.Generator,
        features: Encoded | None = None,
        rows: int = 0,
    ) -> None:
        super().__init__()
        self.known, self.described = known, np.full(len(known), features is not None)
        self.ids = normal_table(int(known.sum()), factors, _START, generator)
        self.fields = None if features is None else Fields(features)
        if features is not None:
            self.values = normal_table(rows, factors, _START, generator)
            self.numbers = normal_table(features.dense.shape[1], factors, _START, generator)
            _silence(self.values, features, known)

    @classmethod
    def of(
        cls,
        data: Dataset,
        features: FeatureSpec | str | None,
        factors: int,
        generator: torch.Generator,
    ) -> Self:
        """For the items of ``data``, with the features of items that are named.

        Raises:
            DataError: if the specification names none.
        """
        known = np.bincount(data.item, minlength=data.n_items) > 0
        if not isinstance(features, FeatureSpec):
            return cls(known, factors, generator)
        named = tuple(feature for feature in features.item if not isinstance(feature, Id))
        if not named:
            raise DataError(f"features: expected features of items beside their ids, got {features}")
        fitted = fit_features(FeatureSpec(item=named), data)
        encoded = fitted.item(data.item_features, np.arange(data.n_items, dtype=np.int32))
        return cls(known, factors, generator, encoded, fitted.n_rows)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def row_of_code(self) -> NDArray[np.int32]:
        """int32[items]: the row of each item; −1 for one that nobody took."""
        return np.where(self.known, np.cumsum(self.known) - 1, -1).astype(np.int32)

    def forward(self) -> Tensor:
        """float32[items taken, factors]."""
        if self.fields is None:
            return self.ids
        return self.ids + self._told_by_features(np.flatnonzero(self.known))

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """float32[items, factors] and bool[items]: the vectors of all items, and which have one; zeros for those without."""
        vectors = torch.zeros(len(self.known), self.ids.shape[1])
        with torch.no_grad():
            vectors[torch.from_numpy(self.known)] = self.ids.cpu()
            if self.fields is not None:
                vectors += self._told_by_features(np.arange(len(self.known))).cpu()
        return vectors.numpy(), self.known | self.described

    def _told_by_features(self, items: NDArray[np.int64]) -> Tensor:
        """float32[items, factors]."""
        assert self.fields is not None
        rows = torch.from_numpy(items).to(self.ids.device)
        single = look_up(self.values, self.fields.ids[rows]).sum(dim=1)
        bags = sum((bag.pooled(self.values) for bag in self.fields.bags(rows)), start=single)
        return bags + self.fields.dense[rows] @ self.numbers


def _silence(values: nn.Parameter, features: Encoded, known: NDArray[np.bool_]) -> None:
    """Begin with 0 where no interaction teaches anything else."""
    heard = np.zeros(len(values), np.bool_)
    taken = features.take(np.flatnonzero(known))
    for ids in (taken.ids, *(bag.ids for bag in taken.bags)):
        heard[ids] = True
    with torch.no_grad():
        values[torch.from_numpy(~heard)] = 0
