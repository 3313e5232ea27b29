"""RMSE on MovieLens-1M, nine tenths of the ratings at random to learn from; beside AutoRec, matrix factorization."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tastemaker as tm
from accuracy_lists import circumstances, described
from side_by_side import Section
from tastemaker import datasets
from tastemaker.data.splits import Split, k_fold
from tastemaker.evaluation import tune
from tastemaker.evaluation.search_spaces import Choice, Range, Space, with_settings
from tastemaker.models.base import Recommender

TITLE = "RMSE on MovieLens-1M, 90 % to learn from"
SEEDS = (0, 1, 2)
# 90 % and 10 % at random, the mean of several draws (Sedhain et al., WWW 2015); ours is one draw, the same for all models.
PUBLISHED = {"I-AutoRec": 0.831, "BiasedMF": 0.845, "U-AutoRec": 0.874}


AUTO_REC: Space = {
    "epochs": Range(20, 60),
    "regularization": Range(1e-4, 1e-3, log=True),
    "dropout": Choice((0.3, 0.5, 0.7)),
}


@dataclass(frozen=True)
class Entry:
    """A model, where --tune looks for its settings and what it has found, and the RMSE that it must not exceed."""

    label: str
    model: Recommender[Any]
    space: Space
    trials: int
    found: Mapping[str, Any] = field(default_factory=dict)
    validation: float | None = None
    most: float | None = None


ENTRIES = (
    Entry(
        "AutoRec, items",
        tm.AutoRec(kind="item", device="cpu"),
        space=AUTO_REC,
        trials=10,
        found={"epochs": 20, "regularization": 0.00031759568417856997, "dropout": 0.3},
        validation=0.8295,
        most=0.840,
    ),
    Entry(
        "AutoRec, users",
        tm.AutoRec(kind="user", device="cpu"),
        space=AUTO_REC,
        trials=10,
        found={"epochs": 40, "regularization": 0.0005, "dropout": 0.5},
        validation=0.8641,
        most=0.880,
    ),
    Entry(
        "MatrixFactorization",
        tm.MatrixFactorization(),
        space={
            "factors": Range(16, 128, log=True),
            "epochs": Range(10, 40, log=True),
            "regularization": Range(0.02, 0.1, log=True),
        },
        trials=8,
        validation=0.8432,
    ),
)


def ml_1m() -> Split:
    """A tenth of the ratings is the test part, drawn at random."""
    return k_fold(datasets.load("ml-1m"), folds=10)[0]


def chosen(entry: Entry, split: Split, search: bool) -> Entry:
    """The entry as it is, or with what a new search finds on a ninth of the training part: as much as the test part."""
    if not search:
        return entry
    validation = k_fold(split.train, folds=9)[0]
    tuned = tune(
        entry.model,
        split,
        metric="rmse",
        trials=entry.trials,
        validation=validation,
        space=entry.space,
        prune=False,
        refit=False,
    )
    print(f"{entry.label}: {tuned}", flush=True)
    best = tuned.trials.filter(state="complete").sort("value").row(0, named=True)
    return replace(entry, found={name: best[name] for name in entry.space}, validation=tuned.value)


def rmse(model: Recommender[Any], test: tm.Dataset, mean: float) -> float:
    """Of the predictions for the test ratings; what a model does not know is predicted as the mean of the training part."""
    predictions = model.predict_codes(test.user, test.item)
    errors = np.where(np.isnan(predictions), np.float32(mean), predictions) - test.value
    return float(np.sqrt(np.mean(errors.astype(np.float64) ** 2)))


def tested(entry: Entry, split: Split) -> tuple[list[str], float]:
    """The model's row of the table, and its RMSE on the test part: the median over the seeds."""
    model = with_settings(entry.model, entry.found)
    errors, seconds = [], []
    for seed in SEEDS:
        start = time.perf_counter()
        fitted = replace(model, seed=seed).fit(split.train)
        seconds.append(time.perf_counter() - start)
        errors.append(rmse(fitted, split.test, float(split.train.value.mean(dtype=np.float64))))
    figure = float(np.median(errors))
    spread = f"{min(errors):.4f} to {max(errors):.4f}"
    validation = "" if entry.validation is None else f"{entry.validation:.4f}"
    row = [entry.label, f"{figure:.4f}", spread, validation, f"{np.median(seconds):.0f}", described(model)]
    return row, figure


def run(names: list[str], search: bool) -> Section:
    """Choose settings, test, and compare with what is published."""
    section, split = Section(TITLE), ml_1m()
    section.say(circumstances(split))
    section.say(
        f"Settings by the best RMSE on a ninth of the training ratings, held out at random; then one run on the test part "
        f"for each of {len(SEEDS)} seeds: the median, and the least to the most. The other figures are as published."
    )
    rows, verdicts = [], []
    for entry in ENTRIES:
        if names and entry.label not in names:
            continue
        row, figure = tested(chosen(entry, split, search), split)
        print(" | ".join(row), flush=True)
        rows.append(row)
        if entry.most is not None:
            verdicts.append((entry.label, figure, entry.most))
    rows += [[name, f"{figure:.3f}", "", "", "", ""] for name, figure in PUBLISHED.items()]
    section.table(["", "RMSE", "seeds", "validation", "fit, s", "settings"], rows)
    for label, figure, most in verdicts:
        section.limit(f"{label}: RMSE", figure, most, "stars")
    return section
