"""The torch side of the click models: features in, one logit out. Imported only while a model is being fitted."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker.models.neural.click_terms import Parts
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.functions import Bag, pair_sums, vectors_of
from tastemaker.models.neural.networks import Tower, arrays_of, linear, normal_table

__all__ = ["ClickNetwork", "Fields"]

_START = 0.01  # deviation of the first embeddings

Arrays = tuple[NDArray[np.float32], ...]


class Fields(nn.Module):
    """One side's features as resident tensors: row ``r`` is what is known about user, item or interaction ``r``."""

    ids: Tensor
    dense: Tensor

    def __init__(self, encoded: Encoded) -> None:
        super().__init__()
        self.register_buffer("ids", torch.from_numpy(encoded.ids.astype(np.int64)), persistent=False)
        self.register_buffer("dense", torch.from_numpy(np.array(encoded.dense)), persistent=False)
        self.pooling = [bag.pooling for bag in encoded.bags]
        for n, bag in enumerate(encoded.bags):
            self.register_buffer(f"indptr{n}", torch.from_numpy(np.array(bag.indptr)), persistent=False)
            self.register_buffer(f"bag{n}", torch.from_numpy(np.array(bag.ids)), persistent=False)

    def bags(self, rows: Tensor, without: dict[int, Tensor] | None = None) -> list[Bag]:
        """The values of each multi-valued field for these rows.

        Args:
            rows: int64[rows].
            without: by the number of the field, one id a row that is left out of it.
        """
        left = without or {}
        return [
            Bag(getattr(self, f"indptr{n}"), getattr(self, f"bag{n}"), rows, left.get(n), pooling)
            for n, pooling in enumerate(self.pooling)
        ]


