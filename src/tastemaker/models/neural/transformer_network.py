"""The transformer of SASRec and BERT4Rec in torch: one network, two masks. Imported only by a fit."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.attention import attention
from tastemaker.models.neural.bert4rec import BERT4Rec
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.networks import Dropout, Norm, Tower, arrays_of, linear, normal_table
from tastemaker.models.neural.sequence_batches import Cloze, NextItems
from tastemaker.models.neural.sequence_training import SequenceNetwork, fit_network
from tastemaker.models.neural.sequences import Sequences
from tastemaker.models.neural.training import Batches
from tastemaker.models.neural.transformer import Shape, Transformer, TransformerState
from tastemaker.progress import Progress

__all__ = ["TransformerNetwork", "learn"]

_START = 0.02  # deviation of the first vectors of positions


class _Block(nn.Module):
    """x ← x + W·attention(norm(x)), then x ← x + W₂·max(0, W₁·norm(x)): every token by itself but for the attention."""

    def __init__(self, shape: Shape, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        factors = shape.factors
        self.shape = shape
        self.before_attention, self.before_layers = Norm(factors), Norm(factors)
        self.rows = linear(factors, 3 * factors, generator)
        self.taken = linear(factors, factors, generator)
        self.up = Tower((factors, shape.hidden), generator, dropout)
        self.down = linear(shape.hidden, factors, generator)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        rows = self.rows(self.before_attention(x))
        x = x + self.drop(self.taken(attention(rows, lengths, self.shape.heads, self.shape.causal)))
        hidden: Tensor = x + self.drop(self.down(self.up(self.before_layers(x))))
        return hidden


class TransformerNetwork(SequenceNetwork):
    """Reads windows of items, each with the vector of its place counted from the end.

    Args:
        items: the vectors of the items.
        shape: how wide and how deep.
        dropout: the share of numbers left out.
        generator: of the first weights.
    """

    def __init__(self, items: ItemVectors, shape: Shape, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.items, self.shape = items, shape
        self.places = normal_table(shape.length, shape.factors, _START, generator)
        self.mask = None if shape.causal else normal_table(1, shape.factors, _START, generator)
        self.drop = Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(shape, dropout, generator) for _ in range(shape.blocks))
        self.norm = Norm(shape.factors)

    def forward(self, vectors: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """float32[tokens, factors]: what is told at each token; the number of items stands for one that is hidden."""
        table = vectors if self.mask is None else torch.cat([vectors, self.mask])
        ends = lengths.cumsum(0).repeat_interleave(lengths)
        places = look_up(self.places, (ends - torch.arange(1, len(ends) + 1)).to(items.device))
        x = self.drop(look_up(table, items) * self.shape.scale + places)
        for block in self.blocks:
            x = block(x, lengths)
        told: Tensor = self.norm(x)
        return told

    def next_after(self, vectors: Tensor, sequences: Sequences) -> Tensor:
        """What is told at the last item; reading both ways, at one more that is hidden."""
        return super().next_after(
            vectors, sequences if self.shape.causal else sequences.with_last(len(vectors))
        )

    def state(self) -> TransformerState:
        """All that answering needs."""
        vectors, known = self.items.arrays()
        norms = [part for part in self.modules() if isinstance(part, Norm)]
        weights, biases = arrays_of(self.blocks)
        return TransformerState(
            items=vectors,
            known=known,
            places=_array(self.places),
            mask=np.empty(0, np.float32) if self.mask is None else _array(self.mask[0]),
            norms=np.stack([[_array(norm.scale), _array(norm.shift)] for norm in norms]),
            weights=weights,
            biases=biases,
        )


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().cpu().numpy().copy()


def learn(model: Transformer, data: Dataset, progress: Progress) -> TransformerState:
    """Fit the network of ``model``."""
    shape = model.shape

    def network_of(items: ItemVectors, generator: torch.Generator) -> TransformerNetwork:
        return TransformerNetwork(items, shape, model.dropout, generator)

    def batches_of(sequences: Sequences, n_items: int, device: torch.device) -> Batches:
        if isinstance(model, BERT4Rec):
            return Cloze(sequences, shape.length, model.batch_size, model.hide, n_items, device)
        return NextItems(sequences, shape.length, model.batch_size, device)

    network = fit_network(model, data, network_of, batches_of, progress)
    assert isinstance(network, TransformerNetwork)
    return network.state()
