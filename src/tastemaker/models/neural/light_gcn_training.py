"""How LightGCN learns: the whole graph smoothed forth and back in every step. Imported only by a fit."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tastemaker._native import graph as native
from tastemaker._native.graph import Graph, Taken, draw_comparisons
from tastemaker._native.grouping import group_order
from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.light_gcn import LightGCNState
from tastemaker.models.neural.losses import bpr
from tastemaker.models.neural.networks import normal_table
from tastemaker.models.neural.optimizers import dense_adam
from tastemaker.models.neural.training import Plan, generator_for, pick_device, train
from tastemaker.progress import Progress

if TYPE_CHECKING:
    from tastemaker.models.neural.light_gcn import LightGCN

__all__ = ["Comparisons", "Smoothed", "learn"]

_START = 0.1  # deviation of the first vectors
_STRETCH = 1 << 20  # comparisons that are drawn at once


class Comparisons:
    """Batches of (user, an item that the user has, one that not), as nodes of the graph; users come before items.

    Args:
        data: who has what; no pair twice.
        batch_size: comparisons in a batch, at most: an epoch is cut into equal ones.
        device: where they are wanted.
    """

    def __init__(self, data: Dataset, batch_size: int, device: torch.device) -> None:
        self._taken = Taken.of(data.user, data.item, data.n_users, data.n_items)
        self._n_users, self._device = data.n_users, device
        self._count = -(-len(data) // batch_size)
        self._rows = -(-len(data) // self._count)
        self._key = 0

    def start_epoch(self, generator: torch.Generator) -> None:
        """Draw the key that the epoch's comparisons depend on."""
        drawn = torch.randint(1 << 62, (), generator=generator, device=generator.device)
        self._key = int(drawn.item())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        at_once = max(1, _STRETCH // self._rows)
        for first in range(0, self._count, at_once):
            rows = (min(self._count, first + at_once) - first) * self._rows
            drawn = draw_comparisons(self._taken, self._key, first * self._rows, rows)
            drawn[:, 1:] += self._n_users
            for batch in np.split(drawn, range(self._rows, rows, self._rows)):
                users = np.ascontiguousarray(batch[:, 0])
                order, _ = group_order(users, self._n_users)  # so that a user's row is near until it is done
                yield (torch.from_numpy(batch[order]).to(self._device),)


class Smoothed(nn.Module):
    """The learned vectors of all nodes, and what the graph makes of them.

    Args:
        graph: of users and items.
        factors: length of the vectors.
        layers: how far it is smoothed.
        generator: of the first vectors.
    """

    adjacency: Tensor | None

    def __init__(self, graph: Graph, factors: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        self.graph, self.layers = graph, layers
        self.table = normal_table(len(graph.degrees), factors, _START, generator)
        self.adjacency = None

    def forward(self) -> Tensor:
        """float32[nodes, factors]: the mean of all layers."""
        if self.table.device.type == "cpu":
            found: Tensor = _Smooth.apply(self.table, self.graph, self.layers)  # type: ignore[no-untyped-call]
            return found
        if self.adjacency is None:
            self.adjacency = normalized(self.graph, self.table.device)
        total = layer = self.table
        for _ in range(self.layers):
            layer = torch.sparse.mm(self.adjacency, layer)
            total = total + layer
        return total / (self.layers + 1)

    def loss(self, triples: Tensor, regularization: float) -> Tensor:
        """The mean over the comparisons of log(1 + exp(<u, j − i>)) and of L2 on their vectors before smoothing.

        Args:
            triples: int32[b, 3], nodes.
            regularization: λ.
        """
        nodes = torch.bincount(triples.flatten(), minlength=len(self.table)).to(torch.float32)
        penalty = nodes @ self.table.square().sum(dim=1) * (regularization / 2 / len(triples))
        vectors = self()
        if vectors.device.type == "cpu":
            compared: Tensor = _Compare.apply(vectors, triples)  # type: ignore[no-untyped-call]
            return penalty + compared
        u, i, j = (vectors[column] for column in triples.long().unbind(dim=1))
        return penalty + bpr((u * i).sum(dim=1), (u * j).sum(dim=1))


def normalized(graph: Graph, device: torch.device) -> Tensor:
    """D^−½ A D^−½, sparse."""
    degrees = graph.degrees
    root, size = 1 / np.sqrt(np.maximum(degrees, 1)), (len(degrees), len(degrees))
    places = np.stack([np.repeat(np.arange(len(degrees)), degrees), graph.indices])
    values = (root[places[0]] * root[places[1]]).astype(np.float32)
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(places), torch.from_numpy(values), size, check_invariants=False
    )
    return matrix.to(device).coalesce()


class _Smooth(torch.autograd.Function):
    """:func:`tastemaker._native.graph.smooth`; the matrix is symmetric, so backward is the same as forward."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, graph: Graph, layers: int) -> Tensor:
        ctx.how = graph, layers
        return _smooth(table.detach(), graph, layers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _smooth(gradient.contiguous(), *ctx.how), None, None


def _smooth(table: Tensor, graph: Graph, layers: int) -> Tensor:
    return torch.from_numpy(native.smooth(graph, table.numpy(), layers))


class _Compare(torch.autograd.Function):
    """:func:`tastemaker._native.graph.compare`, whose gradient comes along with the loss."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, triples: Tensor) -> Tensor:
        loss, gradient = native.compare(vectors.detach().numpy(), triples.numpy())
        ctx.gradient = torch.from_numpy(gradient)
        return vectors.new_tensor(loss)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        found = ctx.gradient
        del ctx.gradient
        return found if (scale := float(gradient)) == 1 else found * scale, None


def learn(model: "LightGCN", data: Dataset, progress: Progress) -> LightGCNState:
    """Fit the vectors, and take from them what answering needs."""
    device, generator = pick_device(model.device), generator_for(model.seed, -1)
    graph = Graph.bipartite(data.user, data.item, data.n_users, data.n_items)
    network = Smoothed(graph, model.factors, model.layers, generator).to(device)

    def loss(module: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        assert isinstance(module, Smoothed)
        return module.loss(batch[0], model.regularization)

    checkpoint = None if model.checkpoint is None else Path(model.checkpoint)
    settings = {name: getattr(model, name) for name in ("layers", "batch_size", "regularization")}
    plan = Plan(
        epochs=model.epochs,
        seed=model.seed,
        decay=model.decay,
        checkpoint=checkpoint,
        identity="" if checkpoint is None else f"{data.fingerprint} {settings}",
    )
    batches = Comparisons(data, model.batch_size, device)
    optimizers = [dense_adam(network, model.learning_rate)]
    train(network, loss, batches, optimizers, plan, progress, name=model.name)
    return state_of(network, data.n_users)


def state_of(network: Smoothed, n_users: int) -> LightGCNState:
    """The smoothed vectors, and what the items tell a new user."""
    graph, layers = network.graph, network.layers
    table = network.table.detach().cpu().numpy()
    users, items = np.split(native.smooth(graph, table, layers), [n_users])
    degrees = graph.degrees[n_users:]
    share = layers / (layers + 1) / np.sqrt(np.maximum(degrees, 1)) * (degrees > 0)
    messages = native.smooth(graph, table, layers - 1)[n_users:] * share[:, None].astype(np.float32)
    return LightGCNState(users.copy(), items.copy(), messages, degrees > 0)
