"""That a fit which was killed goes on as if nothing had been, and from a checkpoint of its own alone."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from models.neural.training_data import bits, fit_deep, fit_line
from tastemaker.errors import FitError


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


KILLED = """
    import sys, time
    from pathlib import Path
    import numpy as np
    from tastemaker import Dataset, NeuMF
    from tastemaker.progress import Progress, Task, use

    class Slow(Progress, Task):
        def start(self, task, total, unit=""):
            return self
        def advance(self, steps=1, **figures):
            print("epoch", flush=True)
            time.sleep(float(sys.argv[2]))

    rng = np.random.default_rng(0)
    data = Dataset.from_interactions({"user": rng.integers(0, 60, 1500), "item": rng.integers(0, 40, 1500)})
    model = NeuMF(
        factors=4, tower=(8, 8), epochs=3, pretraining=5, decay=True,
        validation_fraction=0.1, checkpoint=sys.argv[1], device="cpu"
    )
    with use(Slow()):
        model.fit(data)
    model.save(sys.argv[3])
"""


def test_kill_9_and_go_on_gives_the_same_bits(tmp_path):
    script = textwrap.dedent(KILLED)

    def start(checkpoint: Path, pause: float, saved: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(checkpoint), str(pause), str(tmp_path / saved)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})

    through = start(tmp_path / "a", 0, "through")
    through.communicate(timeout=120)
    assert through.returncode == 0
    for epochs in (1, 6, 7):  # while GMF is learned, then MLP, then both
        process = start(tmp_path / "b", 0.3, "resumed")
        assert process.stdout is not None
        for _ in range(epochs):
            assert process.stdout.readline() == "epoch\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "resumed").exists()
    last = start(tmp_path / "b", 0, "resumed")
    last.communicate(timeout=120)
    assert last.returncode == 0
    states = [next((tmp_path / saved).rglob("state.safetensors")) for saved in ("through", "resumed")]
    assert states[0].read_bytes() == states[1].read_bytes()
