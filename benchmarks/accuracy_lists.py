"""Accuracy of lists on published splits: what the tasks of accuracy_gowalla.py and accuracy_ncf.py share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

import tastemaker as tm
from blending import tune_weights
from ratings import machine, threads
from side_by_side import Section
from tastemaker import _native, datasets
from tastemaker.data.splits import Split, holdout, leave_last_out
from tastemaker.evaluation import evaluate, tune
from tastemaker.evaluation.search_spaces import Space, with_settings
from tastemaker.models.base import Recommender


@dataclass(frozen=True)
class Entry:
    """A model for a task.

    Attributes:
        label: what the table calls it.
        model: with the hyper-parameters that are not searched for.
        space: where to look for the others; empty where --tune has nothing to look for.
        trials: how many settings are tried.
        prune: whether a setting that is bad on a part of the users is given up. The best penalty grows with the users, so that
            this misleads EASE and ImplicitALS.
        found: the best of them by --tune.
        validation: what it reached there, by the metric that chooses; None for settings that somebody has published.
        seeds: of the fits; the figures are the medians.
        least: what it has to reach.
        published: what somebody else's has given, and this has to give within .001.
    """

    label: str
    model: Recommender[Any]
    space: Space = field(default_factory=dict)
    trials: int = 0
    prune: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)
    validation: float | None = None
    seeds: tuple[int, ...] = ()
    least: tuple[float, ...] = ()
    published: tuple[float, ...] = ()


@dataclass(frozen=True)
class Task:
    """A published split, what others have reached on it, and our models for it.

    Attributes:
        title: of the section.
        data, fold: the split, by its names in tastemaker.datasets.
        metrics: what is reported.
        chooses: the one of them that chooses the settings.
        held_out: the share of each user's training interactions that makes the validation part, at random; None: the last.
        published: figures of others, in the order of the metrics.
        least: what a model has to reach whose settings validation data have chosen.
        sampled: how many negatives each test interaction came with; 0: the full catalogue is ranked.
    """

    title: str
    data: str
    fold: str
    metrics: tuple[str, ...]
    chooses: str
    held_out: float | None
    published: Mapping[str, tuple[float, ...]]
    least: tuple[float, ...]
    entries: tuple[Entry, ...]
    sampled: int = 0

    def split(self) -> Split:
        """The published one, of implicit feedback: whatever a rating says, it is an interaction."""
        split = datasets.folds(self.data)[self.fold]
        return replace(split, train=split.train.implicit(), test=split.test.implicit())

    def validation(self, split: Split) -> Split:
        """Cut from the training part as the publisher cut the test part."""
        if self.held_out is None:
            return leave_last_out(split.train)
        return holdout(split.train, ratings=self.held_out, seed=0)

    def protocol(self) -> str:
        """How settings are chosen, in words."""
        part = (
            "the last training interaction of each user"
            if self.held_out is None
            else f"{self.held_out:.0%} of each user's training interactions, held out at random"
        )
        ranked = f", ranked among {self.sampled} random items" if self.sampled else ""
        return f"Settings by the best {self.chooses} on {part}{ranked}; then one run on the test part."


def chosen(task: Task, split: Split, entry: Entry, search: bool) -> Entry:
    """The entry as it is, or with what a new search finds."""
    if not search or not entry.space:
        return entry
    if isinstance(entry.model, tm.Blend):
        found, value = tune_weights(
            entry.model, task.validation(split), task.chooses, entry.space, entry.trials
        )
        print(f"{entry.label}: {task.chooses} {value:.4f} on validation data with {found}", flush=True)
        return replace(entry, found=found, validation=value)
    tuned = tune(
        entry.model,
        split,
        metric=task.chooses,
        trials=entry.trials,
        validation=task.validation(split),
        space=entry.space,
        sampled=task.sampled or None,
        prune=entry.prune,
        refit=False,
    )
    print(f"{entry.label}: {tuned}", flush=True)
    best = tuned.trials.filter(state="complete").sort("value", descending=True).row(0, named=True)
    return replace(entry, found={name: best[name] for name in entry.space}, validation=tuned.value)


def tested(task: Task, split: Split, entry: Entry) -> tuple[list[str], tuple[float, ...]]:
    """The model's row of the table, and its figures on the test part."""
    model = with_settings(entry.model, entry.found)
    models = [replace(model, seed=seed) for seed in entry.seeds] or [model]
    reports = [
        evaluate(m, split, metrics=task.metrics, sampled="published" if task.sampled else None)
        for m in models
    ]
    figures = tuple(float(np.median([r[metric] for r in reports])) for metric in task.metrics)
    validation = "" if entry.validation is None else f"{entry.validation:.4f}"
    fit, lists = (
        np.median([getattr(r, f"{what}_seconds") for r in reports]) for what in ("fit", "evaluation")
    )
    label = f"{entry.label}, median of {len(models)} seeds" if entry.seeds else entry.label
    return [label, *cells(figures), validation, f"{fit:.1f}", f"{lists:.1f}", described(model)], figures


