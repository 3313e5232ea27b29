"""The recurrent network of GRU4Rec in torch. Imported only by a fit."""

import torch
from torch import Tensor, nn

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.gru4rec import GRU4Rec, RecurrentState
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.networks import Dropout, arrays_of, linear
from tastemaker.models.neural.recurrence import Units, by_step, gated_units
from tastemaker.models.neural.sequence_batches import NextItems
from tastemaker.models.neural.sequence_training import SequenceNetwork, fit_network
from tastemaker.models.neural.sequences import Sequences
from tastemaker.models.neural.training import Batches
from tastemaker.progress import Progress

__all__ = ["RecurrentNetwork", "learn"]


class _Layer(nn.Module):
    """Gated recurrent units: h of every token, of what is read at each."""

    def __init__(self, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.below = linear(width, 3 * hidden, generator)
        self.before = linear(hidden, 3 * hidden, generator)

    def forward(self, x: Tensor, going: Tensor) -> Tensor:
        below, before = self.below, self.before
        return gated_units(x, going, Units(below.weight, before.weight, below.bias, before.bias))


class RecurrentNetwork(SequenceNetwork):
    """Reads windows of items step by step, all windows of a batch at once and none further than it goes.

    Args:
        items: the vectors of the items.
        model: how wide and how deep, and the share of numbers left out.
        generator: of the first weights.
    """

    def __init__(self, items: ItemVectors, model: GRU4Rec, generator: torch.Generator) -> None:
        super().__init__()
        self.items, self.scale = items, model.scale
        widths = [model.factors] + [model.hidden] * (model.layers - 1)
        self.layers = nn.ModuleList(_Layer(width, model.hidden, generator) for width in widths)
        self.out = linear(model.hidden, model.factors, generator)
        self.drop = Dropout(model.dropout)

    def forward(self, vectors: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """float32[tokens, factors]: what is told at each token."""
        place, going = by_step(lengths)
        place = place.to(items.device)
        x = self.drop(look_up(vectors, items.index_select(0, place)) * self.scale)
        for layer in self.layers:
            x = self.drop(layer(x, going))
        told: Tensor = self.out(look_up(x, torch.argsort(place)))
        return told

    def state(self) -> RecurrentState:
        """All that answering needs."""
        vectors, known = self.items.arrays()
        weights, biases = arrays_of(nn.ModuleList([self.layers, self.out]))
        return RecurrentState(items=vectors, known=known, weights=weights, biases=biases)


def learn(model: GRU4Rec, data: Dataset, progress: Progress) -> RecurrentState:
    """Fit the network of ``model``."""

    def network_of(items: ItemVectors, generator: torch.Generator) -> RecurrentNetwork:
        return RecurrentNetwork(items, model, generator)

    def batches_of(sequences: Sequences, n_items: int, device: torch.device) -> Batches:
        return NextItems(sequences, model.length, model.batch_size, device)

    network = fit_network(model, data, network_of, batches_of, progress)
    assert isinstance(network, RecurrentNetwork)
    return network.state()
