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

import tastemaker as tm
from page import write
from ratings import machine
from side_by_side import Section
from tastemaker import _native, datasets
from tastemaker.data.splits import Split, holdout
from tastemaker.evaluation import evaluate, tune
from tastemaker.evaluation.search_spaces import Range, Space, with_settings
from tastemaker.models.base import Recommender


@dataclass(frozen=True)
class Entry:
    """A model for a task.

    Attributes:
        label: what the table calls it.
        model: with the hyper-parameters that are not searched for.
        space: where to look for the others; empty where --tune has nothing to look for.
        trials: how many settings are tried.
        found: the best of them by --tune.
        validation: what it reached there, by the metric that chooses; None for settings that somebody has published.
    """

    label: str
    model: Recommender[Any]
    space: Space = field(default_factory=dict)
    trials: int = 0
    found: Mapping[str, Any] = field(default_factory=dict)
    validation: float | None = None


@dataclass(frozen=True)
class Task:
    """A published split, what others have reached on it, and our models for it.

    Attributes:
        title: of the section.
        data, fold: the split, by its names in tastemaker.datasets.
        metrics: what is reported.
        chooses: the one of them that chooses the settings.
        held_out: the share of each user's training interactions that makes the validation part.
        published: figures of others, in the order of the metrics.
        least: what a model has to reach whose settings validation data have chosen.
    """

    title: str
    data: str
    fold: str
    metrics: tuple[str, ...]
    chooses: str
    held_out: float
    published: Mapping[str, tuple[float, ...]]
    least: tuple[float, ...]
    entries: tuple[Entry, ...]

    def split(self) -> Split:
        return datasets.folds(self.data)[self.fold]

    def validation(self, split: Split) -> Split:
        """Cut from the training part as the publisher cut the test part: at random from each user."""
        return holdout(split.train, ratings=self.held_out, seed=0)


def chosen(task: Task, split: Split, entry: Entry, search: bool) -> Entry:
    """The entry as it is, or with what a new search finds."""
    if not search or not entry.space:
        return entry
    tuned = tune(
        entry.model,
        split,
        metric=task.chooses,
        trials=entry.trials,
        validation=task.validation(split),
        space=entry.space,
        refit=False,
    )
    print(f"{entry.label}: {tuned}", flush=True)
    best = tuned.trials.filter(state="complete").sort("value", descending=True).row(0, named=True)
    return replace(entry, found={name: best[name] for name in entry.space}, validation=tuned.value)


def tested(task: Task, split: Split, entry: Entry) -> tuple[list[str], tuple[float, ...]]:
    """The model's row of the table, and its figures on the test part."""
    model = with_settings(entry.model, entry.found)
    report = evaluate(model, split, metrics=task.metrics)
    figures = tuple(report[metric] for metric in task.metrics)
    validation = "published settings" if entry.validation is None else f"{entry.validation:.4f}"
    seconds = [f"{report.fit_seconds:.0f}", f"{report.evaluation_seconds:.0f}"]
    return [entry.label, *cells(figures), validation, *seconds, described(model)], figures


def cells(figures: tuple[float, ...]) -> list[str]:
    return [f"{figure:.4f}" for figure in figures]


def described(model: Recommender[Any]) -> str:
    """The hyper-parameters that are not the defaults."""
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
    section.say(
        f"Settings by the best {task.chooses} on {task.held_out:.0%} of each user's training interactions, held out at "
        "random; then one run on the test part. The other figures are as their authors published them."
    )
    rows, judged = [], []
    for entry in task.entries:
        if not names or entry.label in names:
            entry = chosen(task, split, entry, search)
            row, figures = tested(task, split, entry)
            print(" | ".join(row), flush=True)
            rows.append(row)
            if entry.validation is not None:
                judged.append((entry.validation, entry.label, figures))
    rows += [[name, *cells(figures), "", "", "", ""] for name, figures in task.published.items()]
    columns = ["", *task.metrics, f"validation {task.chooses}", "fit, s", "all lists, s", "settings"]
    section.table(columns, rows)
    judge(task, section, judged)
    return section


def judge(task: Task, section: Section, judged: list[tuple[float, str, tuple[float, ...]]]) -> None:
    """Judge the model that validation data put first; what is best on the test part has no say."""
    goal = ", ".join(f"{m} {least:.4f}" for m, least in zip(task.metrics, task.least, strict=True))
    if judged:
        _, label, figures = max(judged)
        section.met = all(f >= least for f, least in zip(figures, task.least, strict=True))
        verdict = "met" if section.met else "MISSED"
        section.say(f"- {label}, the best on validation data, reaches {goal}: {verdict}.")


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
            found={"sharpen": 1.5, "user_exponent": 0.3, "item_exponent": 0.35, "popularity": 0.2},
            validation=0.1514,
        ),
        Entry(  # the best of a grid on a thousand validation users; tested after the others, when their figures were known
            "GraphFilter, BSPM's exponents",
            tm.GraphFilter(factors=256, low_pass=0.2, sharpen=2.5),
            validation=0.1389,
        ),
        Entry("GraphFilter, as GF-CF", tm.GraphFilter()),
        Entry("GraphFilter, as BSPM", tm.GraphFilter(factors=448, low_pass=0.2, sharpen=2.5)),
    ),
)

TASKS = {"gowalla": GOWALLA}


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
