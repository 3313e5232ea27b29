"""How the click models learn: impressions with labels, or what was taken against what is drawn. Imported only by a fit."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import context_of
from tastemaker.models.neural.click_network import ClickNetwork
from tastemaker.models.neural.click_state import ClickState
from tastemaker.models.neural.encoded import Encoded, Ragged
from tastemaker.models.neural.features import FittedFeatures
from tastemaker.models.neural.losses import logistic
from tastemaker.models.neural.negatives import Negatives, Positives, draw_unseen
from tastemaker.models.neural.training import Plan, Resident, generator_for, pick_device, train
from tastemaker.progress import Progress

if TYPE_CHECKING:
    from tastemaker.models.neural.ctr import ClickModel
    from tastemaker.models.neural.two_tower import TwoTower

__all__ = [
    "Drawn",
    "Pairs",
    "Shown",
    "click_loss",
    "history_field",
    "impressions",
    "learn",
    "log_loss",
    "plan_of",
    "sides_of",
    "split_rows",
    "state_of",
]

Crossing = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]], Ragged]
"""The crosses of pairs, from their users, items and the rows of their contexts."""

_AT_ONCE = 1 << 14  # pairs that are scored together in validation
_HELD_OUT = 1 << 20  # the epoch from whose generator the negatives of validation are drawn


@dataclass(frozen=True, eq=False)
class Pairs:
    """Aligned tensors: users, items and rows of contexts (int64), labels and weights (float32), and the crosses if any."""

    user: Tensor
    item: Tensor
    row: Tensor
    label: Tensor
    weight: Tensor
    crosses: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, columns: Sequence[Tensor], crossing: Crossing | None) -> "Pairs":
        """With the crosses of these pairs."""
        user, item, row, label, weight = columns
        if crossing is None:
            return cls(user, item, row, label, weight, None)
        found = crossing(*(column.cpu().numpy() for column in (user, item, row)))
        ids = torch.from_numpy(found.ids).to(user.device)
        return cls(user, item, row, label, weight, (torch.from_numpy(found.indptr).to(user.device), ids))

    def __len__(self) -> int:
        return len(self.user)

    def batch(self, at: Tensor) -> tuple[Tensor, ...]:
        """The pairs at these places: five columns, then the crosses of all, and which pairs these are."""
        columns = (self.user, self.item, self.row, self.label, self.weight)
        found = tuple(column.index_select(0, at) for column in columns)
        return found if self.crosses is None else (*found, *self.crosses, at)


class Shown:
    """Batches of impressions, each with its own label, in a new order every epoch."""

    def __init__(self, pairs: Pairs, batch_size: int) -> None:
        self._pairs = pairs
        self._places = Resident([torch.arange(len(pairs), device=pairs.user.device)], batch_size)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Permute."""
        self._places.start_epoch(generator)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return (self._pairs.batch(at) for (at,) in self._places)


class Drawn:
    """Batches of what was taken, label 1, and for each some items that were not, label 0, drawn anew every epoch.

    A negative has the user and the context of its positive. The items that are drawn are those that somebody has taken, so
    that nothing is learned against an item that could not have been taken.
    """

    def __init__(
        self,
        data: Dataset,
        rows: NDArray[np.int64],
        negatives: int,
        batch_size: int,
        crossing: Crossing | None,
        device: torch.device,
    ) -> None:
        self._negatives, self._batch_size, self._crossing = negatives, batch_size, crossing
        self._user = torch.from_numpy(data.user[rows].astype(np.int64)).to(device)
        self._item = torch.from_numpy(data.item[rows].astype(np.int64)).to(device)
        self._row = torch.from_numpy(rows).to(device)
        weight = np.array(data.weight[rows], np.float32)
        self._weight = torch.from_numpy(weight / max(float(weight.mean(dtype=np.float64)), 1e-12)).to(device)
        taken = np.bincount(data.item, minlength=data.n_items) > 0
        self._pool = Negatives(data.n_items, device, taken.astype(np.float64))
        self._taken = Positives(data.by_user, data.n_items, device)
        self._shown: Shown | None = None

    def draw(self, generator: torch.Generator) -> Pairs:
        """The positives, then their negatives; one that the user has taken after all counts nothing."""
        drawn = draw_unseen(self._pool, self._taken, self._user, self._negatives, generator).view(-1)
        user = self._user.repeat_interleave(self._negatives)
        right = (~self._taken.contains(user, drawn)).float()
        columns = (
            torch.cat([self._user, user]),
            torch.cat([self._item, drawn]),
            torch.cat([self._row, self._row.repeat_interleave(self._negatives)]),
            torch.cat([torch.ones_like(self._weight), torch.zeros_like(right)]),
            torch.cat([self._weight, right]),
        )
        return Pairs.of(columns, self._crossing)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Draw negatives and permute."""
        self._shown = Shown(self.draw(generator), self._batch_size)
        self._shown.start_epoch(generator)

    def __len__(self) -> int:
        return -(-len(self._user) * (1 + self._negatives) // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(self._shown or ())


def impressions(
    data: Dataset, rows: NDArray[np.int64], crossing: Crossing | None, device: torch.device
) -> Pairs:
    """The impressions ``rows`` as they are."""
    weight = np.array(data.weight[rows], np.float32)
    columns = (
        data.user[rows].astype(np.int64),
        data.item[rows].astype(np.int64),
        rows,
        np.array(data.value[rows], np.float32),
        weight / max(float(weight.mean(dtype=np.float64)), 1e-12),
    )
    return Pairs.of([torch.from_numpy(c).to(device) for c in columns], crossing)


def click_loss(network: torch.nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Cross-entropy of the labels of a batch."""
    user, item, row, label, weight, *crosses = batch
    return logistic(network(user, item, row, *crosses), label, weight)