class ClickNetwork(nn.Module):
    """logit = bias + linear + pairwise + deep + crosses, as far as :class:`Parts` names them.

    The deep part sees the embeddings of the single-valued fields of user, context and item, then of the multi-valued ones,
    then the numbers of the three.

    Args:
        sides: the features of all users, of all contexts and of all items.
        rows: how many embeddings there are.
        parts: what the logit adds up.
        base_rate: the share of clicks, with which it starts.
        generator: of the first weights.
        history: the field of the users that holds the items they had, and int64[items], the row of each in it; in training
            the item in question is left out of it.
    """

    _own_row: Tensor | None

    def __init__(
        self,
        sides: tuple[Encoded, Encoded, Encoded],
        rows: int,
        parts: Parts,
        base_rate: float,
        generator: torch.Generator,
        history: tuple[int, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.users, self.context, self.items = (Fields(side) for side in sides)
        numbers = sum(side.dense.shape[1] for side in sides)
        fields = sum(side.ids.shape[1] + len(side.bags) for side in sides)
        self.bias = nn.Parameter(torch.tensor([math.log(base_rate / (1 - base_rate))]))
        if parts.linear:
            self.linear = nn.Parameter(torch.zeros(rows, 1))
            self.dense_linear = nn.Parameter(torch.zeros(numbers, 1))
        if parts.factors:
            self.factors = normal_table(rows, parts.factors, _START, generator)
        if parts.pairwise:
            self.dense_factors = normal_table(numbers, parts.factors, _START, generator)
        if parts.hidden:
            sizes = (fields * parts.factors + numbers, *parts.hidden)
            layers = Tower(sizes, generator, parts.dropout)
            self.deep = nn.Sequential(layers, linear(parts.hidden[-1], 1, generator))
        if parts.crosses:
            self.crosses = nn.Parameter(torch.zeros(parts.crosses, 1))
        self._history_field = None if history is None else history[0]
        self.register_buffer("_own_row", None if history is None else history[1], persistent=False)

    def forward(
        self,
        user: Tensor,
        item: Tensor,
        row: Tensor,
        *crosses: Tensor,
    ) -> Tensor:
        """float32[batch]: the logit of each pair.

        Args:
            user, item: int64[batch], codes.
            row: int64[batch], the interaction whose context it is.
            crosses: those of all pairs, int64 and int32 in compressed rows, and int64[batch], which pairs these are.
        """
        logit = self.bias.expand(len(user), 1)
        ids, bags = self._fields(user, item, row)
        numbers = _beside(self.users.dense, user, self.context.dense, row, self.items.dense, item)
        if self.parts.linear:
            logit = logit + vectors_of(self.linear, ids, bags).sum(1)
            if numbers.shape[1]:
                logit = logit + numbers @ self.dense_linear
        if self.parts.factors:
            vectors = vectors_of(self.factors, ids, bags)
            if self.parts.pairwise:
                logit = logit + self._pairs(vectors, numbers)
            if self.parts.hidden:
                seen = vectors.flatten(1)
                logit = logit + self.deep(torch.cat([seen, numbers], 1) if numbers.shape[1] else seen)
        if crosses:
            indptr, found, pairs = crosses
            logit = logit + Bag(indptr, found, pairs, None, "sum").pooled(self.crosses)
        return logit.squeeze(1)

    def _fields(self, user: Tensor, item: Tensor, row: Tensor) -> tuple[Tensor, list[Bag]]:
        """int64[batch, fields] of the single-valued fields, and the multi-valued ones: of user, context and item."""
        ids = _beside(self.users.ids, user, self.context.ids, row, self.items.ids, item)
        without = {}
        if self._history_field is not None and self._own_row is not None:
            without = {self._history_field: self._own_row[item]}
        return ids, [*self.users.bags(user, without), *self.context.bags(row), *self.items.bags(item)]

    def _pairs(self, vectors: Tensor, numbers: Tensor) -> Tensor:
        """float32[batch, 1]: the inner products of every two fields; a number's vector is its value times a learned one."""
        found = pair_sums(vectors)
        if numbers.shape[1]:
            total = numbers @ self.dense_factors
            twice = total.square() - numbers.square() @ self.dense_factors.square()
            found = found + (vectors.sum(1) * total + 0.5 * twice).sum(1)
        return found.unsqueeze(1)

    def parameters_of(self, *names: str) -> list[nn.Parameter]:
        """The parameters of those of these parts that there are, without empty ones."""
        named = self.named_parameters()
        return [p for name, p in named if name.split(".")[0] in names and p.numel()]

    def arrays(self) -> dict[str, Any]:
        """The learned tables by name, float32; an empty one for each part that there is not."""
        widths = {"linear": 1, "dense_linear": 1, "factors": 0, "dense_factors": 0, "crosses": 1}
        there = {name: p.detach().cpu().numpy().copy() for name, p in self.named_parameters()}
        tables = {name: there.get(name, np.zeros((0, w), np.float32)) for name, w in widths.items()}
        return {name: table[:, 0] if widths[name] else table for name, table in tables.items()}

    def layers(self) -> tuple[Arrays, Arrays]:
        """Weights and biases of the deep part, whose input is first what is known of whoever asks, then of the item."""
        if not self.parts.hidden:
            return (), ()
        weights, biases = arrays_of(self.deep)
        sides = (self.users, self.context, self.items)
        widths = [side.ids.shape[1] * self.parts.factors for side in sides]
        widths += [len(side.pooling) * self.parts.factors for side in sides]
        widths += [side.dense.shape[1] for side in sides]
        of_item = np.repeat([False, False, True] * 3, widths)
        order = np.argsort(of_item, kind="stable")
        return (np.ascontiguousarray(weights[0][:, order]), *weights[1:]), biases


def _beside(
    users: Tensor, user: Tensor, contexts: Tensor, row: Tensor, items: Tensor, item: Tensor
) -> Tensor:
    """What is known of user, context and item side by side; sides of which nothing is cost nothing."""
    sides = ((users, user), (contexts, row), (items, item))
    known = [side.index_select(0, which) for side, which in sides if side.shape[1]]
    return torch.cat(known, 1) if known else users.new_empty(len(user), 0)
