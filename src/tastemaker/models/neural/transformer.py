"""A transformer over somebody's items, with one of two masks: what SASRec and BERT4Rec share, and how it answers."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.attention import attend
from tastemaker._native.dot import dot_scores
from tastemaker.data.dataset import Dataset
from tastemaker.models.base import Fitted, State
from tastemaker.models.checks import whole
from tastemaker.models.neural.layers import Dense
from tastemaker.models.neural.sequence_model import SequenceModel, SequenceState
from tastemaker.models.neural.sequences import Sequences
from tastemaker.progress import Progress

__all__ = ["Shape", "Transformer", "TransformerState"]

Float32 = NDArray[np.float32]
_EPS = np.float32(1e-5)  # as in torch


@dataclass(frozen=True)
class Shape:
    """How wide and how deep the network is.

    Attributes:
        factors: length of all vectors.
        heads: parts of a vector that attend each for itself.
        blocks: how many there are.
        hidden: width of the hidden layer of a block.
        length: items that are read at once.
        causal: whether an item sees only those before it; else all.
    """

    factors: int
    heads: int
    blocks: int
    hidden: int
    length: int
    causal: bool

    @property
    def scale(self) -> float:
        """What the items' vectors are multiplied by where they are read: √factors."""
        return float(self.factors**0.5)


@dataclass(frozen=True, eq=False, kw_only=True)
class TransformerState(SequenceState):
    """The items and the network.

    Attributes:
        places: float32[length, factors], the vectors of the places, the last one first.
        mask: float32[factors], stands for a hidden item; empty where none is hidden.
        norms: float32[2 · blocks + 1, 2, factors]: scale and shift before the attention and before the layers of each block, and
            at the end.
        weights: of each block: to queries, keys and values [3 · factors, factors], out of the attention, up and down.
        biases: of the same.
    """

    places: Float32
    mask: Float32
    norms: Float32
    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]


@dataclass(eq=False, kw_only=True)
class Transformer(SequenceModel[TransformerState]):
    """What SASRec and BERT4Rec share, beside what every :class:`~tastemaker.models.neural.sequence_model.SequenceModel` has.

    Args:
        blocks: of attention and two dense layers each.
        heads: parts of the factors that attend each for itself; divides ``factors``.
    """

    state_type: ClassVar[type[State]] = TransformerState
    causal: ClassVar[bool]
    widening: ClassVar[int]  # the hidden layer is so many times as wide as the vectors

    blocks: int = 2
    heads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("blocks", self.blocks)
        whole("heads", self.heads)
        if self.factors % self.heads:
            raise ValueError(f"heads must divide factors, got {self.heads} heads for {self.factors} factors")

    @property
    def shape(self) -> Shape:
        """How wide and how deep the network is."""
        hidden = self.widening * self.factors
        return Shape(self.factors, self.heads, self.blocks, hidden, self.length, self.causal)

    @property
    def read_length(self) -> int:
        """How many items of a history are read; one place is for what is hidden."""
        return self.length if self.causal else self.length - 1

    def _learn(self, data: Dataset, progress: Progress) -> TransformerState:
        from tastemaker.models.neural.transformer_network import learn

        return learn(self, data, progress)

    def _read(self, fitted: Fitted[TransformerState], sequences: Sequences) -> Float32:
        reader: _Reader = fitted.memo.setdefault("reader", _Reader(fitted.state, self.shape))
        return reader(sequences)


@dataclass(frozen=True, eq=False)
class _Reader:
    """The forward pass in NumPy and our own kernels: a sequence has the same bits alone and with any others."""

    state: TransformerState
    shape: Shape

    @cached_property
    def _table(self) -> Float32:
        """The vectors of the items as they are read, and that of the mask."""
        mask = self.state.mask.reshape(-1, self.shape.factors)
        return np.vstack([self.state.items, mask]) * np.float32(self.shape.scale)

    @cached_property
    def _layers(self) -> list[tuple[Dense, Dense, Dense, Dense]]:
        """Of each block: to rows for the attention, out of it, up and down."""
        pairs = zip(self.state.weights, self.state.biases, strict=True)
        layers = [Dense(w, b, relu=n % 4 == 2) for n, (w, b) in enumerate(pairs)]
        return [(layers[n], layers[n + 1], layers[n + 2], layers[n + 3]) for n in range(0, len(layers), 4)]

    @cached_property
    def _last_rows(self) -> tuple[Dense, Dense]:
        """The first layer of the last block, parted: to queries, and to keys and values."""
        layer, factors = self._layers[-1][0], self.shape.factors
        parts = [(layer.weight[part], layer.bias[part]) for part in (slice(factors), slice(factors, None))]
        return (Dense(*parts[0], relu=False), Dense(*parts[1], relu=False))

    def __call__(self, sequences: Sequences) -> Float32:
        """float32[sequences, factors]: what is told after the last item, or at a hidden one put there."""
        shape, factors = self.shape, self.shape.factors
        if not shape.causal:
            sequences = sequences.with_last(len(self.state.items))
        ends = sequences.indptr
        before_end = np.repeat(ends[1:], sequences.lengths) - 1 - np.arange(len(sequences.items))
        x = self._table[sequences.items] + self.state.places[before_end]
        for block in range(shape.blocks - 1):
            rows = self._layers[block][0](self._norm(2 * block, x))
            x = self._rest(block, x, attend(rows, ends, rows, ends, shape.heads, factors, shape.causal))
        to_queries, to_keys = self._last_rows
        normed, own = self._norm(2 * shape.blocks - 2, x), np.arange(len(sequences) + 1)
        queries, keys = to_queries(normed[ends[1:] - 1]), to_keys(normed)
        taken = attend(queries, own, keys, ends, shape.heads, factors, causal=False)
        return self._norm(2 * shape.blocks, self._rest(shape.blocks - 1, x[ends[1:] - 1], taken))

    def _rest(self, block: int, x: Float32, taken: Float32) -> Float32:
        """What comes after the attention of a block."""
        _, out, up, down = self._layers[block]
        x = x + out(taken)
        return x + down(up(self._norm(2 * block + 1, x)))

    def _norm(self, number: int, x: Float32) -> Float32:
        """Each row with mean 0 and variance 1, scaled and shifted (Ba, Kiros and Hinton, 2016)."""
        scale, shift = self.state.norms[number]
        share = np.full((1, x.shape[1]), 1 / x.shape[1], np.float32)
        x = x - dot_scores(x, share)
        out: Float32 = x / np.sqrt(dot_scores(np.square(x), share) + _EPS) * scale + shift
        return out