def log_loss(network: ClickNetwork, pairs: Pairs) -> float:
    """The mean cross-entropy of all pairs."""
    total = torch.zeros((), device=pairs.user.device)
    with torch.no_grad():
        for at in torch.split(torch.arange(len(pairs), device=pairs.user.device), _AT_ONCE):
            total += click_loss(network, pairs.batch(at)) * len(at)
    return float(total) / max(1, len(pairs))


def split_rows(rows: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers to learn from, and a share of them held out."""
    held = np.zeros(rows, np.bool_)
    order = np.random.default_rng(seed).permutation(rows)
    held[order[: min(rows - 1, max(1, round(rows * fraction))) if fraction else 0]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def learn(model: "ClickModel", data: Dataset, features: FittedFeatures, progress: Progress) -> ClickState:
    """Fit the network of ``model`` and take from it what answering needs."""
    device = pick_device(model.device)
    sides = sides_of(data, features)
    parts = model._parts(features.n_cross_rows)
    examples = _Examples(model, data, _crossing(features, sides) if parts.crosses else None, device)
    network = ClickNetwork(
        sides,
        features.n_rows,
        parts,
        examples.base_rate,
        generator_for(model.seed, -1),
        history_field(features, data),
    ).to(device)
    optimizers = model._optimizers(network)
    validate = examples.judge(network)
    plan = plan_of(model, data, sides)
    train(
        network, click_loss, examples.batches, optimizers, plan, progress, name=model.name, validate=validate
    )
    return state_of(network, features)


def state_of(network: ClickNetwork, features: FittedFeatures) -> ClickState:
    """What answering needs of a network."""
    weights, biases = network.layers()
    return ClickState(
        **features.to_state(),
        bias=float(network.bias.item()),
        **network.arrays(),
        weights=weights,
        biases=biases,
    )


class _Examples:
    """What is learned from, and what is held out."""

    def __init__(
        self, model: "ClickModel", data: Dataset, crossing: Crossing | None, device: torch.device
    ) -> None:
        rows, held = split_rows(len(data), model.validation_fraction, model.seed)
        self.batches: Shown | Drawn
        self._held: Pairs | None = None
        if data.schema.clicks:
            pairs = impressions(data, rows, crossing, device)
            self.batches = Shown(pairs, model.batch_size)
            mean = float((pairs.label * pairs.weight).mean())
            self.base_rate = min(max(mean, 1e-4), 1 - 1e-4)
            self._held = impressions(data, held, crossing, device) if len(held) else None
        else:
            self.batches = Drawn(data, rows, model.negatives, model.batch_size, crossing, device)
            self.base_rate = 1 / (1 + model.negatives)
            if len(held):
                drawn = Drawn(data, held, model.negatives, model.batch_size, crossing, device)
                self._held = drawn.draw(generator_for(model.seed, _HELD_OUT, device))

    def judge(self, network: ClickNetwork) -> Callable[[], float] | None:
        """What tells the best epoch: less log loss on what is held out."""
        held = self._held
        return None if held is None else lambda: -log_loss(network, held)


def _crossing(features: FittedFeatures, sides: tuple[Encoded, Encoded, Encoded]) -> Crossing:
    users, context, items = sides
    return lambda user, item, row: features.cross_ids(users.take(user), items.take(item), context.take(row))


def history_field(features: FittedFeatures, data: Dataset) -> tuple[int, Tensor] | None:
    """Which bag of the users holds the items they had, and the row of every item in it."""
    bags = features.layout("user").bags
    if "user.history" not in bags:
        return None
    rows = features.history_rows(np.arange(data.n_items, dtype=np.int32))
    return bags.index("user.history"), torch.from_numpy(rows.astype(np.int64))


def sides_of(data: Dataset, features: FittedFeatures) -> tuple[Encoded, Encoded, Encoded]:
    """All users, the context of every interaction, and all items."""
    return (
        features.user(data.user_features, np.arange(data.n_users, dtype=np.int32), data.by_user),
        features.context(context_of(data), len(data)),
        features.item(data.item_features, np.arange(data.n_items, dtype=np.int32)),
    )


def plan_of(model: "ClickModel | TwoTower", data: Dataset, sides: tuple[Encoded, ...]) -> Plan:
    """How ``model`` is trained on these data, of which ``sides`` are the features."""
    checkpoint = None if model.checkpoint is None else Path(model.checkpoint)
    return Plan(
        epochs=model.epochs,
        seed=model.seed,
        patience=getattr(model, "patience", None),
        checkpoint=checkpoint,
        identity="" if checkpoint is None else _identity(model, data, sides),
    )


def _identity(model: "ClickModel | TwoTower", data: Dataset, sides: tuple[Encoded, ...]) -> str:
    """What a checkpoint must agree with: interactions, features and hyper-parameters."""
    features = " ".join(side.fingerprint for side in sides)
    return f"{data.fingerprint} {features} {json.dumps(model.saved_parameters() | {'epochs': None})}"
