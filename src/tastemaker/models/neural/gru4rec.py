"""GRU4Rec: a recurrent network that reads what somebody had from left to right, and tells the next item."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tastemaker.data.dataset import Dataset
from tastemaker.models.base import Fitted, State
from tastemaker.models.checks import whole
from tastemaker.models.neural.layers import Dense
from tastemaker.models.neural.sequence_model import SequenceModel, SequenceState
from tastemaker.models.neural.sequences import Sequences
from tastemaker.progress import Progress

__all__ = ["GRU4Rec", "RecurrentState"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class RecurrentState(SequenceState):
    """The items and the network.

    Attributes:
        weights: of each layer: from below [3 · hidden, …] and from the step before [3 · hidden, hidden], for r, z and n one under
            the other; at the end to the vector that is told [factors, hidden].
        biases: of the same.
    """

    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]


@dataclass(eq=False, kw_only=True)
class GRU4Rec(SequenceModel[RecurrentState]):
    """Gated recurrent units over a session (Hidasi et al., ICLR 2016): score = <W·h, v>, h as it is after the last item.

        r = σ(A_r·x + B_r·h)    z = σ(A_z·x + B_z·h)    n = tanh(A_n·x + r·(B_n·h))
        h ← (1 − z)·n + z·h,    x the vector of the next item, times √factors

    The vector of an item is the same where it is read and where it is told, and every place of a history is learned from against
    all items (Hidasi and Karatzoglou, CIKM 2018, drew some of them by popularity; ``loss="sampled"`` does). So it is a good
    baseline; with a single negative, as it is often quoted, it is a poor one. See
    :class:`~tastemaker.models.neural.sequence_model.SequenceModel` for how it learns and whom it answers.

    Args:
        hidden: length of h.
        layers: of units, each reading the h of the one below.

    >>> from tastemaker import Dataset
    >>> days = {"user": [1, 1, 1, 2, 2, 3, 3], "item": ["egg", "pan", "plate", "pan", "plate", "egg", "pan"]}
    >>> settings = {"factors": 8, "hidden": 8, "length": 5, "epochs": 60, "learning_rate": 0.02, "dropout": 0.0}
    >>> model = GRU4Rec(**settings).fit(Dataset.from_interactions(days))
    >>> model.recommend(history=[["egg"], ["egg", "pan"]], k=1).lists()
    [['pan'], ['plate']]
    """

    name: ClassVar[str] = "gru4rec"
    state_type: ClassVar[type[State]] = RecurrentState

    hidden: int = 128
    layers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("hidden", self.hidden)
        whole("layers", self.layers)

    @property
    def scale(self) -> float:
        """What the items' vectors are multiplied by where they are read: √factors."""
        return float(self.factors**0.5)

    def _learn(self, data: Dataset, progress: Progress) -> RecurrentState:
        from tastemaker.models.neural.recurrent_network import learn

        return learn(self, data, progress)

    def _read(self, fitted: Fitted[RecurrentState], sequences: Sequences) -> Float32:
        reader: _Reader = fitted.memo.setdefault("reader", _Reader(fitted.state, self.scale))
        return reader(sequences)


@dataclass(frozen=True, eq=False)
class _Unit:
    """One layer of gated recurrent units."""

    below: Dense
    before: Dense

    @property
    def width(self) -> int:
        """The length of h."""
        return len(self.before.bias) // 3

    def __call__(self, x: Float32, h: Float32) -> Float32:
        """float32[n, width]: the next h of rows with input x."""
        given, kept, width = self.below(x), self.before(h), self.width
        gates = expit(given[:, : 2 * width] + kept[:, : 2 * width])
        reset, update = gates[:, :width], gates[:, width:]
        new = np.tanh(given[:, 2 * width :] + reset * kept[:, 2 * width :])
        out: Float32 = new + update * (h - new)
        return out


@dataclass(frozen=True, eq=False)
class _Reader:
    """The forward pass in NumPy and our own kernel: a sequence has the same bits alone and with any others."""

    state: RecurrentState
    scale: float

    @cached_property
    def _layers(self) -> tuple[list[_Unit], Dense]:
        pairs = zip(self.state.weights, self.state.biases, strict=True)
        *units, out = [Dense(weight, bias, relu=False) for weight, bias in pairs]
        return [_Unit(*pair) for pair in zip(units[::2], units[1::2], strict=True)], out

    def __call__(self, sequences: Sequences) -> Float32:
        """float32[sequences, factors]: what is told after the last item. All sequences take a step at a time."""
        units, out = self._layers
        order = np.argsort(-sequences.lengths, kind="stable")  # so that those which go on are the first
        start, lengths = sequences.indptr[:-1][order], sequences.lengths[order]
        states = [np.zeros((len(order), unit.width), np.float32) for unit in units]
        for step in range(int(lengths[0])):
            going = int(np.searchsorted(-lengths, -step))
            x = self.state.items[sequences.items[start[:going] + step]] * np.float32(self.scale)
            for unit, h in zip(units, states, strict=True):
                x = h[:going] = unit(x, h[:going])
        told = np.empty((len(order), self.state.items.shape[1]), np.float32)
        told[order] = out(states[-1])
        return told
