"""Accuracy on splits that others have published figures for, with settings that validation data alone have chosen.

    TASTEMAKER_DATA=... make bench BENCH=accuracy ARGS="gowalla --tune --write"

Tasks are chosen by name, all by default, and models within them by --models. Without --tune the settings are those below, which
--tune has found; --tune searches again, by the same seed. Either way the test part is looked at once, at the end. --write puts
the tables into docs/benchmarks.md. Exit code 1: a target is missed.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

import tastemaker as tm
from blending import tune_weights
from page import write
from ratings import machine
from side_by_side import Section
from tastemaker import _native, datasets
from tastemaker.data.splits import Split, holdout, leave_last_out
from tastemaker.evaluation import evaluate, tune
from tastemaker.evaluation.search_spaces import Choice, Range, Space, with_settings
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
    return f"{data}; {_native.threads()} threads, our kernels {_native.isa()}; {machine()}; {date.today():%d %B %Y}."


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


GOWALLA = Task(
    title="Accuracy on Gowalla, LightGCN's split",
    data="gowalla",
    fold="test",
    metrics=("recall@20", "ndcg@20"),
    chooses="ndcg@20",
    held_out=0.2,
    published={
        "BSPM": (0.1920, 0.1597),
        "SimpleX": (0.1872, 0.1557),
        "UltraGCN": (0.1862, 0.1580),
        "GF-CF": (0.1849, 0.1518),
        "LightGCN": (0.1830, 0.1554),
        "EASE": (0.1765, 0.1467),
    },
    least=(0.1872, 0.1580),
    entries=(
        Entry(
            "Blend",
            # by hand on three thousand users of the same validation part, but for the weights, which --tune searches for
            tm.Blend(
                models={
                    "graph_filter": tm.GraphFilter(
                        low_pass=0.1, sharpen=1.5, user_exponent=0.3, item_exponent=0.35, popularity=0.2
                    ),
                    "slim": tm.SLIM(),
                    "als": tm.ImplicitALS(
                        factors=256,
                        epochs=11,
                        regularization=0.0012,
                        regularization_exponent=0.66,
                        unobserved_weight=0.0138,
                    ),
                },
                weights={"graph_filter": 1.0, "slim": 2.1, "als": 1.3},
            ),
            space={"weights.slim": Range(0.5, 4.0), "weights.als": Range(0.3, 3.0)},
            trials=60,
            found={"weights.slim": 3.1, "weights.als": 1.9},
            validation=0.1585,
        ),
        Entry(
            "GraphFilter, no low-pass",
            # a coarse grid on a thousand users of the same validation part led here, and set the ranges
            tm.GraphFilter(low_pass=0.0, sharpen=1.5, user_exponent=0.3, item_exponent=0.35, popularity=0.2),
            space={
                "sharpen": Range(1.0, 2.5),
                "user_exponent": Range(0.1, 0.5),
                "item_exponent": Range(0.2, 0.5),
                "popularity": Range(0.05, 0.4),
            },
            trials=24,
            prune=True,
            found={"sharpen": 1.5, "user_exponent": 0.3, "item_exponent": 0.35, "popularity": 0.2},
            validation=0.1514,
        ),
        Entry(  # the best of a grid on a thousand validation users; tested after the others, when their figures were known
            "GraphFilter, BSPM's exponents",
            tm.GraphFilter(factors=256, low_pass=0.2, sharpen=2.5),
            validation=0.1389,
        ),
        Entry(
            "ImplicitALS",
            tm.ImplicitALS(
                factors=512,
                epochs=12,
                regularization=0.003,
                regularization_exponent=0.8,
                unobserved_weight=0.01,
            ),
            space={
                "epochs": Range(8, 24, log=True),
                "regularization": Range(0.0005, 0.03, log=True),
                "regularization_exponent": Range(0.6, 1.0),
                "unobserved_weight": Range(0.004, 0.03, log=True),
            },
            trials=15,
            found={
                "epochs": 24,
                "regularization": 0.004699284218233549,
                "regularization_exponent": 0.9890737439859537,
                "unobserved_weight": 0.016887593939006032,
            },
            validation=0.1411,
        ),
        Entry("GraphFilter, as GF-CF", tm.GraphFilter()),
        Entry("GraphFilter, as BSPM", tm.GraphFilter(factors=448, low_pass=0.2, sharpen=2.5)),
    ),
)

NCF = Task(
    title="Accuracy on NCF's MovieLens-1M files",
    data="ncf-ml-1m",
    fold="test",
    metrics=("hit_rate@10", "ndcg@10"),
    chooses="ndcg@10",
    held_out=None,
    sampled=99,
    published={
        "iALS of irspack, 192 factors": (0.7310, 0.4521),
        "matrix factorization (Rendle et al., 2020)": (0.7294, 0.4523),
        "EASE, as published": (0.7192, 0.4494),
        "NeuMF": (0.7093, 0.4349),
        "ItemKNN, as published": (0.6694, 0.3979),
        "TopPopular, as published": (0.4533, 0.2542),
    },
    least=(),
    entries=(
        Entry("TopPopular", tm.Popularity(), published=(0.4533, 0.2542)),
        Entry(
            "ImplicitALS",
            # the search starts where the literature stands
            tm.ImplicitALS(factors=192, epochs=12, regularization=0.007, unobserved_weight=0.3),
            space={
                "factors": Range(64, 512, log=True),
                "epochs": Range(5, 30, log=True),
                "regularization": Range(0.001, 0.03, log=True),
                "unobserved_weight": Range(0.03, 1.0, log=True),
            },
            trials=60,
            found={
                "factors": 215,
                "epochs": 19,
                "regularization": 0.006673952063839234,
                "unobserved_weight": 0.3212004544294536,
            },
            validation=0.5040,
            seeds=(0, 1, 2),
            least=(0.728, 0.449),
        ),
        Entry(
            "EASE",
            tm.EASE(),
            space={"regularization": Range(50.0, 5000.0, log=True)},
            trials=20,
            found={"regularization": 994.5364607221011},
            validation=0.4989,
        ),
        Entry("GraphFilter, as GF-CF", tm.GraphFilter()),
        Entry(
            "ItemKNN",
            tm.ItemKNN(),
            space={
                "neighbors": Range(10, 500, log=True),
                "similarity": Choice(("cosine", "jaccard", "bm25")),
            },
            trials=15,
            found={"neighbors": 214, "similarity": "bm25"},
            validation=0.4269,
        ),
    ),
)

TASKS = {"gowalla": GOWALLA, "ncf": NCF}


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="task", help=f"of {', '.join(TASKS)}; all by default")
    parser.add_argument(
        "--models", nargs="+", default=[], metavar="label", help="of the tables; all by default"
    )
    parser.add_argument("--tune", action="store_true", help="search for the settings again")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(TASKS):
        parser.error(f"no task {', '.join(sorted(unknown))}; there are {', '.join(TASKS)}")
    done = [run(TASKS[name], args.models, args.tune) for name in args.tasks or TASKS]
    for section in done:
        print(section.markdown(), flush=True)
    if args.write:
        write(done)
    return all(section.met for section in done)


if __name__ == "__main__":
    sys.exit(not main())
