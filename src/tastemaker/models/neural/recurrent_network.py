"""The recurrent network of GRU4Rec in torch. Imported only by a fit."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.gru4rec import GRU4Rec, RecurrentState
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.networks import Dropout, linear
from tastemaker.models.neural.sequence_batches import NextItems
from tastemaker.models.neural.sequence_training import SequenceNetwork, fit_network
from tastemaker.models.neural.sequences import Sequences
from tastemaker.models.neural.training import Batches
from tastemaker.progress import Progress

__all__ = ["RecurrentNetwork", "learn"]


class RecurrentNetwork(SequenceNetwork):
    """Reads windows of items step by step, all windows of a batch at once and none longer than it is.

    Args:
        items: the vectors of the items.
        model: how wide and how deep, and the share of numbers left out.
        generator: of the first weights.
    """

    def __init__(self, items: ItemVectors, model: GRU4Rec, generator: torch.Generator) -> None:
        super().__init__()
        self.items, self.scale = items, model.scale
        widths = [model.factors] + [model.hidden] * (model.layers - 1)
        self.units = nn.ModuleList(_units(width, model.hidden, generator) for width in widths)
        self.out = linear(model.hidden, model.factors, generator)
        self.drop = Dropout(model.dropout)

    def forward(self, vectors: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """float32[tokens, factors]: what is told at each token."""
        place, going = by_step(lengths)
        place, back = place.to(items.device), torch.argsort(place).to(items.device)
        x = self.drop(look_up(vectors, items.index_select(0, place)) * self.scale)
        for units in self.units:
            x = self.drop(units(PackedSequence(x, going))[0].data)
        told: Tensor = self.out(look_up(x, back))
        return told

    def state(self) -> RecurrentState:
        """All that answering needs."""
        vectors, known = self.items.arrays()
        named = [dict(units.named_parameters()) for units in self.units]
        parts = [
            *((of[f"weight_{side}_l0"], of[f"bias_{side}_l0"]) for of in named for side in ("ih", "hh")),
            (self.out.weight, self.out.bias),
        ]
        weights, biases = zip(*([part.detach().cpu().numpy().copy() for part in pair] for pair in parts), strict=True)
        return RecurrentState(items=vectors, known=known, weights=weights, biases=biases)


def _units(width: int, hidden: int, generator: torch.Generator) -> nn.GRU:
    """A layer with all weights from U(±1 / √hidden), as torch has it, and drawn from the generator."""
    units = nn.GRU(width, hidden, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for parameter in units.parameters():
            parameter.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
    return units


def by_step(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """How tokens that stand sequence after sequence stand step after step, the longest sequence first in each.

    Returns:
        int64[tokens], the place of each in the first order; int64[steps], how many sequences have so many tokens.

    >>> [part.tolist() for part in by_step(torch.tensor([1, 3]))]
    [[1, 0, 2, 3], [2, 1, 1]]
    """
    order = torch.argsort(lengths, descending=True, stable=True)
    start = (lengths.cumsum(0) - lengths)[order]
    going = torch.arange(int(lengths.max()))[:, None] < lengths[order]
    step, sequence = going.nonzero(as_tuple=True)
    return start[sequence] + step, going.sum(dim=1)


def learn(model: GRU4Rec, data: Dataset, progress: Progress) -> RecurrentState:
    """Fit the network of ``model``."""

    def network_of(items: ItemVectors, generator: torch.Generator) -> RecurrentNetwork:
        return RecurrentNetwork(items, model, generator)

    def batches_of(sequences: Sequences, n_items: int, device: torch.device) -> Batches:
        return NextItems(sequences, model.length, model.batch_size, device)

    network = fit_network(model, data, network_of, batches_of, progress)
    assert isinstance(network, RecurrentNetwork)
    return network.state()
