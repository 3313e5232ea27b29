"""How PinSage learns: items that follow one another against negatives that get harder. Imported only by a fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tastemaker._native.walks import Visits, visits
from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.click_network import Fields
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FittedFeatures
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.networks import Dropout, linear, normal_table
from tastemaker.models.neural.optimizers import dense_adam
from tastemaker.models.neural.pin_sage import PinSageState
from tastemaker.models.neural.sparse_rows import Entries, Rows, weighted_sums
from tastemaker.models.neural.training import Plan, generator_for, pick_device, train
from tastemaker.progress import Progress

if TYPE_CHECKING:
    from tastemaker.models.neural.pin_sage import PinSage

__all__ = ["Follows", "Sage", "hard_pool", "learn", "max_margin", "neighborhoods"]

_START = 0.1  # deviation of the first embeddings
_HARD = (5, 15)  # ranks of hard negatives among the visited, as multiples of the neighbours


class HiddenNeighbors(Dropout):
    """Which items are seen without their neighbours in a step, so that content learns to speak for itself."""

    def forward(self, x: Tensor) -> Tensor:
        """float32[entries]: 0 where the item is hidden, else 1; x is int64[entries], the item of each, ascending."""
        keep = torch.ones(int(x[-1]) + 1 if len(x) else 0, device=x.device)
        if self.training and self.rate:
            keep.bernoulli_(1 - self.rate, generator=self.generator)
        return keep[x]


class _Layer(NamedTuple):
    """What a convolution takes: where its items stand among those of the layer below, and their neighbours there."""

    own: Tensor
    near: Entries


class Sage(nn.Module):
    """Features, convolutions, two dense layers.

    Args:
        items: the features of all items.
        rows: how many embeddings there are.
        near: the neighbours of all items with their shares.
        factors: the width of everything.
        layers: convolutions.
        hide: the share of items whose neighbours are hidden in training.
        generator: of the first weights.
    """

    epoch: Tensor

    def __init__(
        self,
        items: Encoded,
        rows: int,
        near: Rows,
        factors: int,
        layers: int,
        hide: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.items, self.near, self.hide = Fields(items), near, HiddenNeighbors(hide)
        self.table = normal_table(rows, factors, _START, generator)
        width = factors * (items.ids.shape[1] + len(items.bags)) + items.dense.shape[1]
        widths = [width] + [factors] * (layers - 1)
        self.of_neighbors = nn.ModuleList([linear(w, factors, generator) for w in widths])
        self.of_both = nn.ModuleList([linear(w + factors, factors, generator) for w in widths])
        self.first, self.last = linear(factors, factors, generator), linear(factors, factors, generator)
        with torch.no_grad():
            self.last.bias.normal_(0, _START, generator=generator)
        self.register_buffer(
            "epoch", torch.zeros((), dtype=torch.int64)
        )  # in checkpoints, for the curriculum

    def forward(self, items: Tensor) -> Tensor:
        """float32[n, factors], of length 1: the vectors of int64[n] items, each there once."""
        below, layers = self._reached(items)
        h = self._features(below)
        for (own, near), q, w in zip(layers, self.of_neighbors, self.of_both, strict=True):
            n = weighted_sums(near, functional.relu(q(h)))
            h = functional.normalize(functional.relu(w(torch.cat([h[own], n], dim=1))), dim=1)
        return functional.normalize(self.last(functional.relu(self.first(h))), dim=1)

    def _reached(self, items: Tensor) -> tuple[Tensor, list[_Layer]]:
        """The items whose features are needed, and what each layer takes, the lowest first."""
        layers = []
        for _ in self.of_both:
            near = self.near.take(items)
            value = near.value * self.hide(near.row())
            both = torch.cat([items, near.column.long()])
            below, place = torch.unique(both, return_inverse=True)
            own, column = place[: len(items)], place[len(items) :].to(torch.int32)
            layers.append(_Layer(own, near._replace(column=column, value=value)))
            items = below
        return items, layers[::-1]

    def _features(self, items: Tensor) -> Tensor:
        bags = [bag.pooled(self.table) for bag in self.items.bags(items)]
        single = look_up(self.table, self.items.ids[items]).flatten(1)
        return torch.cat([single, *bags, self.items.dense[items]], dim=1)


class Follows:
    """Batches of pairs (q, i) that follow one another in a history, negatives for all of them, and hard ones for each.

    Args:
        data: whose histories, oldest first.
        hard: int64[items, any], items to draw hard negatives from; −1 where there are fewer.
        negatives: for a batch.
        most_hard: for a pair, at the end.
        batch_size: pairs in a batch.
        epoch: how many have begun; counted up here. There are no hard negatives in the first, one in the second, and so on.
    """

    def __init__(
        self,
        data: Dataset,
        hard: NDArray[np.int64],
        negatives: int,
        most_hard: int,
        batch_size: int,
        epoch: Tensor,
    ) -> None:
        device = epoch.device
        self._pairs = torch.from_numpy(pairs_of(data)).to(device)
        self._pool = torch.from_numpy(np.unique(data.item).astype(np.int64)).to(device)
        self._hard = torch.from_numpy(hard).to(device)
        self._negatives, self._most_hard, self._batch_size = negatives, most_hard, batch_size
        self._epoch, self._generator, self._shuffled = epoch, generator_for(0, 0, device), self._pairs

    def start_epoch(self, generator: torch.Generator) -> None:
        """Permute the pairs, and turn every other one around; negatives are drawn from the same generator as they come."""
        self._epoch += 1
        self._generator = generator
        order = torch.randperm(len(self._pairs), generator=generator, device=self._pairs.device)
        self._shuffled = self._pairs[order]
        self._shuffled[::2] = self._shuffled[::2].flip(1)

    def __len__(self) -> int:
        return -(-len(self._pairs) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        hard = min(int(self._epoch) - 1, self._most_hard)
        for pairs in torch.split(self._shuffled, self._batch_size):
            shared = self._any((self._negatives,))
            yield pairs[:, 0], pairs[:, 1], shared, self._draw_hard(pairs[:, 0], hard)

    def _any(self, shape: tuple[int, ...]) -> Tensor:
        """Items that somebody had, all alike."""
        device = self._pool.device
        return self._pool[torch.randint(len(self._pool), shape, generator=self._generator, device=device)]

    def _draw_hard(self, items: Tensor, count: int) -> Tensor:
        """int64[n, count]; of an item that has no hard negatives, any."""
        fallback = self._any((len(items), count))
        pool = self._hard[items]
        size = (pool >= 0).sum(dim=1, keepdim=True)
        point = torch.rand((len(items), count), generator=self._generator, device=items.device)
        place = (point * size).long().clamp_(max=max(0, pool.shape[1] - 1))
        return torch.where(size > 0, pool.gather(1, place), fallback) if pool.shape[1] else fallback


def pairs_of(data: Dataset) -> NDArray[np.int64]:
    """int64[n, 2]: items that follow one another in a history.

    >>> rows = {"user": [1, 1, 2, 1], "item": ["a", "b", "a", "c"]}
    >>> pairs_of(Dataset.from_interactions(rows)).tolist()
    [[0, 1], [1, 2]]
    """
    history = data.by_user
    row, item = history.rows(), history.indices.astype(np.int64)
    follows = row[1:] == row[:-1]
    return np.stack([item[:-1][follows], item[1:][follows]], axis=1)


def max_margin(query: Tensor, positive: Tensor, negative: Tensor, hard: Tensor, margin: float) -> Tensor:
    """The mean over negatives j of max(0, <q, j> − <q, i> + margin), and the same over hard ones.

    Args:
        query, positive: float[b, factors].
        negative: float[n, factors], of all pairs.
        hard: float[b, h, factors], of each pair; none if h is 0.
        margin: above 0.
    """
    own = (query * positive).sum(dim=1, keepdim=True)
    loss = functional.relu(query @ negative.T - own + margin).mean()
    if hard.shape[1]:
        loss = loss + functional.relu((hard @ query.unsqueeze(2)).squeeze(2) - own + margin).mean()
    return loss


def learn(model: "PinSage", data: Dataset, features: FittedFeatures, progress: Progress) -> PinSageState:
    """Walk, fit the network, and take the vectors of all items from it."""
    device = pick_device(model.device)
    items = features.item(data.item_features, np.arange(data.n_items, dtype=np.int32))
    found = _walks(model, data)
    near = neighborhoods(found, model.neighbors, device)
    sage = Sage(
        items, features.n_rows, near, model.factors, model.layers, model.hide, generator_for(model.seed, -1)
    ).to(device)

    def loss(module: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        nodes, place = torch.unique(torch.cat([part.flatten() for part in batch]), return_inverse=True)
        vectors = torch.split(look_up(module(nodes), place), [part.numel() for part in batch])
        q, i, j, hard = (v.view(*part.shape, model.factors) for v, part in zip(vectors, batch, strict=True))
        return max_margin(q, i, j, hard, model.margin)

    hard = hard_pool(found, model.neighbors)
    batches = Follows(data, hard, model.negatives, model.hard_negatives, model.batch_size, sage.epoch)
    if len(batches):
        optimizers = [dense_adam(sage, model.learning_rate, model.regularization)]
        train(sage, loss, batches, optimizers, _plan(model, data), progress, name=model.name)
    with torch.no_grad():
        vectors = sage.eval()(torch.arange(data.n_items, device=device)).cpu().numpy()
    content = any(name != "item.id" for name in (*features.ranges, *features.layout("item").dense))
    had = np.bincount(data.item, minlength=data.n_items) > 0
    return PinSageState(np.where((had | content)[:, None], vectors, np.float32(0)))


def _walks(model: "PinSage", data: Dataset) -> Visits:
    by_user, by_item = data.by_user, data.by_item
    return visits(
        by_item.indptr,
        by_item.indices,
        by_user.indptr,
        by_user.indices,
        key=int(np.random.SeedSequence(model.seed).generate_state(1, np.uint64)[0]),
        steps=model.steps,
        restart=model.restart,
        top=_HARD[1] * model.neighbors,
    )


def neighborhoods(found: Visits, count: int, device: torch.device) -> Rows:
    """The ``count`` most visited of each item, with their shares of the visits among these."""
    items, counts = found.items[:, :count], found.counts[:, :count]
    there = items >= 0
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    value = shares[there].astype(np.float32)
    return Rows(indptr, items[there], value, np.ones_like(value), device)


def hard_pool(found: Visits, count: int) -> NDArray[np.int64]:
    """int64[items, any]: the visited of a middle rank: too far to be neighbours, nearer than most; −1 where there are fewer."""
    first, last = (multiple * count for multiple in _HARD)
    return found.items[:, first:last].astype(np.int64)


def _plan(model: "PinSage", data: Dataset) -> Plan:
    if model.checkpoint is None:
        return Plan(epochs=model.epochs, seed=model.seed)
    ours = {"epochs", "learning_rate", "device", "checkpoint", "seed"}
    settings = {name: value for name, value in model.saved_parameters().items() if name not in ours}
    return Plan(
        epochs=model.epochs,
        seed=model.seed,
        checkpoint=Path(model.checkpoint),
        identity=f"{data.fingerprint} {settings}",
    )
