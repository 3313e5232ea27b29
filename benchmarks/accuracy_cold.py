"""Cold items on MovieLens-1M: a tenth of the movies lose all their training interactions, and lists are made of these alone.

An interaction is a rating of 4 or 5. Settings are chosen on a tenth of the other movies, made cold in the training part likewise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import tastemaker as tm
from accuracy_lists import circumstances
from accuracy_search import in_words, search
from genre_first import GenreFirst
from side_by_side import Section
from tastemaker import datasets
from tastemaker.data.row_splits import cold_items
from tastemaker.data.splits import Split
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.evaluation import evaluate
from tastemaker.evaluation.search_spaces import Choice, Range, Space, current_settings, with_settings
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.statistics import confidence_interval, paired_difference
from tastemaker.models.base import Recommender

COLD, LIKED, K = 0.1, 4, 10
SEEDS = (0, 1, 2)
BASELINES = {
    "most popular genre first": GenreFirst(),
    "the same, by interactions a film": GenreFirst(per_item=True),
}


@dataclass(frozen=True)
class Entry:
    """A model, where its settings are looked for, what --tune has found, and its NDCG on validation items."""

    label: str
    model: Recommender[Any]
    space: Space
    trials: int
    found: Mapping[str, Any] = field(default_factory=dict)
    validation: float | None = None
    seeds: tuple[int, ...] = (0,)

    def ndcg(self, split: Split, settings: Mapping[str, Any], seed: int = 0) -> Measurement:
        return ndcg(replace(with_settings(self.model, settings), seed=seed), split)

    def tuned(self, inner: Split) -> "Entry":
        first = current_settings(self.model, self.space)
        found, best = search(self.label, self.space, lambda s: self.ndcg(inner, s).value, self.trials, first)
        return replace(self, found=found, validation=best)

    def tested(self, split: Split) -> Measurement:
        """Of the seed that is in the middle."""
        measured = [self.ndcg(split, self.found, seed) for seed in self.seeds]
        return sorted(measured, key=lambda one: one.value)[len(measured) // 2]


ENTRIES = (
    Entry(
        "ContentBased",
        tm.ContentBased(weights={"text": 1.0, "year": 1.0}),
        {
            "text": Choice(("tfidf", "lsa")),
            "weights.text": Range(0.1, 3.0, log=True),
            "weights.year": Range(0.1, 3.0, log=True),
            "buckets": Range(5, 20),
        },
        found={"text": "lsa", "weights.text": 0.6599, "weights.year": 0.7908, "buckets": 10},
        validation=0.1643,
        trials=40,
    ),
    Entry(
        "TwoTower",
        tm.TwoTower(),
        {
            "epochs": Range(2, 12, log=True),
            "learning_rate": Range(3e-4, 1e-2, log=True),
            "temperature": Range(0.03, 0.3, log=True),
            "id_dropout": Range(0.0, 0.5),
        },
        found={"epochs": 5, "learning_rate": 0.001, "temperature": 0.1, "id_dropout": 0.1},
        validation=0.2419,
        trials=6,
        seeds=SEEDS,
    ),
    Entry(
        "PinSage",
        tm.PinSage(),
        {
            "epochs": Range(1, 8, log=True),
            "neighbors": Range(10, 100, log=True),
            "restart": Range(0.1, 0.7),
            "margin": Range(0.05, 0.7, log=True),
            "hide": Range(0.2, 0.9),
        },
        found={"epochs": 2, "neighbors": 50, "restart": 0.2, "margin": 0.3, "hide": 0.7},  # by hand
        validation=0.2130,
        trials=8,
        seeds=SEEDS,
    ),
)


def in_any_order(data: tm.Dataset) -> tm.Dataset:
    """The same data with item codes drawn anew: in the files the codes tell who is popular, and equal scores go by code."""
    order = np.random.default_rng(0).permutation(data.n_items)
    place = np.empty(data.n_items, np.int32)
    place[order] = np.arange(data.n_items)
    return replace(
        data,
        item=place[data.item],
        items=Vocabulary(data.items.ids[order]),
        item_features=data.item_features[order],
    )


def ndcg(model: Recommender[Any], split: Split) -> Measurement:
    return evaluate(model, split, metrics=f"ndcg@{K}").measurements[f"ndcg@{K}"]


def run(names: list[str], again: bool) -> Section:
    """Choose settings, test, and compare."""
    section, data = Section("Cold items of MovieLens-1M"), datasets.load("ml-1m")
    data = in_any_order(data.select(data.value >= LIKED).implicit())
    split = cold_items(data, COLD, seed=0)
    section.say(circumstances(split))
    section.say(
        f"Settings by the best NDCG@{K} on another tenth of the movies ("
        f"{', '.join(f'{entry.label}: {entry.trials} trials' for entry in ENTRIES)}, the first with the defaults); then one run "
        f"on the test part, the median of {len(SEEDS)} seeds where a model draws. Intervals over users."
    )
    tested = {label: ndcg(model, split) for label, model in BASELINES.items()}
    words = {label: ["", ""] for label in BASELINES}
    for entry in ENTRIES:
        if not names or entry.label in names:
            entry = entry.tuned(cold_items(split.train, COLD, seed=1)) if again else entry
            tested[entry.label] = entry.tested(split)
            reached = "" if entry.validation is None else f"{entry.validation:.4f}"
            words[entry.label] = [reached, in_words(entry.found) or "defaults"]
            print(f"{entry.label}: {tested[entry.label].value:.4f}", flush=True)
    columns = ["", f"NDCG@{K}", "95 % interval", f"validation NDCG@{K}", "settings"]
    section.table(columns, ([label, *figures(one), *words[label]] for label, one in tested.items()))
    for label in tested:
        if label not in BASELINES:
            judge(section, label, tested)
    return section


def figures(measured: Measurement) -> list[str]:
    interval = confidence_interval(measured)
    return [f"{measured.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}"]


def judge(section: Section, label: str, tested: Mapping[str, Measurement]) -> None:
    """Against the baseline that is the goal; against the harder one without a verdict."""
    goal, harder = (paired_difference(tested[label], tested[baseline]) for baseline in BASELINES)
    met = goal.low > 0
    section.met &= met
    section.lines.append(
        f"- {label} less {next(iter(BASELINES))}: **{goal.value:+.4f}** ({goal.low:+.4f} to {goal.high:+.4f}), above 0 beyond "
        f"the interval: {'met' if met else 'MISSED'}. Less the second, which is harder: {harder.value:+.4f} "
        f"({harder.low:+.4f} to {harder.high:+.4f})."
    )
