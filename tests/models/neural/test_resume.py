"""That a fit which was killed goes on as if nothing had been, and from a checkpoint of its own alone."""

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import tastemaker as tm
from models.neural.training_data import bits, fit_deep, fit_line
from tastemaker.errors import FitError
from tastemaker.models.neural import checkpoint
from tastemaker.progress import Progress, Task, use


def test_going_on_from_a_checkpoint_is_as_if_it_had_run_through(tmp_path):
    through, learned = fit_deep(epochs=6)
    file = tmp_path / "folder" / "state"
    fit_deep(epochs=3, checkpoint=file)
    assert [f.name for f in file.parent.iterdir()] == ["state"]
    resumed, again = fit_deep(epochs=6, checkpoint=file)
    assert bits(resumed) == bits(through)
    assert again.losses.tobytes() == learned.losses.tobytes()
    finished, _ = fit_deep(epochs=6, checkpoint=file)
    assert bits(finished) == bits(through), "a fit that was done stays as it was"


def test_the_best_weights_survive_a_checkpoint(tmp_path):
    marks = [0.1, 0.7, 0.5, 0.2]
    through, _ = fit_line(epochs=4, validate=iter(marks).__next__)
    file = tmp_path / "state"
    fit_line(epochs=3, validate=iter(marks[:3]).__next__, checkpoint=file)
    resumed, learned = fit_line(epochs=4, validate=iter(marks[3:]).__next__, checkpoint=file)
    assert bits(resumed) == bits(through)
    assert learned.best_epoch == 2
    assert learned.metrics.tolist() == marks


def test_a_checkpoint_of_another_fit_is_refused(tmp_path):
    file = tmp_path / "state"
    fit_line(epochs=1, checkpoint=file)
    with pytest.raises(FitError, match=r"is of another fit: its optimizers is .*; delete it to start anew"):
        fit_line(epochs=1, checkpoint=file, lr=0.2)
    with pytest.raises(FitError, match="its identity is '', here it is 'other data'"):
        fit_line(epochs=1, checkpoint=file, identity="other data")
    with pytest.raises(FitError, match="its model is 'line', here it is 'curve'"):
        fit_line(epochs=1, checkpoint=file, name="curve")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    file = tmp_path / "state"
    fit_line(epochs=1, checkpoint=file)
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"x" * 100):
        file.write_bytes(damaged)
        with pytest.raises(FitError, match=r"is damaged: .*; delete it to start anew"):
            fit_line(epochs=1, checkpoint=file)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_anything_is_learned(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    judged = []
    for place, why in (
        (tmp_path / "file" / "state", "cannot be written"),
        (tmp_path, "is a folder; name a file"),
    ):
        with pytest.raises(FitError, match=f"checkpoint {place} {why}"):
            fit_line(epochs=1, checkpoint=place, validate=lambda: judged.append(1) or 0.0)
    assert not judged
    monkeypatch.setattr(checkpoint, "sync", lambda path: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(FitError, match="state cannot be written: no space left; name another place"):
        fit_line(epochs=1, checkpoint=tmp_path / "state")


class Deadly(Progress, Task):
    """Kills its process after so many epochs, the moment that it is told of the last one."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def start(self, task: str, total: int, unit: str = "") -> Task:
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.left -= steps
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def fit(name, options, rows, saved, dies_after=0):
    with use(Deadly(dies_after)):
        model = getattr(tm, name)(**options).fit(tm.Dataset.from_interactions(rows, rating="rating"))
    model.save(saved)


PRELOADED = ["polars", "pytest", "tastemaker.models.neural.training", "torch._dynamo"]  # slow to import
SMALL = {"factors": 8, "epochs": 4}
READER = {**SMALL, "length": 6, "validation_fraction": 0.5}


@pytest.mark.parametrize(
    ("name", "options", "deaths"),
    [
        # while GMF is learned, then MLP, then both
        ("NeuMF", {"factors": 4, "tower": [8, 8], "epochs": 3, "pretraining": 5, "decay": True}, (1, 6, 7)),
        ("AutoRec", {**SMALL, "hide": 0.2, "validation_fraction": 0.1, "batch_size": 16}, (2,)),
        ("SASRec", {**READER, "loss": "softmax"}, (2,)),
        ("SASRec", {**READER, "loss": "sampled"}, (2,)),
        ("BERT4Rec", {**READER, "decay": True}, (2,)),
        ("GRU4Rec", READER, (2,)),
        ("LightGCN", {**SMALL, "batch_size": 256, "decay": True}, (1, 3)),
        ("PinSage", SMALL, (1, 3)),
    ],
)
def test_kill_9_and_go_on_gives_the_same_bits(tmp_path, name, options, deaths):
    rng = np.random.default_rng(0)
    rows = {
        "user": rng.integers(0, 60, 1500),
        "item": rng.integers(0, 40, 1500),
        "rating": rng.integers(1, 6, 1500),
    }
    options = {**options, "device": "cpu"}
    fit(name, options, rows, tmp_path / "through")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)

    def run(dies_after: int) -> int | None:
        told = {**options, "checkpoint": tmp_path / "state"}
        process = processes.Process(target=fit, args=(name, told, rows, tmp_path / "resumed", dies_after))
        process.start()
        process.join(timeout=120)
        return process.exitcode

    for epochs in deaths:
        assert run(dies_after=epochs) == -signal.SIGKILL
    assert not (tmp_path / "resumed").exists()
    assert run(dies_after=0) == 0
    assert state(tmp_path / "resumed") == state(tmp_path / "through")


def state(saved: Path) -> bytes:
    """All that a model has learned."""
    return next(saved.rglob("state.safetensors")).read_bytes()
