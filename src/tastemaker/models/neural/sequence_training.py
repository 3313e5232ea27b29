"""How models of the next item learn: one loop for networks that read from left to right and both ways. Imported only by a fit."""

import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.functions import look_up
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.losses import gbce, sampled_softmax
from tastemaker.models.neural.negatives import Negatives
from tastemaker.models.neural.optimizers import dense_adam
from tastemaker.models.neural.output import softmax_over_items
from tastemaker.models.neural.sequence_model import SequenceModel, in_parts
from tastemaker.models.neural.sequences import HeldOut, Sequences, hold_last_out
from tastemaker.models.neural.training import Batches, Plan, generator_for, pick_device, train
from tastemaker.progress import Progress

__all__ = ["Objective", "SequenceNetwork", "WithNegatives", "fit_network", "ndcg_of_last"]

_FULL = 50_000  # items up to which "auto" weighs every item
_TOKENS = 1 << 14  # items of sequences that are read together in validation
_SCORES = 1 << 28  # numbers that are held at once in validation
_BEST = 10  # the metric looks at so many of the best


class SequenceNetwork(nn.Module):
    """A network that reads sequences packed end to end.

    Attributes:
        items: the vectors of the items, of which each step takes all once.
    """

    items: ItemVectors

    @abstractmethod
    def forward(self, vectors: Tensor, items: Tensor, lengths: Tensor) -> Tensor:
        """float32[tokens, factors]: what is told at each token.

        Args:
            vectors: float32[rows, factors], those of the items.
            items: int64[tokens], rows of ``vectors``; for a network that hides items, its own number for hidden ones too.
            lengths: int64[sequences], on the CPU.
        """

    def next_after(self, vectors: Tensor, sequences: Sequences) -> Tensor:
        """float32[sequences, factors]: what is told to come after each, none of which is empty."""
        items = torch.from_numpy(sequences.items.astype(np.int64)).to(vectors.device)
        told: Tensor = self(vectors, items, torch.from_numpy(sequences.lengths))
        return told[torch.from_numpy(sequences.indptr[1:] - 1).to(vectors.device)]


class Objective:
    """What is minimized, of a network and a batch.

    Args:
        model: with the loss.
        counts: int[rows], how often each item was taken.
        device: where negatives are drawn.
    """

    def __init__(self, model: SequenceModel[Any], counts: NDArray[np.integer], device: torch.device) -> None:
        auto = "softmax" if len(counts) <= _FULL else "sampled"
        self._kind = auto if model.loss == "auto" else model.loss
        self._number, self._calibration = model.negatives, model.calibration
        weight = (counts > 0) if self._kind == "gbce" else counts**0.75
        self._pool = Negatives(len(counts), device, weight.astype(np.float64))

    def batches(self, batches: Batches) -> Batches:
        """With negatives, if the loss is one that draws."""
        return batches if self._kind == "softmax" else WithNegatives(batches, self._pool, self._number)

    def __call__(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """The mean loss over the places of a batch where something is to be told."""
        assert isinstance(network, SequenceNetwork)
        negatives, examples = (None, batch) if self._kind == "softmax" else (batch[0], batch[1:])
        items, lengths, target, *places = examples
        vectors = network.items()
        told = network(vectors, items, lengths)
        if places:
            told = look_up(told, places[0])
        if negatives is None:
            return softmax_over_items(told, vectors, target)
        positive = (told * look_up(vectors, target)).sum(dim=1)
        logits = told @ look_up(vectors, negatives).T
        logits = logits.masked_fill(negatives[None, :] == target[:, None], -torch.inf)
        if self._kind == "gbce":
            return gbce(positive, logits, self._number / max(1, len(vectors) - 1), self._calibration)
        log_expected = self._pool.log_probability(negatives) + math.log(self._number)
        return sampled_softmax(positive, logits, positive.new_zeros(()), log_expected)


class WithNegatives:
    """Batches with items drawn for each, in front: int64[number].

    Args:
        batches: to which they are added.
        pool: to draw from.
        number: how many are drawn for a batch.
    """

    def __init__(self, batches: Batches, pool: Negatives, number: int) -> None:
        self._batches, self._pool, self._number = batches, pool, number
        self._generator = generator_for(0, 0, pool.device)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Draw from the generator that the batches draw from."""
        self._generator = generator
        self._batches.start_epoch(generator)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for batch in self._batches:
            yield self._pool.draw((self._number,), self._generator), *batch


def fit_network(
    model: SequenceModel[Any],
    data: Dataset,
    network_of: Callable[[ItemVectors, torch.Generator], SequenceNetwork],
    batches_of: Callable[[Sequences, int, torch.device], Batches],
    progress: Progress,
) -> SequenceNetwork:
    """Train a network on the histories of all users; its items are those that somebody took.

    Args:
        model: with the hyper-parameters.
        data: what was taken.
        network_of: makes the network, its first weights drawn from the generator.
        batches_of: makes what an epoch shows of sequences of rows of the items, from these and the number of items.
        progress: told after each epoch.
    """
    device, generator = pick_device(model.device), generator_for(model.seed, -1)
    items = ItemVectors.of(data, model.features, model.factors, generator)
    network = network_of(items, generator).to(device)
    sequences = Sequences.of(data.by_user, items.row_of_code)
    learned, held = hold_last_out(sequences, model.validation_fraction, model.seed)
    objective = Objective(model, np.bincount(learned.items, minlength=len(items)), device)
    plan = Plan(
        epochs=model.epochs,
        seed=model.seed,
        patience=model.patience,
        decay=model.decay,
        checkpoint=None if model.checkpoint is None else Path(model.checkpoint),
        identity="" if model.checkpoint is None else _identity(model, data),
    )
    train(
        network,
        objective,
        objective.batches(batches_of(learned, len(items), device)),
        [dense_adam(network, model.learning_rate)],
        plan,
        progress,
        name=model.name,
        validate=(lambda: ndcg_of_last(network, held, model.read_length)) if len(held.target) else None,
    )
    return network


def ndcg_of_last(network: SequenceNetwork, held: HeldOut, length: int) -> float:
    """NDCG@10 of what is held out, ranked among all items that the sequence before it does not have; ties count against it.

    NaN if a score of what is held out is no number, so that such weights are never the best.

    Args:
        network: to judge.
        held: what is held out.
        length: how many of the most recent items are read.
    """
    vectors = network.items()
    total, rows = 0.0, max(1, _SCORES // len(vectors))
    for part in in_parts(np.maximum(held.before.lengths, _TOKENS // rows), _TOKENS):
        before = held.before.take(np.arange(part.start, part.stop))
        target = torch.from_numpy(held.target[part].astype(np.int64)).to(vectors.device)
        scores = network.next_after(vectors, before.recent(length)) @ vectors.T
        own = scores.gather(1, target.unsqueeze(1))
        if own.isnan().any():
            return math.nan
        row = torch.from_numpy(np.repeat(np.arange(len(before)), before.lengths)).to(vectors.device)
        scores[row, torch.from_numpy(before.items.astype(np.int64)).to(vectors.device)] = -torch.inf
        scores.scatter_(1, target.unsqueeze(1), -torch.inf)
        rank = 1 + (scores >= own).sum(dim=1)
        total += float(torch.where(rank <= _BEST, 1 / torch.log2(1.0 + rank), 0).sum())
    return total / len(held.target)


def _identity(model: SequenceModel[Any], data: Dataset) -> str:
    """What a checkpoint must agree with: data and hyper-parameters."""
    return f"{data.fingerprint} {json.dumps(model.saved_parameters() | {'epochs': None})}"
