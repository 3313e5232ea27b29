"""One training loop: resident tensors in permuted slices, a validation metric, best weights, checkpoints and exact resume."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker._native import threads
from tastemaker.errors import FitError
from tastemaker.models.neural.checkpoint import read_checkpoint, refuse_place, write_checkpoint
from tastemaker.models.neural.networks import Dropout
from tastemaker.models.neural.optimizers import TouchedAdam
from tastemaker.progress import Progress

__all__ = ["Batches", "Learned", "Plan", "Resident", "generator_for", "pick_device", "train"]

Weights = dict[str, Tensor]
_STRETCH = 1 << 18  # rows that are permuted at once


class Batches(Protocol):
    """The examples of an epoch, batch after batch, as tensors on the device."""

    def start_epoch(self, generator: torch.Generator) -> None:
        """Draw what this epoch shows: a new order, new negatives. All randomness comes from ``generator``."""

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """The batches of the epoch that was started last."""


class Resident:
    """Batches over columns that stay on the device: an epoch is a permutation of the rows, a batch a slice of it.

    Args:
        columns: tensors of one length, row by row.
        batch_size: rows in a batch; the last one has what is left.

    >>> rows = Resident([torch.arange(5), torch.arange(5) * 10], batch_size=2)
    >>> rows.start_epoch(torch.Generator().manual_seed(0))
    >>> len(rows), sum(int(b.sum()) for _, b in rows)
    (3, 100)
    """

    def __init__(self, columns: Sequence[Tensor], batch_size: int) -> None:
        self._columns = list(columns)
        self._batch_size = batch_size
        self._rows = len(columns[0])
        self._order = torch.arange(self._rows, device=columns[0].device)

    def start_epoch(self, generator: torch.Generator) -> None:
        """Permute the rows."""
        self._order = torch.randperm(self._rows, generator=generator, device=self._order.device)

    def __len__(self) -> int:
        return -(-self._rows // self._batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        at_once = max(1, _STRETCH // self._batch_size) * self._batch_size
        for rows in torch.split(self._order, at_once):
            parts = (torch.split(column[rows], self._batch_size) for column in self._columns)
            yield from zip(*parts, strict=True)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to train.

    Attributes:
        epochs: passes over the batches, at most.
        seed: of all that is drawn; epoch n draws from a generator of its own, made of the seed and n.
        patience: stop after so many epochs without a better metric; None never stops early.
        decay: learning rates fall in equal steps from epoch to epoch, to 1 / epochs of the first in the last.
        reduce_on_plateau: after an epoch without a better metric, learning rates are multiplied by this; None leaves them.
        checkpoint: a file for the whole state after each epoch; training goes on from it if it is there.
        identity: what else a checkpoint must agree with, as the fingerprint of the data and the hyper-parameters.
    """

    epochs: int
    seed: int
    patience: int | None = None
    decay: bool = False
    reduce_on_plateau: float | None = None
    checkpoint: Path | None = None
    identity: str = ""


@dataclass(frozen=True, eq=False)
class Learned:
    """How the training went.

    Attributes:
        losses: float64[epochs run], the mean loss over the batches of each epoch.
        metrics: float64[epochs run], the validation metric after each; empty without validation.
        best_epoch: how many epochs the weights have seen that were kept.
    """

    losses: NDArray[np.float64]
    metrics: NDArray[np.float64]
    best_epoch: int


@dataclass
class _Course:
    """What has happened so far."""

    losses: list[float] = field(default_factory=list)
    metrics: list[float] = field(default_factory=list)
    best_epoch: int = 0
    best: Weights = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return len(self.losses)

    def note(self, loss: float, metric: float | None, module: nn.Module) -> None:
        """Enter an epoch; keep a copy of the weights if its metric is the best."""
        self.losses.append(loss)
        if metric is None:
            self.best_epoch = self.epoch
            return
        highest = max((m for m in self.metrics if not math.isnan(m)), default=-math.inf)
        self.metrics.append(metric)
        if metric > highest:
            self.best_epoch = self.epoch
            self.best = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def is_over(self, plan: Plan) -> bool:
        waited = self.epoch - self.best_epoch
        return self.epoch >= plan.epochs or (plan.patience is not None and waited >= plan.patience)


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``name``, as ``"cpu"`` or ``"cuda:1"``; ``"auto"`` is the GPU where torch finds one, else the CPU.

    Raises:
        FitError: for a device that torch does not know or cannot use.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:  # torch asserts what it was built for
        raise FitError(
            f"device {name!r} cannot be used: {error}; give 'auto', 'cpu' or a device that is there"
        ) from error
    return device


