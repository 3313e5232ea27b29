"""How the two towers learn: a softmax over the items of a batch. Imported only by a fit."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.click_network import Fields
from tastemaker.models.neural.click_training import history_field, plan_of, sides_of
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FittedFeatures
from tastemaker.models.neural.functions import Bag, vectors_of
from tastemaker.models.neural.negatives import in_batch_log_probability
from tastemaker.models.neural.networks import Dropout, Tower, arrays_of, linear, normal_table
from tastemaker.models.neural.optimizers import dense_adam
from tastemaker.models.neural.specs import Side
from tastemaker.models.neural.training import Resident, generator_for, pick_device, train
from tastemaker.models.neural.two_tower import TwoTowerState
from tastemaker.progress import Progress

if TYPE_CHECKING:
    from tastemaker.models.neural.two_tower import TwoTower

__all__ = ["HiddenIds", "Towers", "in_batch_softmax", "learn", "silence"]

_START = 0.1  # deviation of the first embeddings


class HiddenIds(Dropout):
    """Ids of users or items that stand as unknown in some rows of a step, so that features learn to speak for them.

    Args:
        rate: the share of rows.
        column: where the id stands among the single-valued fields.
        unknown: the row of the table for what is not known.
    """

    def __init__(self, rate: float, column: int, unknown: int) -> None:
        super().__init__(rate)
        self.column, self.unknown = column, unknown

    def forward(self, ids: Tensor) -> Tensor:
        """int64[n, fields]."""
        if not self.training or self.rate == 0:
            return ids
        hide = torch.rand(len(ids), generator=self.generator, device=ids.device) < self.rate
        ids = ids.clone()
        ids[:, self.column].masked_fill_(hide, self.unknown)
        return ids


class Towers(nn.Module):
    """Both towers over one table of embeddings.

    Args:
        sides: the features of all users, of all contexts and of all items.
        rows: how many embeddings there are.
        factors: their length, and that of the vectors that come out.
        hidden: widths of the hidden layers.
        hide: what hides ids, of users and of items.
        generator: of the first weights.
        history: the field of the users that holds the items they had, and int64[items], the row of each in it; the item in
            question is left out of it.
    """

    _own_row: Tensor | None

    def __init__(
        self,
        sides: tuple[Encoded, Encoded, Encoded],
        rows: int,
        factors: int,
        hidden: tuple[int, ...],
        hide: tuple[nn.Module, nn.Module],
        generator: torch.Generator,
        history: tuple[int, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.users, self.context, self.items = (Fields(side) for side in sides)
        self.hide_users, self.hide_items = hide
        self.factors = normal_table(rows, factors, _START, generator)
        widths = [factors * (side.ids.shape[1] + len(side.bags)) + side.dense.shape[1] for side in sides]
        self.query_tower = _layers((widths[0] + widths[1], *hidden), factors, generator)
        self.item_tower = _layers((widths[2], *hidden), factors, generator)
        self._history_field = None if history is None else history[0]
        self.register_buffer("_own_row", None if history is None else history[1], persistent=False)

    def query_vectors(self, user: Tensor, row: Tensor, item: Tensor) -> Tensor:
        """float32[batch, factors], of length 1; ``item`` is left out of what the user had."""
        without = {}
        if self._history_field is not None and self._own_row is not None:
            without = {self._history_field: self._own_row[item]}
        ids = torch.cat([self.hide_users(self.users.ids[user]), self.context.ids[row]], 1)
        bags = [*self.users.bags(user, without), *self.context.bags(row)]
        numbers = torch.cat([self.users.dense[user], self.context.dense[row]], 1)
        return functional.normalize(self.query_tower(self._inputs(ids, bags, numbers)), dim=1)

    def item_vectors(self, item: Tensor) -> Tensor:
        """float32[batch, factors], of length 1."""
        ids, bags = self.hide_items(self.items.ids[item]), self.items.bags(item)
        return functional.normalize(self.item_tower(self._inputs(ids, bags, self.items.dense[item])), dim=1)

    def _inputs(self, ids: Tensor, bags: list[Bag], numbers: Tensor) -> Tensor:
        return torch.cat([vectors_of(self.factors, ids, bags).flatten(1), numbers], 1)


def in_batch_softmax(logits: Tensor, item: Tensor, log_q: Tensor, weight: Tensor) -> Tensor:
    """The mean cross-entropy of each row's own item among the items of the batch, every logit less log q of its item.

    Args:
        logits: float32[b, b], of each query with each item; own pairs on the diagonal.
        item: int64[b]; a row's own item is left out where it came with another row.
        log_q: float32[b], the logarithm of each item's share of the interactions.
        weight: float32[b], how much each row counts.
    """
    same = item[:, None] == item[None, :]
    same.fill_diagonal_(False)
    corrected = (logits - log_q[None, :]).masked_fill(same, -torch.inf)
    own = torch.arange(len(item), device=item.device)
    return (weight * functional.cross_entropy(corrected, own, reduction="none")).mean()


def learn(model: "TwoTower", data: Dataset, features: FittedFeatures, progress: Progress) -> TwoTowerState:
    """Fit both towers and take from them what answering needs."""
    device = pick_device(model.device)
    sides = sides_of(data, features)
    hide = (_hidden_ids(features, "user", model.id_dropout), _hidden_ids(features, "item", model.id_dropout))
    history, generator = history_field(features, data), generator_for(model.seed, -1)
    towers = Towers(sides, features.n_rows, model.factors, model.hidden, hide, generator, history).to(device)
    silence(towers.factors, sides, data)
    log_q = in_batch_log_probability(np.bincount(data.item, minlength=data.n_items), device)

    def loss(module: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        assert isinstance(module, Towers)
        user, item, row, weight = batch
        logits = module.query_vectors(user, row, item) @ module.item_vectors(item).T / model.temperature
        return in_batch_softmax(logits, item, log_q[item], weight)

    layers = [*towers.query_tower.parameters(), *towers.item_tower.parameters()]
    optimizer = dense_adam([towers.factors], model.learning_rate, model.regularization, undecayed=layers)
    batches = Resident(_columns(data, device), model.batch_size)
    train(towers, loss, batches, [optimizer], plan_of(model, data, sides), progress, name=model.name)
    query, item = arrays_of(towers.query_tower), arrays_of(towers.item_tower)
    return TwoTowerState(
        **features.to_state(),
        factors=towers.factors.detach().cpu().numpy().copy(),
        query_weights=query[0],
        query_biases=query[1],
        item_weights=item[0],
        item_biases=item[1],
    )


def silence(factors: nn.Parameter, sides: tuple[Encoded, Encoded, Encoded], data: Dataset) -> None:
    """Begin with 0 where no interaction teaches anything else: what is missing or unseen must not be noise."""
    users, context, items = sides
    heard = np.zeros(len(factors), np.bool_)
    for side in (users.take(np.unique(data.user)), context, items.take(np.unique(data.item))):
        for ids in (side.ids, *(bag.ids for bag in side.bags)):
            heard[ids] = True
    with torch.no_grad():
        factors[torch.from_numpy(~heard)] = 0


def _columns(data: Dataset, device: torch.device) -> list[Tensor]:
    weight = np.array(data.weight, np.float32)
    columns = (
        data.user.astype(np.int64),
        data.item.astype(np.int64),
        np.arange(len(data)),
        weight / weight.mean(dtype=np.float64).astype(np.float32),
    )
    return [torch.from_numpy(column).to(device) for column in columns]


def _layers(sizes: tuple[int, ...], outputs: int, generator: torch.Generator) -> nn.Sequential:
    return nn.Sequential(Tower(sizes, generator), linear(sizes[-1], outputs, generator))


def _hidden_ids(features: FittedFeatures, side: Side, rate: float) -> nn.Module:
    """What hides the id of this side, if it is among the features."""
    names = features.layout(side).ids
    if f"{side}.id" not in names:
        return nn.Identity()
    return HiddenIds(rate, names.index(f"{side}.id"), features.ranges[f"{side}.id"].start)
