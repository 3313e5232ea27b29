"""How AutoRec learns: sparse rows into a dense layer, errors of the known ratings out. Needs torch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker.data.history import History
from tastemaker.models.neural.networks import Dropout
from tastemaker.models.neural.optimizers import dense_adam
from tastemaker.models.neural.sparse_rows import Entries, Rows, known_products, weighted_sums
from tastemaker.models.neural.training import Plan, generator_for, pick_device, train
from tastemaker.progress import Progress

if TYPE_CHECKING:
    from tastemaker.models.neural.auto_rec import AutoRec

__all__ = ["Judge", "Learned", "Network", "Ratings", "RowBatches", "SquaredError", "learn"]

_ROWS_AT_ONCE = 256


class Ratings(NamedTuple):
    """Ratings, one row a vector to rebuild.

    Attributes:
        shown: what the network is shown.
        known: what it must rebuild.
        held_out: what it is judged by; None where it is not.
        base: float32[rows], what it starts from in each row.
        spread: the standard deviation of the known ratings around it: the unit that is reckoned in.
        scale: the lowest and the highest rating; None where there are no limits.
    """

    shown: History
    known: History
    held_out: History | None
    base: NDArray[np.float32]
    spread: float
    scale: tuple[float, float] | None

    def inputs(self, device: torch.device) -> Rows:
        """What is shown."""
        return _rows(self.shown, self.shown.value / self.spread, device)

    def targets(self, history: History, device: torch.device) -> Rows:
        """What is to be rebuilt, less the base of its row."""
        return _rows(history, (history.value - self.base[history.rows()]) / self.spread, device)


@dataclass(eq=False)
class Learned:
    """The weights; see :class:`tastemaker.models.neural.auto_rec.AutoRecState`."""

    encoder: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    decoder: NDArray[np.float32]
    output_bias: NDArray[np.float32]
    epochs: int


class Network(nn.Module):
    """x → W·σ(V·x + μ) + b, for sparse x, with dropout in the hidden layer."""

    def __init__(self, columns: int, factors: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        bound = math.sqrt(6 / (columns + factors))  # Glorot and Bengio, 2010
        first = (torch.rand(columns, factors, generator=generator) for _ in range(2))
        self.encoder, self.decoder = (nn.Parameter((2 * u - 1) * bound) for u in first)
        self.hidden_bias = nn.Parameter(torch.zeros(factors))
        self.output_bias = nn.Parameter(torch.zeros(columns))
        self.dropout = Dropout(dropout)

    def hidden(self, shown: Entries) -> Tensor:
        """float32[rows, factors]: σ(V·x + μ)."""
        hidden: Tensor = self.dropout(torch.sigmoid(weighted_sums(shown, self.encoder) + self.hidden_bias))
        return hidden

    def forward(self, shown: Entries, known: Entries) -> Tensor:
        """float32[n]: what the rows ``shown`` are rebuilt to at the entries ``known`` of the same rows."""
        return known_products(known, self.hidden(shown), self.decoder) + self.output_bias.index_select(
            0, known.column
        )


class RowBatches:
    """Mini-batches of rows in random order: what is shown of them, and what is to be rebuilt."""

    def __init__(self, shown: Rows, known: Rows, batch_size: int, hide: float) -> None:
        self.shown, self.known, self.batch_size, self.hide = shown, known, batch_size, hide
        self.rows = _filled(known)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Put the rows into a new order."""
        self.generator = generator
        order = torch.randperm(len(self.rows), generator=generator, device=self.rows.device)
        self.order = self.rows[order]

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for rows in torch.split(self.order, self.batch_size):
            shown = self.shown.take(rows)
            yield *shown._replace(value=self._partly(shown.value)), *self.known.take(rows)

    def _partly(self, values: Tensor) -> Tensor:
        """The values with a share of them at 0, and the others larger by as much."""
        if not self.hide:
            return values
        drawn = torch.rand(len(values), generator=self.generator, device=values.device)
        return values * (drawn >= self.hide) / (1 - self.hide)


def learn(
    ratings: Ratings,
    n_columns: int,
    model: "AutoRec",
    *,
    identity: str,
    progress: Progress,
) -> Learned:
    """Train a network with the model's hyper-parameters."""
    device = pick_device(model.device)
    shown, known = ratings.inputs(device), ratings.targets(ratings.known, device)
    batches = RowBatches(shown, known, model.batch_size, model.hide)
    network = Network(n_columns, model.factors, model.dropout, generator_for(model.seed, -1)).to(device)
    weights, biases = [network.encoder, network.decoder], [network.hidden_bias, network.output_bias]
    judge = None if ratings.held_out is None else Judge(network, shown, ratings, ratings.held_out)
    learned = train(
        network,
        SquaredError(batches),
        batches,
        [dense_adam(weights, model.learning_rate, model.regularization, undecayed=biases)],
        Plan(
            epochs=model.epochs,
            seed=model.seed,
            patience=model.patience,
            identity=identity,
            checkpoint=None if model.checkpoint is None else Path(model.checkpoint),
        ),
        progress,
        name="auto_rec",
        validate=judge,
    )
    arrays = {name: value.detach().cpu().numpy() for name, value in network.named_parameters()}
    return Learned(**arrays, epochs=learned.best_epoch)


class SquaredError:
    """The squared errors of a batch's known ratings by the number of ratings that a batch has on average.

    Not by the number that this one has: each rating should weigh the same, in whichever batch it comes.
    """

    def __init__(self, batches: RowBatches) -> None:
        self.share = len(batches.rows) / batches.batch_size / max(1, len(batches.known.all.value))

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """The loss of one batch."""
        shown, known = Entries(*batch[:4]), Entries(*batch[4:])
        errors: Tensor = network(shown, known) - known.value
        return self.share * (known.weight * errors.square()).sum()


class Judge:
    """The RMSE of held-out ratings in the unit of the ratings, with its sign turned: higher is better."""

    def __init__(self, network: Network, shown: Rows, ratings: Ratings, held_out: History) -> None:
        self.network, self.spread = network, ratings.spread
        self.limits = ratings.scale or (-math.inf, math.inf)
        device = shown.all.value.device
        known, base = ratings.targets(held_out, device), torch.from_numpy(ratings.base).to(device)
        self.blocks = [
            (shown.take(rows), entries := known.take(rows), base[rows][entries.row()])
            for rows in torch.split(_filled(known), _ROWS_AT_ONCE)
        ]
        self.count = len(known.all.value)

    def __call__(self) -> float:
        """−RMSE of what the network says now."""
        total = 0.0
        for shown, known, base in self.blocks:
            said = self.network(shown, known) * self.spread + base
            errors = said.clamp(*self.limits) - (known.value * self.spread + base)
            total += float(errors.double().square().sum())
        return -math.sqrt(total / self.count)


def _rows(history: History, values: NDArray[np.floating], device: torch.device) -> Rows:
    """With weights whose mean is 1."""
    average = history.weight.mean(dtype=np.float64) if len(history.weight) else 1.0
    weight = (history.weight / average).astype(np.float32)
    return Rows(history.indptr, history.indices, values.astype(np.float32), weight, device)


def _filled(rows: Rows) -> Tensor:
    """Which rows have entries."""
    return torch.nonzero(rows.all.indptr.diff())[:, 0]