def generator_for(seed: int, epoch: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose draws depend on the seed and the epoch alone; epoch −1 is for the first weights."""
    state = np.random.SeedSequence([seed, epoch + 1]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))


def train(
    module: nn.Module,
    loss: Callable[[nn.Module, tuple[Tensor, ...]], Tensor],
    batches: Batches,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    progress: Progress,
    *,
    name: str,
    validate: Callable[[], float] | None = None,
) -> Learned:
    """Minimize ``loss`` over ``batches``; the module ends with its best weights.

    A fit that was killed and goes on from its checkpoint ends with the same bits on a CPU as one that ran through. Threads are
    those of this package (:func:`tastemaker._native.threads`) while it runs.

    Args:
        module: on the device of the batches.
        loss: of the module and a batch, one number, finite.
        batches: what an epoch shows.
        optimizers: each moves its own parameters, one after another.
        plan: for how long, from which seed, with which checkpoint.
        progress: told after each epoch of the loss, the metric and, by that, the time left.
        name: of the model, for progress and errors.
        validate: a metric of the module as it stands, higher is better; called after each epoch without gradients.

    Raises:
        FitError: if the loss is not finite, or the checkpoint is damaged, of another fit or cannot be written.
    """
    identity = _identity(module, batches, optimizers, plan, name)
    course = _Course()
    if plan.checkpoint is not None:
        refuse_place(plan.checkpoint)
    with (
        _settings_of_torch(),
        progress.start(f"fit {name}", total=plan.epochs, unit="epoch") as task,
    ):
        if plan.checkpoint is not None and plan.checkpoint.exists():
            course = _resume(plan.checkpoint, identity, module, optimizers)
            task.advance(course.epoch)
        while not course.is_over(plan):
            if plan.decay and course.epoch:
                left = plan.epochs - course.epoch
                _reduce(optimizers, left / (left + 1))
            mean = _epoch(module, loss, batches, optimizers, plan.seed, course.epoch)
            if not math.isfinite(mean):
                raise FitError(
                    f"{name}: the loss is {mean} in epoch {course.epoch + 1} of {plan.epochs}; "
                    "give a smaller learning_rate"
                )
            metric = _judge(module, validate)
            course.note(mean, metric, module)
            if metric is not None and course.best_epoch < course.epoch:
                _reduce(optimizers, plan.reduce_on_plateau)
            if plan.checkpoint is not None:
                _keep(plan.checkpoint, identity, module, optimizers, course)
            task.advance(1, loss=mean, **({} if metric is None else {"metric": metric}))
    if course.best:
        module.load_state_dict(course.best)
    module.eval()
    return Learned(np.array(course.losses), np.array(course.metrics), course.best_epoch)


def _epoch(
    module: nn.Module,
    loss: Callable[[nn.Module, tuple[Tensor, ...]], Tensor],
    batches: Batches,
    optimizers: Sequence[torch.optim.Optimizer],
    seed: int,
    epoch: int,
) -> float:
    """One pass; the mean loss over the batches, added up on the device."""
    parameters = list(module.parameters())
    device = parameters[0].device
    generator = generator_for(seed, epoch, device)
    for part in module.modules():
        if isinstance(part, Dropout):
            part.generator = generator
    module.train()
    batches.start_epoch(generator)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for batch in batches:
        for parameter in parameters:
            parameter.grad = None
        value = loss(module, batch)
        value.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
        total += value.detach()
    for optimizer in optimizers:
        if isinstance(optimizer, TouchedAdam):
            optimizer.settle()
    return float(total.item()) / max(1, len(batches))


def _judge(module: nn.Module, validate: Callable[[], float] | None) -> float | None:
    if validate is None:
        return None
    module.eval()
    with torch.no_grad():
        return float(validate())


def _reduce(optimizers: Sequence[torch.optim.Optimizer], factor: float | None) -> None:
    """Multiply the learning rates, which FTRL calls alpha."""
    if factor is None:
        return
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr" if "lr" in group else "alpha"] *= factor


@contextmanager
def _settings_of_torch() -> Iterator[None]:
    """Our number of threads; and numbers below 1e-38 as zero, which cost a hundred times more in moments long faded."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)


def _identity(
    module: nn.Module,
    batches: Batches,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    name: str,
) -> dict[str, object]:
    """What a checkpoint must agree with: all that the course depends on; the number of epochs only where rates fall with it."""
    settings = [
        {key: value for key, value in group.items() if key != "params"}
        for optimizer in optimizers
        for group in optimizer.param_groups
    ]
    return {
        "model": name,
        "seed": plan.seed,
        "identity": plan.identity,
        "batches": len(batches),
        "weights": {key: list(value.shape) for key, value in module.state_dict().items()},
        "optimizers": repr(settings),
        "reduce_on_plateau": plan.reduce_on_plateau,
        "decay": plan.decay and plan.epochs,
    }


def _keep(
    path: Path,
    identity: dict[str, object],
    module: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    course: _Course,
) -> None:
    facts = {
        "identity": identity,
        "losses": course.losses,
        "metrics": course.metrics,
        "best_epoch": course.best_epoch,
    }
    write_checkpoint(path, facts, {"module": module.state_dict(), "best": course.best}, optimizers)


def _resume(
    path: Path,
    identity: dict[str, object],
    module: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
) -> _Course:
    """Bring module and optimizers to where the checkpoint left them."""
    facts, weights = read_checkpoint(path, identity, optimizers)
    module.load_state_dict(weights["module"])
    device = next(module.parameters()).device
    best = {name: value.to(device) for name, value in weights["best"].items()}
    return _Course(facts["losses"], facts["metrics"], facts["best_epoch"], best)
