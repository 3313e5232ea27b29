"""How GMF, MLP and NeuMF are learned: one network with parts that may be missing, fresh negatives, a held-out share."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.losses import logistic
from tastemaker.models.neural.ncf import NCF, NCFState, Shape, scores_of
from tastemaker.models.neural.ncf_gradients import logistic_of_rows
from tastemaker.models.neural.negatives import Negatives, Positives, draw_unseen
from tastemaker.models.neural.networks import Tower, normal_table
from tastemaker.models.neural.optimizers import TouchedAdam, dense_adam
from tastemaker.models.neural.training import Plan, generator_for, pick_device, train
from tastemaker.progress import Progress
from tastemaker.ranking.blocks import query_blocks

__all__ = ["NCFNetwork", "TakenAndNot", "discounted_rank", "learn"]

_STRETCH = 1 << 16  # interactions whose negatives are drawn at once
_LARGE = (
    1 << 21
)  # numbers in a table on a GPU from which on only the rows looked up are moved; below, all at once is as quick
_SPARSE = 8  # rows of a large table for each example of a batch, for the same
_JUDGES = 10_000  # held-out interactions that tell the best epoch, at most
_PRETRAINED = 0.5  # what each of two pre-trained last layers counts
_WHOLE, _PRODUCT, _TOWER = range(3)  # what is learned, each with draws of its own


class NCFNetwork(nn.Module):
    """The network for one user with several items a row.

    Its weights are two parameters, so that a step looks up, adds to and moves them by a few operations. All four tables are
    blocks of one: a row for each user, then a row for each item; columns for the product, then columns for the tower. All other
    weights are one vector: of the product, the bias, of the tower's output, and weight and bias of each layer.
    """

    def __init__(self, shape: Shape, n_users: int, n_items: int, generator: torch.Generator) -> None:
        super().__init__()
        self.shape, self.n_users = shape, n_users
        self.look_up: Callable[[Tensor], Tensor] = lambda ids: look_up(self.table, ids)
        self.table = normal_table(n_users + n_items, shape.factors + shape.half, 0.01, generator)
        last = shape.tower[-1] if shape.tower else 0
        reach = (3 / (shape.factors + last)) ** 0.5
        joined = torch.empty(shape.factors + last).uniform_(-reach, reach, generator=generator)
        head, output = torch.split(joined, [shape.factors, last])
        layers = [layer.detach().reshape(-1) for layer in Tower(shape.tower, generator).parameters()]
        self.dense = nn.Parameter(torch.cat([head, torch.zeros(1), output, *layers]))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """What :attr:`dense` holds: float[factors], [1], [the last layer's outputs], and each layer's weight and bias."""
        sizes = self.shape.tower
        layers = [size for inputs, outputs in pairwise(sizes) for size in ((outputs, inputs), (outputs,))]
        shapes = [(self.shape.factors,), (1,), sizes[-1:] or (0,), *layers]
        flat = torch.split(self.dense, [math.prod(shape) for shape in shapes])
        head, bias, output, *others = (part.view(shape) for part, shape in zip(flat, shapes, strict=True))
        return head, bias, output, others

    def forward(self, ids: Tensor) -> Tensor:
        """float[b, items] of int[b, 1 + items]: rows of the table, a user's and then the items'."""
        rows = self.look_up(ids)
        widths = [self.shape.factors, self.shape.half]
        user, items = rows[:, :1], rows[:, 1:]
        (p, p_tower), (q, q_tower) = torch.split(user, widths, dim=2), torch.split(items, widths, dim=2)
        head, logits, output, layers = self.parts()
        if self.shape.factors:
            logits = logits + (q * (p * head)).sum(dim=2)
        if self.shape.tower:
            of_user, of_item = torch.split(layers[0], self.shape.half, dim=1)
            hidden = functional.relu(functional.linear(p_tower, of_user, layers[1]) + q_tower @ of_item.T)
            for weight, bias in zip(layers[2::2], layers[3::2], strict=True):
                hidden = functional.relu(functional.linear(hidden, weight, bias))
            logits = logits + hidden @ output
        return logits

    def loss(self, ids: Tensor, weights: Tensor | None) -> Tensor:
        """The mean logistic loss where of each row's items the first was taken, with its weight: one pass of our own kernel."""
        return logistic_of_rows(self.look_up(ids), weights, self.shape.factors, self.shape.tower, self.dense)

    def start_from(self, product: "NCFNetwork", layers: "NCFNetwork") -> None:
        """Take over GMF and MLP that were learned alone; each last layer counts half."""
        factors = self.shape.factors
        with torch.no_grad():
            self.table[:, :factors] = product.table
            self.table[:, factors:] = layers.table
            head, of_product, *_ = product.parts()
            _, of_tower, output, others = layers.parts()
            joined = [_PRETRAINED * part for part in (head, of_product + of_tower, output)]
            self.dense.copy_(torch.cat([*joined, *(layer.reshape(-1) for layer in others)]))

    def state(self, known: NDArray[np.bool_]) -> NCFState:
        """The weights as arrays."""
        users, items = np.split(_array(self.table), [self.n_users])
        factors = self.shape.factors
        head, bias, output, layers = self.parts()
        arrays = [_array(layer) for layer in layers]
        if self.shape.tower:
            arrays += [_array(output)[None, :], np.zeros(1, np.float32)]
        return NCFState(
            user_factors=users[:, :factors].copy(),
            item_factors=items[:, :factors].copy(),
            head=_array(head),
            user_inputs=users[:, factors:].copy(),
            item_inputs=items[:, factors:].copy(),
            weights=tuple(arrays[::2]),
            biases=tuple(arrays[1::2]),
            bias=float(bias.item()),
            known=known,
        )


def _array(weights: Tensor) -> NDArray[np.float32]:
    return weights.detach().cpu().numpy().copy()


class TakenAndNot:
    """Batches of rows (user, the item taken, items not taken) of the network's table; and the weights, unless all are alike.

    Args:
        data: what was taken.
        negatives: items that were not, for each that was; drawn from those that anybody took.
        batch_size: examples in a batch, positives and negatives together.
        device: where the columns stay.
    """

    def __init__(self, data: Dataset, negatives: int, batch_size: int, device: torch.device) -> None:
        self._count, self._n_users = negatives, data.n_users
        self._users = torch.from_numpy(data.user.astype(np.int64)).to(device)
        self._items = torch.from_numpy(data.item.astype(np.int64)).to(device)
        self._taken = Positives(data.by_user, data.n_items, device)
        counts = np.bincount(data.item, minlength=data.n_items)
        self._pool = Negatives(data.n_items, device, (counts > 0).astype(np.float64))
        self._rows = max(1, batch_size // (1 + negatives))
        relative = data.weight / data.weight.mean(dtype=np.float64)
        alike = bool((relative == relative[0]).all())
        self._weights = None if alike else torch.from_numpy(relative.astype(np.float32)).to(device)
        self._order = torch.arange(len(data), device=device)
        self._generator = generator_for(0, 0, device)

    def start_epoch(self, generator: torch.Generator) -> None:
        """A new order; negatives are drawn from the same generator, a stretch of the order at a time."""
        self._order = torch.randperm(len(self._order), generator=generator, device=self._order.device)
        self._generator = generator

    def __len__(self) -> int:
        return -(-len(self._order) // self._rows)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for rows in torch.split(self._order, max(1, _STRETCH // self._rows) * self._rows):
            users, items = self._users[rows], self._items[rows]
            others = draw_unseen(self._pool, self._taken, users, self._count, self._generator)
            items = torch.cat([items.unsqueeze(1), others], dim=1) + self._n_users
            columns = [torch.cat([users.unsqueeze(1), items], dim=1)]
            if self._weights is not None:
                columns.append(self._weights[rows])
            yield from zip(*(torch.split(column, self._rows) for column in columns), strict=True)


def learn(model: NCF, data: Dataset, progress: Progress) -> NCFState:
    """Fit the network of ``model``."""
    held, kept = _hold_out(len(data), model.validation_fraction, model.seed)
    fit = _Fit(model, data.select(kept), data.select(held), progress)
    network = fit.network(model.shape, _WHOLE)
    if model.epochs_alone:
        product = fit.network(Shape(model.shape.factors, ()), _PRODUCT)
        layers = fit.network(Shape(0, model.shape.tower), _TOWER)
        fit.train(product, _PRODUCT, model.epochs_alone)
        fit.train(layers, _TOWER, model.epochs_alone)
        network.start_from(product, layers)
    fit.train(network, _WHOLE, model.epochs)
    return network.state(fit.known)


class _Fit:
    """What the trainings of one fit share."""

    def __init__(self, model: NCF, data: Dataset, held: Dataset, progress: Progress) -> None:
        self.model, self.data, self.held, self.progress = model, data, held, progress
        self.device = pick_device(model.device)
        self.known = np.bincount(data.item, minlength=data.n_items) > 0
        self.batches = TakenAndNot(data, model.negatives, model.batch_size, self.device)
        label = torch.zeros(1 + model.negatives, device=self.device)
        label[0] = 1
        self.label = label

    def network(self, shape: Shape, part: int) -> NCFNetwork:
        generator = generator_for(self._seed(part), -1)
        return NCFNetwork(shape, self.data.n_users, self.data.n_items, generator).to(self.device)

    def train(self, network: NCFNetwork, part: int, epochs: int) -> None:
        model = self.model
        suffix = ["", ".product", ".tower"][part]
        checkpoint = None if model.checkpoint is None else Path(f"{model.checkpoint}{suffix}")
        plan = Plan(
            epochs=epochs,
            seed=self._seed(part),
            patience=model.patience,
            decay=model.decay,
            checkpoint=checkpoint,
            identity="" if checkpoint is None else self._identity(),
        )
        optimizers = self._optimizers(network, part)
        train(
            network,
            self.loss,
            self.batches,
            optimizers,
            plan,
            self.progress,
            name=model.name + suffix.replace(".", " "),
            validate=self._metric(network),
        )

    def _optimizers(self, network: NCFNetwork, part: int) -> list[torch.optim.Optimizer]:
        """Adam; over a table much larger than a batch, at the cost of the rows looked up. SGD after a pre-training."""
        model, table = self.model, network.table
        if part == _WHOLE and model.epochs_alone:
            decayed = model.regularization
            return [torch.optim.SGD(network.parameters(), model.learning_rate, weight_decay=decayed)]
        native = self.device.type == "cpu"  # our own kernel, which pays off as soon as rows are left out
        few = len(table) < (1 if native else _SPARSE) * model.batch_size
        small = few or (not native and table.numel() < _LARGE)
        if model.regularization or small:
            return [dense_adam(network, model.learning_rate, model.regularization)]
        touched = TouchedAdam(table, model.learning_rate)
        network.look_up = touched.look_up
        return [touched, dense_adam([network.dense], model.learning_rate)]

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Logistic loss, each positive with its weight."""
        if self.device.type == "cpu":
            assert isinstance(network, NCFNetwork)
            return network.loss(batch[0], batch[1] if len(batch) > 1 else None)
        logits = network(batch[0])
        labels = self.label.expand_as(logits)
        if len(batch) == 1:
            return logistic(logits, labels)
        weights = torch.ones_like(logits)
        weights[:, 0] = batch[1]
        return logistic(logits, labels, weights)

    def _metric(self, network: NCFNetwork) -> Callable[[], float] | None:
        if not len(self.held):
            return None
        return lambda: discounted_rank(network.state(self.known), self.data, self.held)

    def _seed(self, part: int) -> int:
        return int(np.random.SeedSequence([self.model.seed, part]).generate_state(1)[0])

    def _identity(self) -> str:
        """What a checkpoint must agree with: the data, and the hyper-parameters that the loop does not know."""
        ours = {"negatives", "batch_size", "validation_fraction", "factors", "tower", "pretraining"}
        settings = {name: value for name, value in self.model.parameters().items() if name in ours}
        return f"{self.data.fingerprint} {settings}"


def _hold_out(count: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to judge by, and rows to learn from, in their order; at least one of the latter."""
    order = np.random.default_rng([seed, 1]).permutation(count)
    held = min(int(fraction * count), count - 1)
    return np.sort(order[:held]), np.sort(order[held:])


def discounted_rank(state: NCFState, data: Dataset, held: Dataset) -> float:
    """The mean of 1 / log2(1 + rank) over held-out interactions, ranked among all that the user has not taken in ``data``.

    An item that the model cannot score counts 0. Of more than 10,000 interactions an evenly spaced part is judged.
    """
    spaced = np.linspace(0, len(held) - 1, min(len(held), _JUDGES)).astype(np.int64)
    users, items = held.user[spaced], held.item[spaced]
    total = 0.0
    for block in query_blocks(len(users), data.n_items):
        user, item = users[block], items[block]
        scores = scores_of(state, user)
        own = scores[np.arange(len(user)), item]
        taken = data.by_user.take(user)
        scores[taken.rows(), taken.indices] = -np.inf
        ranks = 1 + (scores > own[:, None]).sum(axis=1)
        total += float(np.where(np.isnan(own), 0, 1 / np.log2(1 + ranks)).sum())
    return total / len(users)
