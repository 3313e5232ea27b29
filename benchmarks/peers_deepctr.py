"""DeepCTR-Torch's side of neural.py and accuracy_clicks.py, run by its own Python: python peers_deepctr.py TASK (see yardstick).

Its validation and its metrics take time of their own, so it is trained one epoch a call and judged outside the clock.
"""

import sys
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yardstick import Laps, area, peak_mb, serve


class Callback:
    """What DeepCTR-Torch takes from Keras: things that are told when an epoch begins and ends. Nothing here wants to know."""

    def __init__(self, callbacks: Any = (), **_: Any) -> None:
        self.model: Any = None

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_train_begin(self, logs: Any = None) -> None: ...

    def on_train_end(self, logs: Any = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None: ...


def stand_ins() -> None:
    """DeepCTR-Torch imports callbacks of Keras from TensorFlow and nothing else of it, and asks the web for newer versions."""
    name = ""
    for part in ("tensorflow", "python", "keras", "callbacks"):
        name = f"{name}.{part}".lstrip(".")
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__spec__ = ModuleSpec(name, None)  # others look whether there is a TensorFlow
    for needed in ("Callback", "CallbackList", "EarlyStopping", "History", "ModelCheckpoint"):
        setattr(sys.modules[name], needed, Callback)
    sys.modules["requests"] = ModuleType("requests")  # asking fails, which it allows for


stand_ins()
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat  # noqa: E402  after the stand-ins
from deepctr_torch.models import DeepFM  # noqa: E402

Inputs = dict[str, NDArray[Any]]


def columns(data: Mapping[str, NDArray[Any]], factors: int) -> list[Any]:
    """Its description of the features: the same tables as RecBole and we have."""
    sizes = dict(zip(("user", "item"), data["shape"], strict=True))
    sizes |= {f"user_{n}": column.max() + 1 for n, column in enumerate(data["user_features"].T)}
    sizes["year"] = data["year"].max() + 1
    genres = SparseFeat("genres", int(data["genres"].max()) + 1, embedding_dim=factors)
    return [
        *(SparseFeat(name, int(size), embedding_dim=factors) for name, size in sizes.items()),
        VarLenSparseFeat(genres, maxlen=data["genres"].shape[1], combiner="mean"),
    ]


def inputs(data: Mapping[str, NDArray[Any]], part: int) -> tuple[Inputs, NDArray[np.float32]]:
    """What it takes for the rows of a part, and their labels."""
    rows = data["part"] == part
    user, item = data["user"][rows], data["item"][rows]
    features = {f"user_{n}": column[user] for n, column in enumerate(data["user_features"].T)}
    about = {"user": user, "item": item, "year": data["year"][item], "genres": data["genres"][item]}
    return {**about, **features}, data["label"][rows]


class Run:
    """A DeepFM on arrays, ready to be trained."""

    def __init__(self, task: dict[str, Any], seed: int = 0) -> None:
        torch.set_num_threads(task["threads"])
        with np.load(task["data"]) as file:
            data = dict(file)
        self.train, self.valid, self.test = (inputs(data, part) for part in range(3))
        features = columns(data, task["factors"])
        penalty = task.get("regularization", 0.0) * task["batch"] / 2  # it adds the losses of a batch up
        self.model = DeepFM(
            features,
            features,
            dnn_hidden_units=tuple(task["layers"]),
            dnn_dropout=task["dropout"],
            l2_reg_linear=penalty,
            l2_reg_embedding=penalty,
            seed=seed,
            device=task.get("device", "cpu"),
        )
        optimizer = torch.optim.Adam(self.model.parameters(), lr=task["learning_rate"])
        self.model.compile(optimizer, "binary_crossentropy")
        self.batch = task["batch"]

    def epoch(self) -> None:
        self.model.fit(*self.train, batch_size=self.batch, epochs=1, verbose=0)

    def scores(self, part: tuple[Inputs, NDArray[np.float32]]) -> NDArray[np.float64]:
        return self.model.predict(part[0], batch_size=1 << 14).ravel()

    def judge(self) -> float:
        return area(self.valid[1], self.scores(self.valid))


def deepfm(task: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each epoch, and the AUC on validation rows after it."""
    run, values = Run(task), []
    laps = Laps()
    for _ in range(task["epochs"]):
        run.epoch()
        laps(lambda: values.append(run.judge()))
    return {"laps": laps.seconds, "busy": laps.busy, "values": values, "peak": peak_mb()}


def predict(task: dict[str, Any]) -> dict[str, Any]:
    """Train until the AUC on validation rows has not risen for ``patience`` epochs; the best, and then the test rows' figures.

    Only a task with ``out`` looks at the test rows.
    """
    run, values, best = Run(task, task["seed"]), [], None
    while len(values) < task["epochs"] and len(values) - np.argmax([*values, 0]) <= task["patience"]:
        run.epoch()
        values.append(run.judge())
        if "out" in task and values[-1] == max(values):
            best = run.scores(run.test)
    if "out" in task:
        np.save(task["out"], best)
    return {"value": max(values), "epochs": int(np.argmax(values)) + 1}


if __name__ == "__main__":
    serve("deepctr-torch", {"deepfm": deepfm, "predict": predict})
