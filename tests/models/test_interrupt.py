"""Ctrl-C stops a fit that would go on for days, and leaves the model as it was."""

import os
import signal
from threading import Timer

import numpy as np
import pytest

from tastemaker import BPR, Dataset, ImplicitALS
from tastemaker.errors import NotFittedError
from tastemaker.progress import Progress, Task, use

ENDLESS = 10**6
FITS = [ImplicitALS(epochs=ENDLESS, solver=solver) for solver in ("cg", "cholesky", "subspace")] + [
    BPR(epochs=ENDLESS)
]


class Impatient(Progress, Task):
    """Presses Ctrl-C a little after the second step, in the middle of a kernel."""

    def __init__(self) -> None:
        self.timer = Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        self.steps = 0

    def start(self, task: str, total: int, unit: str = "") -> Task:
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.steps += steps
        if self.steps == 2:
            self.timer.start()


@pytest.fixture(autouse=True)
def _listening():
    """Ctrl-C is ignored by what a script starts in the background; here it counts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return Dataset.from_interactions(
        {"user": rng.integers(0, 5000, 200_000), "item": rng.integers(0, 2000, 200_000)}
    )


@pytest.mark.parametrize(
    "model", FITS, ids=lambda model: f"{model.name} {getattr(model, 'solver', '')}".strip()
)
def test_a_fit_stops_at_ctrl_c(model, data):
    with use(Impatient()), pytest.raises(KeyboardInterrupt):
        model.fit(data)
    with pytest.raises(NotFittedError):
        model.recommend([0])


def test_what_was_fitted_before_still_answers(data):
    model = ImplicitALS(epochs=1, factors=8).fit(data)
    before = model.recommend([0], k=5)
    model.epochs = ENDLESS
    with use(Impatient()), pytest.raises(KeyboardInterrupt):
        model.fit(data)
    assert model.recommend([0], k=5).lists() == before.lists()
