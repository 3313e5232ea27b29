"""SASRec's file of MovieLens-1M: what others have reached on it, and our models of sequences for it.

Each user's last item is the test and the one before it the validation part: it tells the best epoch, and by it the settings were
chosen. A model learns from what is before these two alone, and reads all but the last when it is tested. A fit takes long: it
writes a checkpoint into artifacts/sequences, and goes on from there if it was cut off.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

import tastemaker as tm
from accuracy_lists import cells, circumstances, described, reaches
from side_by_side import HERE, Section
from tastemaker import datasets
from tastemaker.data.splits import Split, leave_last_out
from tastemaker.evaluation import evaluate
from tastemaker.models.base import Recommender

METRICS = ("recall@10", "ndcg@10")
SAMPLED = 100  # random items beside the right one, in the figures that are labelled so
CHECKPOINTS = HERE.parent / "artifacts" / "sequences"
PUBLISHED = {
    "HSTU, large": (0.329, 0.189),
    "SASRec of RecTools, full softmax": (0.306, 0.178),
    "gSASRec, 256 negatives": (0.300, 0.173),
    "BERT4Rec, after very long training": (0.282, 0.152),
    "GRU4Rec, as published": (0.281, 0.165),
    "SASRec with its original loss": (0.239, 0.126),
}


@dataclass(frozen=True)
class Entry:
    """A model, whose ``epochs`` are the most; what it has to reach on the test part; how long a fit waits for a better epoch."""

    label: str
    model: Recommender[Any]
    least: tuple[float, ...] = ()
    patience: int = 8

    @property
    def checkpoint(self) -> Path:
        return CHECKPOINTS / self.label

    def ready(self) -> Recommender[Any]:
        """The model; the last item of everybody's learning part tells which epoch it keeps."""
        told: dict[str, Any] = {"validation_fraction": 1.0, "patience": self.patience}
        return replace(self.model, **told, checkpoint=self.checkpoint)

    def course(self) -> list[float]:
        """NDCG@10 of the validation part after each epoch."""
        with safe_open(self.checkpoint, framework="numpy") as file:
            return list(json.loads(file.metadata()["tastemaker"])["metrics"])


ENTRIES = (
    Entry("SASRec", tm.SASRec(learning_rate=2e-3, decay=True, epochs=40), least=(0.290, 0.165)),
    Entry("GRU4Rec", tm.GRU4Rec(learning_rate=3e-3, decay=True, epochs=15), least=(0.270, 0.150)),
    Entry("BERT4Rec", tm.BERT4Rec(heads=2, learning_rate=2e-3, decay=True, epochs=300), patience=40),
)


def run(names: list[str], again: bool) -> Section:
    """Train, test, and compare with what is published; the settings are those written down, for a search would take days."""
    section = Section("Accuracy on SASRec's MovieLens-1M file")
    split = leave_last_out(datasets.load("sasrec-ml-1m"))
    section.say(circumstances(split))
    section.say(
        "Settings and epochs by the NDCG@10 of the item before the last of each user, in a ranking of the full catalogue; then "
        f"one run on the test part. SAMPLED are figures among {SAMPLED} random items, which are several times as high and "
        "compare with no other column. The other figures are as published by others."
    )
    entries = [entry for entry in ENTRIES if not names or entry.label in names]
    rows, verdicts = [], []
    for entry in entries:
        row, figures = tested(split, entry)
        print(" | ".join(row), flush=True)
        rows.append(row)
        if entry.least:
            met = reaches(figures, entry.least)
            section.met &= met
            goal = " and ".join(cells(entry.least))
            verdicts.append(f"- {entry.label} reaches {goal}: {'met' if met else 'MISSED'}.")
    rows += [[name, *cells(figures), *[""] * 6] for name, figures in PUBLISHED.items()]
    sampled = [f"SAMPLED {metric}" for metric in METRICS]
    section.table(["", *METRICS, *sampled, "validation ndcg@10", "best epoch", "fit, s", "settings"], rows)
    section.lines += [*verdicts, *map(curve, entries)]
    return section


def tested(split: Split, entry: Entry) -> tuple[list[str], tuple[float, ...]]:
    """The model's row of the table, and its figures on the test part. The second fit is over at once, by its checkpoint."""
    model = entry.ready()
    full = evaluate(model, split, metrics=METRICS)
    sampled = evaluate(model, split, metrics=METRICS, sampled=SAMPLED)
    figures = tuple(full[metric] for metric in METRICS)
    course = entry.course()
    best = max(course)
    others = [f"{best:.4f}", str(course.index(best) + 1), f"{full.fit_seconds:,.0f}", described(entry.model)]
    return [
        entry.label,
        *cells(figures),
        *cells(tuple(sampled[metric] for metric in METRICS)),
        *others,
    ], figures


def curve(entry: Entry) -> str:
    """How the validation figure rose: after 1, 2, 4, 8 … epochs."""
    course = entry.course()
    epochs = [*(2**n for n in range(10) if 2**n < len(course)), len(course)]
    points = ", ".join(f"{course[epoch - 1]:.4f} ({epoch})" for epoch in epochs)
    return f"- {entry.label}, validation NDCG@10 after so many epochs: {points}."
