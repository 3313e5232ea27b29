"""LightGCN on its own split of Gowalla: NDCG over epochs and the processor's time, and where it ends on the test part.

    TASTEMAKER_DATA=... make bench BENCH=accuracy_graph ARGS="--folder /tmp/gowalla --write"

Fits with the same settings, each twice as long as the one before, on four fifths of the training part, judged on the rest; then
one as long as the last on all of it, judged once, on the test part. What is in the folder is gone on from, so that a run may be
cut off.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

import tastemaker as tm
from accuracy_gowalla import GOWALLA
from page import publish
from ratings import machine, threads
from side_by_side import Section
from tastemaker import _native
from tastemaker.data.splits import Split
from tastemaker.evaluation import evaluate
from tastemaker.progress import Progress, Task, use

MODEL = tm.LightGCN(batch_size=1 << 18, regularization=2e-4, decay=True)
EPOCHS, DOUBLINGS, JUDGES = 800, 5, 4000
METRICS = ("recall@20", "ndcg@20")
PUBLISHED = (0.1830, 0.1554)  # by the authors, after a thousand epochs in batches of 2,048


class Busy(Progress, Task):
    """Seconds of the processor in the epochs that are trained, kept in a file; those of a checkpoint come as one step."""

    def __init__(self, file: Path) -> None:
        self._file, self._start = file, 0.0

    def start(self, task: str, total: int, unit: str = "") -> Task:
        self._start = time.process_time()
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        now = time.process_time()
        if figures:
            self._file.write_text(str(self.seconds + now - self._start))
        self._start = now

    @property
    def seconds(self) -> float:
        return float(self._file.read_text()) if self._file.exists() else 0.0


def trained(folder: Path, name: str, epochs: int, split: Split) -> tuple[float, list[float]]:
    """Seconds of the processor for so many epochs on the training part, and the metrics on the test part."""
    busy = Busy(folder / f"{name}.seconds")
    model = replace(MODEL, epochs=epochs, checkpoint=folder / f"{name}.checkpoint")
    with use(busy):
        report = evaluate(model, split, metrics=METRICS)
    return busy.seconds, [report[metric] for metric in METRICS]


def curve(folder: Path, split: Split, epochs: int) -> Iterator[list[str]]:
    """Epochs, seconds and the metrics of a part of the users, of fits that are twice as long from one to the next."""
    users = np.unique(split.test.user)
    judges = np.random.default_rng(1).choice(users, min(JUDGES, len(users)), replace=False)
    judged = replace(split, test=split.test.select(np.isin(split.test.user, judges)))
    counts = [epochs >> n for n in range(DOUBLINGS, -1, -1) if epochs >> n]
    for count in counts:
        seconds, figures = trained(folder, f"validation-{count}", count, judged)
        yield [str(count), f"{seconds:.0f}", *(f"{figure:.4f}" for figure in figures)]


def run(folder: Path, epochs: int) -> Section:
    """The curve, then the test."""
    section, split = Section("LightGCN on Gowalla"), GOWALLA.split()
    section.say(
        f"{threads()}, our kernels {_native.isa()}; {machine()}; {date.today():%d %B %Y}. {MODEL.factors} factors, "
        f"{MODEL.layers} layers, Adam with a learning rate that falls from {MODEL.learning_rate:g} to 0, L2 "
        f"{MODEL.regularization:g}, batches of {MODEL.batch_size:,}. Validation: {JUDGES:,} users, a fifth of whose training "
        "interactions is held out. Seconds are the processor's."
    )
    rows = curve(folder, GOWALLA.validation(split), epochs)
    section.table(["epochs", "s", *(f"validation {metric}" for metric in METRICS)], rows)
    seconds, figures = trained(folder, f"all-{epochs}", epochs, split)
    gaps = ", ".join(
        f"{name} {ours:.4f} ({ours - theirs:+.4f} to the {theirs:.4f} of the authors)"
        for name, ours, theirs in zip(METRICS, figures, PUBLISHED, strict=True)
    )
    section.say(f"Test, after {epochs} epochs on the whole training part, {seconds:.0f} s: {gaps}.")
    return section


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="for checkpoints and what was measured")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    publish([run(args.folder, args.epochs)], args.write)


if __name__ == "__main__":
    main()
