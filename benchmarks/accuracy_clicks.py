"""MovieLens-1M as click-through: who would like what, from ids and what is known about users and movies.

A rating of 4 or 5 is a click, 1 or 2 none, 3 is left out; 80 % of the rows at random to learn from, 10 % to choose settings by,
10 % to test on. No time features: later users' timestamps are ranks. All libraries get the same rows and features, the same size
of embeddings and layers, and the same search with as many trials.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from accuracy_search import in_words, search
from neural_data import USER_FEATURES, clicks_dataset, clicks_ml_1m
from ratings import machine
from side_by_side import Bench, Job, Section
from tastemaker import _native
from tastemaker.evaluation.search_spaces import Range, Space, with_settings
from tastemaker.metrics.calibration import calibration_curve, calibration_error, calibration_plot
from tastemaker.metrics.classification import auc_global, log_loss
from tastemaker.metrics.measurement import Measurement
from tastemaker.metrics.predictions import Predictions
from tastemaker.metrics.roc import roc_curve, roc_plot
from tastemaker.metrics.statistics import confidence_interval, paired_difference
from tastemaker.models.base import Recommender
from tastemaker.models.neural.specs import Bag, Categorical, Cross, FeatureSpec, Id
from yardstick import area

SEEDS = (0, 1, 2)
TRIALS = 15
EPOCHS, PATIENCE = 15, 2  # at most; without a better AUC on validation rows
FACTORS, LAYERS, BATCH = 10, (128, 128, 128), 2048
DEEPCTR = "DeepFM of DeepCTR-Torch"

REGULARIZATION = Range(1e-8, 1e-4, log=True)
LINEAR: Space = {"learning_rate": Range(1e-3, 0.1, log=True), "regularization": REGULARIZATION}
FACTORED: Space = {"learning_rate": Range(3e-4, 1e-2, log=True), "regularization": REGULARIZATION}
DEEP: Space = {**FACTORED, "dropout": Range(0.0, 0.5)}
WIDE_AND_DEEP: Space = {
    **DEEP,
    "learning_rate": Range(5e-3, 5e-2, log=True),  # of AdaGrad, as the next
    "embedding_learning_rate": Range(2e-2, 0.2, log=True),
    "regularization": Range(1e-5, 1e-3, log=True),
    "l1": Range(0.3, 30.0, log=True),
}
BY_HAND = {
    "learning_rate": 0.02,
    "embedding_learning_rate": 0.05,
    "regularization": 1e-4,
    "dropout": 0.0,
    "l1": 5.0,
}

PEOPLE = tuple(f"user_{n}" for n in range(len(USER_FEATURES)))
CROSSED = FeatureSpec(  # what the tables suggest, and the crosses of the wide part
    user=(Id("user"), *map(Categorical, PEOPLE)),
    item=(Id("item"), Categorical("year"), Bag("genres")),
    crosses=(*(Cross(f"user.{name}", "item.id") for name in PEOPLE), Cross("user.id", "item.genres")),
)


@dataclass(frozen=True)
class Entry:
    """A model (None: DeepCTR-Torch's), where its settings are looked for, what --tune has found, its AUC on validation rows then,
    in how many trials, and the settings of the first, if not drawn."""

    label: str
    model: Recommender[Any] | None
    space: Space
    found: Mapping[str, Any] = field(default_factory=dict)
    validation: float | None = None
    trials: int = TRIALS
    first: Mapping[str, Any] | None = None


EMBEDDED: dict[str, Any] = {"factors": FACTORS, "batch_size": BATCH}
NETWORK = {**EMBEDDED, "hidden": LAYERS}
ENTRIES = (
    Entry(
        "LogisticRegression",
        tm.LogisticRegression(batch_size=BATCH),
        LINEAR,
        {"learning_rate": 0.005066, "regularization": 3.794e-07, "epochs": 13},
        0.8717,
    ),
    Entry(
        "FactorizationMachine",
        tm.FactorizationMachine(**EMBEDDED),
        FACTORED,
        {"learning_rate": 0.006431, "regularization": 3.516e-06, "epochs": 9},
        0.8974,
    ),
    Entry(
        "WideAndDeep",
        tm.WideAndDeep(**NETWORK, features=CROSSED),
        WIDE_AND_DEEP,
        {**BY_HAND, "epochs": 5},
        0.9009,
        trials=1,
        first=BY_HAND,
    ),
    Entry(
        "DeepFM",
        tm.DeepFM(**NETWORK),
        DEEP,
        {"learning_rate": 0.002199, "regularization": 5.039e-05, "dropout": 0.03552, "epochs": 7},
        0.8985,
        trials=5,
    ),
    Entry(
        DEEPCTR,
        None,
        DEEP,
        {"learning_rate": 0.002199, "regularization": 5.039e-05, "dropout": 0.03552},
        0.8970,
        trials=5,
    ),
)

# The difference of the AUC of the first to that of the second that is asked for; None: above 0 beyond the 95 % interval.
GOALS: tuple[tuple[str, str, float | None], ...] = (
    ("FactorizationMachine", "LogisticRegression", None),
    ("WideAndDeep", "FactorizationMachine", -0.001),
    ("DeepFM", "FactorizationMachine", -0.001),
    ("DeepFM", DEEPCTR, -0.002),
)


@dataclass(frozen=True, eq=False)
class Rows:
    """The impressions, as arrays and as Datasets, parted."""

    arrays: Mapping[str, NDArray[Any]]
    parts: tuple[tm.Dataset, ...]
    bench: Bench

    @classmethod
    def of(cls, bench: Bench) -> "Rows":
        clicks_ml_1m(bench.data)
        with np.load(bench.data) as file:
            arrays = dict(file)
        data = clicks_dataset(arrays)
        return cls(arrays, tuple(data.select(arrays["part"] == part) for part in range(3)), bench)

    def labels(self, part: int) -> NDArray[np.float32]:
        labels: NDArray[np.float32] = self.arrays["label"][self.arrays["part"] == part]
        return labels


def ours(
    model: Recommender[Any], rows: Rows, settings: Mapping[str, Any], seed: int, part: int
) -> NDArray[np.float64]:
    """Probabilities of the rows of a part."""
    train, asked = rows.parts[0], rows.parts[part]
    fitted = with_settings(model, {**settings, "seed": seed}).fit(train)
    return np.asarray(fitted.predict_codes(asked.user, asked.item), np.float64)


def theirs(rows: Rows, settings: Mapping[str, Any], seed: int, **more: Any) -> dict[str, Any]:
    """What DeepCTR-Torch reports; its own validation says after which epoch it was best."""
    size = {"factors": FACTORS, "layers": LAYERS, "batch": BATCH}
    stop = {"epochs": EPOCHS, "patience": PATIENCE}
    usual = {"learning_rate": 1e-3, "dropout": 0.2}
    task = {"job": "predict", **size, **usual, **settings, **stop, **more, "seed": seed}
    job = Job("deepctr", "DeepFM", task)
    rows.bench.run(job)
    return job.first


def over(values: list[float]) -> bool:
    """Whether the last epochs, as many as patience goes, were no better than one before."""
    return len(values) > PATIENCE and max(values) > max(values[-PATIENCE:])


class Trials:
    """The AUC on validation rows with given settings, after the best epoch, which is noted: the same for every library."""

    def __init__(self, entry: Entry, rows: Rows) -> None:
        self.entry, self.rows = entry, rows
        self.epochs: dict[float, int] = {}  # by the AUC

    def __call__(self, settings: dict[str, Any]) -> float:
        if self.entry.model is None:
            reached = theirs(self.rows, settings, 0)
            value, epochs = float(reached["value"]), int(reached["epochs"])
        else:
            values = self._after_each_epoch(self.entry.model, settings)
            value, epochs = max(values), values.index(max(values)) + 1
        self.epochs[value] = epochs
        return value

    def _after_each_epoch(self, model: Recommender[Any], settings: dict[str, Any]) -> list[float]:
        """Until it has not risen for some epochs; each goes on from the checkpoint of the one before."""
        values: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            state = {"checkpoint": Path(folder) / "state"}
            while len(values) < EPOCHS and not over(values):
                so_far = {**settings, **state, "epochs": len(values) + 1}
                values.append(area(self.rows.labels(1), ours(model, self.rows, so_far, 0, 1)))
        return values


def on_test(entry: Entry, rows: Rows, seed: int) -> NDArray[np.float64]:
    """Probabilities of the test rows."""
    if entry.model is not None:
        return ours(entry.model, rows, entry.found, seed, 2)
    out = rows.bench.folder / f"deepctr-{seed}.npy"
    theirs(rows, entry.found, seed, out=str(out))
    return np.asarray(np.load(out), np.float64)


@dataclass(frozen=True, eq=False)
class Tested:
    """The seed with the median AUC of a model: its AUC and log loss on the test rows."""

    entry: Entry
    pairs: Predictions
    auc: Measurement
    loss: Measurement

    @classmethod
    def of(cls, entry: Entry, rows: Rows) -> "Tested":
        users, labels = rows.parts[2].user, rows.labels(2)
        pairs = [Predictions.of(users, labels, on_test(entry, rows, s), relevant_from=0.5) for s in SEEDS]
        median = sorted(pairs, key=lambda p: auc_global(p).value)[len(SEEDS) // 2]
        return cls(entry, median, auc_global(median), log_loss(median))

    def cells(self) -> list[str]:
        entry, interval = self.entry, confidence_interval(self.auc)
        return [
            entry.label,
            f"{self.auc.value:.4f}",
            f"{interval.low:.4f} to {interval.high:.4f}",
            f"{self.loss.value:.4f}",
            f"{calibration_error(self.pairs).value:.4f}",
            "" if entry.validation is None else f"{entry.validation:.4f}",
            "" if entry.validation is None else str(entry.trials),
            in_words(entry.found) or "defaults",
        ]


def run(names: list[str], again: bool) -> Section:
    """Choose settings, test, and compare."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows.of(Bench(Path(folder), 1, threads=1))
        tested = {}
        for entry in ENTRIES:
            if not names or entry.label in names:
                chosen = tuned(entry, rows) if again else entry
                tested[entry.label] = Tested.of(chosen, rows)
                print(" | ".join(tested[entry.label].cells()), flush=True)
        return compared(tested, rows)


def tuned(entry: Entry, rows: Rows) -> Entry:
    """With the settings that a new search has found."""
    trials = Trials(entry, rows)
    found, value = search(entry.label, entry.space, trials, entry.trials, entry.first)
    return replace(entry, found={**found, "epochs": trials.epochs[value]}, validation=value)


def compared(tested: Mapping[str, Tested], rows: Rows) -> Section:
    """Everything in a table, the differences that were asked for, and the curves."""
    section = Section("Accuracy on MovieLens-1M as click-through")
    section.say(circumstances(rows))
    section.table(
        [
            "",
            "AUC",
            "95 % interval",
            "log loss",
            "calibration error",
            "validation AUC",
            "trials",
            "settings",
        ],
        (one.cells() for one in tested.values()),
    )
    for better, worse, least in GOALS:
        if better in tested and worse in tested:
            judge(section, tested[better], tested[worse], least)
        else:
            section.lines.append(f"- AUC of {better} less that of {worse}: not measured.")
    section.lines.append("")
    section.picture("clicks.png", curves(tested), "ROC and calibration curves on the test rows")
    return section


def curves(tested: Mapping[str, Tested]) -> Any:
    """ROC and calibration side by side."""
    roc = roc_plot({label: roc_curve(one.pairs) for label, one in tested.items()})
    calibration = calibration_plot({label: calibration_curve(one.pairs) for label, one in tested.items()})
    return (roc | calibration).resolve_scale(color="independent")


def judge(section: Section, better: Tested, worse: Tested, least: float | None) -> None:
    difference = paired_difference(better.auc, worse.auc)
    met = difference.low > 0 if least is None else difference.value >= least
    section.met &= met
    goal = "above 0 beyond the interval" if least is None else f"at least {least:g}"
    section.lines.append(
        f"- AUC of {better.entry.label} less that of {worse.entry.label}: **{difference.value:+.4f}** "
        f"({difference.low:+.4f} to {difference.high:+.4f}), {goal}: {'met' if met else 'MISSED'}."
    )


def circumstances(rows: Rows) -> str:
    sizes = " / ".join(f"{len(part):,}" for part in rows.parts)
    versions = [f"{name} {version}" for name, version in rows.bench.versions.items()]
    where = "; ".join([*versions, f"our kernels {_native.isa()}", machine(), f"{date.today():%d %B %Y}"])
    return (
        f"{sizes} rows to learn from, to choose by, to test on; embeddings of {FACTORS}, layers {LAYERS}, batches of {BATCH}. "
        f"Settings by the best AUC on validation rows in so many trials, epochs until it had not risen for {PATIENCE}; "
        f"then {len(SEEDS)} seeds on the test rows, of which the median is shown. Intervals over users. {where}."
    )