def cells(figures: tuple[float, ...]) -> list[str]:
    return [f"{figure:.4f}" for figure in figures]


def described(model: Recommender[Any]) -> str:
    """The hyper-parameters that are not the defaults; of a blend, the weight of each model and those of the model."""
    if isinstance(model, tm.Blend):
        weights = model.parameters()["weights"]
        members = model._prototypes().items()
        return "; ".join(f"{weights[name]:g} {type(of).__name__}: {described(of)}" for name, of in members)
    usual = type(model)().parameters()
    changed = {name: value for name, value in model.parameters().items() if value != usual[name]}
    return ", ".join(f"{name}={rounded(value)}" for name, value in changed.items()) or "defaults"


def rounded(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def circumstances(split: Split) -> str:
    """The data, and where the models ran; one paragraph."""
    data = "; ".join(line.strip() for line in split.report().splitlines())
    return f"{data}; {threads()}, our kernels {_native.isa()}; {machine()}; {date.today():%d %B %Y}."


def run(task: Task, names: list[str], search: bool) -> Section:
    """Choose settings, test, and compare with what is published."""
    section, split = Section(task.title), task.split()
    section.say(circumstances(split))
    section.say(f"{task.protocol()} The other figures are as their authors published them.")
    rows, judged = [], []
    for entry in task.entries:
        if not names or entry.label in names:
            entry = chosen(task, split, entry, search)
            row, figures = tested(task, split, entry)
            print(" | ".join(row), flush=True)
            rows.append(row)
            judged.append((entry, figures))
    rows += [[name, *cells(figures), "", "", "", ""] for name, figures in task.published.items()]
    columns = ["", *task.metrics, f"validation {task.chooses}", "fit, s", "all lists, s", "settings"]
    section.table(columns, rows)
    judge(task, section, judged)
    return section


def judge(task: Task, section: Section, judged: list[tuple[Entry, tuple[float, ...]]]) -> None:
    """Judge the model that validation data put first, and those with a goal; what is best on the test part has no say."""
    verdicts = []
    tuned = [(entry.validation, entry.label, f) for entry, f in judged if entry.validation is not None]
    if tuned and task.least:
        _, label, figures = max(tuned)
        goal = f"{label}, the best on validation data, reaches {named(task, task.least)}"
        verdicts.append((goal, reaches(figures, task.least)))
    for entry, figures in judged:
        if entry.least:
            goal = f"{entry.label} reaches {named(task, entry.least)}"
            verdicts.append((goal, reaches(figures, entry.least)))
        if entry.published:
            near = bool(np.allclose(figures, entry.published, rtol=0, atol=0.001))
            verdicts.append((f"{entry.label} gives {named(task, entry.published)} within .001", near))
    for goal, met in verdicts:
        section.say(f"- {goal}: {'met' if met else 'MISSED'}.")
    section.met = all(met for _, met in verdicts)


def named(task: Task, figures: tuple[float, ...]) -> str:
    return ", ".join(f"{metric} {figure:.4f}" for metric, figure in zip(task.metrics, figures, strict=True))


def reaches(figures: tuple[float, ...], least: tuple[float, ...]) -> bool:
    return all(figure >= goal for figure, goal in zip(figures, least, strict=True))
