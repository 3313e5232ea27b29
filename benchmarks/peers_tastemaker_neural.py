"""Our side of neural.py, with the same tasks as the peers': python peers_tastemaker_neural.py TASK (see yardstick.serve).

To judge the weights after each epoch, an epoch at a time is trained, each going on from the checkpoint of the one before: the
weights are those of one long fit. An epoch's seconds hold the writing of its checkpoint.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from neural_data import clicks_dataset
from tastemaker import _native
from tastemaker.data.splits import Split
from tastemaker.models.base import Recommender
from tastemaker.progress import Progress, Task, use
from yardstick import Laps, area, ndcg_among, peak_mb, serve

Judge = Callable[[Recommender[Any]], float]


class Stopwatch(Progress, Task):
    """Seconds of the last step reported, and those of the processor.

    The clock starts anew with each task: what comes before the first step is left out.
    """

    def __init__(self) -> None:
        self._laps = Laps()

    def start(self, task: str, total: int, unit: str = "") -> Task:
        self._laps = Laps()
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._laps()

    @property
    def last(self) -> tuple[float, float]:
        return self.laps[-1]

    @property
    def laps(self) -> list[tuple[float, float]]:
        """The same of all steps of the last task."""
        return list(zip(self._laps.seconds, self._laps.busy, strict=True))


def arrays(task: dict[str, Any]) -> dict[str, NDArray[Any]]:
    _native.set_threads(task["threads"])
    with np.load(task["data"]) as file:
        return dict(file)


def epochs(
    make: Callable[..., Recommender[Any]], data: tm.Dataset, task: dict[str, Any], judge: Judge
) -> dict[str, Any]:
    """Seconds of each epoch, and what ``judge`` says of the model after it."""
    common = {
        "learning_rate": task["learning_rate"],
        "batch_size": task["batch"],
        "regularization": 0.0,
        "device": task.get("device", "cpu"),
    }
    laps, values, watch = [], [], Stopwatch()
    with tempfile.TemporaryDirectory() as folder, use(watch):
        for epoch in range(1, task["epochs"] + 1):
            model = make(**common, epochs=epoch, checkpoint=Path(folder) / "state")
            model.fit(data)
            laps.append(watch.last)
            values.append(judge(model))
    seconds, busy = zip(*laps, strict=True)
    return {"laps": seconds, "busy": busy, "values": values, "peak": peak_mb()}


def neumf(task: dict[str, Any]) -> dict[str, Any]:
    data = arrays(task)
    train = tm.Dataset.from_interactions({"user": data["user"], "item": data["item"]})
    items = data["candidates"]
    users = np.repeat(data["valid_user"], items.shape[1])

    def make(**settings: Any) -> tm.NeuMF:
        size = {"factors": task["factors"], "tower": tuple(task["layers"])}
        return tm.NeuMF(**size, negatives=task["negatives"], **settings)

    def judge(model: Recommender[Any]) -> float:
        return ndcg_among(model.predict(users, items.ravel()).reshape(items.shape))

    report = epochs(make, train, task, judge)
    return {**report, **evaluation(make, data, task)} if task.get("evaluate") else report


def evaluation(
    make: Callable[..., tm.NeuMF], data: dict[str, NDArray[Any]], task: dict[str, Any]
) -> dict[str, Any]:
    """Seconds to rank the full catalogue for all users with a held-out item, and the NDCG@10."""
    user = np.concatenate([data["user"], data["valid_user"]])
    item = np.concatenate([data["item"], data["candidates"][:, 0]])
    both = tm.Dataset.from_interactions({"user": user, "item": item})
    held_out = np.arange(len(both)) >= len(data["user"])
    split = Split(both.select(~held_out), both.select(held_out))
    model = make(epochs=task["epochs"], batch_size=task["batch"], learning_rate=task["learning_rate"])
    report = tm.evaluate(model, split, metrics="ndcg@10")
    return {"evaluation": report.evaluation_seconds, "ndcg": report["ndcg@10"], "users": report.counts.lists}


def deepfm(task: dict[str, Any]) -> dict[str, Any]:
    data = arrays(task)
    shown = clicks_dataset(data)
    train, valid = (shown.select(data["part"] == part) for part in range(2))

    def make(**settings: Any) -> tm.DeepFM:
        size = {"factors": task["factors"], "hidden": tuple(task["layers"])}
        return tm.DeepFM(**size, dropout=task["dropout"], **settings)

    def judge(model: Recommender[Any]) -> float:
        return area(valid.value, model.predict_codes(valid.user, valid.item))

    return epochs(make, train, task, judge)


if __name__ == "__main__":
    serve("tastemaker", {"neumf": neumf, "deepfm": deepfm})
