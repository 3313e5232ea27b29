"""LightGCN on its own split of Gowalla, epoch by epoch: NDCG over the processor's time, and where it ends on the test part.

    TASTEMAKER_DATA=... make bench BENCH=accuracy_graph ARGS="--folder /tmp/gowalla --write"

Two fits with the same settings and as many epochs: one on four fifths of the training part, judged on the rest along the way;
one on all of it, judged once, at the end, on the test part. What is in the folder is gone on from, so that a run may be cut off.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

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

MODEL = tm.LightGCN(batch_size=1 << 18, regularization=2e-4)
EPOCHS, EVERY, JUDGES = 1000, 50, 4000
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


def curve(folder: Path, split: Split, epochs: int) -> list[list[Any]]:
    """Epochs, seconds and metrics of a part of the users along the way."""
    users = np.unique(split.test.user)
    judges = np.random.default_rng(1).choice(users, min(JUDGES, len(users)), replace=False)
    judged = replace(split, test=split.test.select(np.isin(split.test.user, judges)))
    file = folder / "validation.json"
    rows: list[list[Any]] = json.loads(file.read_text()) if file.exists() else []
    for epoch in range(len(rows) * EVERY + EVERY, epochs + 1, EVERY):
        seconds, figures = trained(folder, "validation", epoch, judged)
        rows.append([epoch, seconds, *figures])
        file.write_text(json.dumps(rows))
        print(rows[-1], flush=True)
    return rows[: epochs // EVERY]


def thinned(rows: Sequence[list[Any]], most: int = 12) -> list[list[Any]]:
    """The first and the last, and some between."""
    places = np.unique(np.geomspace(1, len(rows), min(most, len(rows))).round().astype(int) - 1)
    return [rows[place] for place in places]


def run(folder: Path, epochs: int) -> Section:
    """The curve, then the test."""
    section, split = Section("LightGCN on Gowalla, epoch by epoch"), GOWALLA.split()
    section.say(
        f"{threads()}, our kernels {_native.isa()}; {machine()}; {date.today():%d %B %Y}. {MODEL.factors} factors, "
        f"{MODEL.layers} layers, Adam with a learning rate of {MODEL.learning_rate:g}, L2 {MODEL.regularization:g}, batches of "
        f"{MODEL.batch_size:,}. Validation: {JUDGES:,} users, a fifth of whose training interactions is held out. "
        "Seconds are the processor's."
    )
    rows = curve(folder, GOWALLA.validation(split), epochs)
    cells = [
        [str(e), f"{s:.0f}", *(f"{figure:.4f}" for figure in figures)] for e, s, *figures in thinned(rows)
    ]
    section.table(["epochs", "s", *(f"validation {metric}" for metric in METRICS)], cells)
    seconds, figures = trained(folder, "all", rows[-1][0], split)
    gaps = ", ".join(
        f"{name} {ours:.4f} ({ours - theirs:+.4f} to the {theirs:.4f} of the authors)"
        for name, ours, theirs in zip(METRICS, figures, PUBLISHED, strict=True)
    )
    section.say(f"Test, after {rows[-1][0]} epochs on the whole training part, {seconds:.0f} s: {gaps}.")
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
