"""RecTools' side of sequences.py, run by its own Python: python peers_rectools.py TASK (see yardstick.serve).

Its model is trained by one call of its ``fit``; a callback of Lightning looks at the weights after each epoch, outside the clock.
"""

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from yardstick import Laps, ndcg_of_lists, peak_mb, serve

for name in ("pytorch_lightning", "lightning", "lightning_fabric"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


def dataset(data: dict[str, NDArray[Any]]) -> Dataset:
    """The training pairs, whose times are their places in the table."""
    frame = pd.DataFrame({Columns.User: data["user"], Columns.Item: data["item"], Columns.Weight: 1.0})
    frame[Columns.Datetime] = pd.to_datetime(np.arange(len(frame)), unit="s")
    return Dataset.construct(frame)


class Judge(Callback):
    """Seconds of each epoch, and how well the lists fit that the model makes after it."""

    def __init__(self, model: SASRecModel, data: dict[str, NDArray[Any]], train: Dataset) -> None:
        self.model, self.data, self.train = model, data, train
        self.values: list[float] = []

    def __deepcopy__(self, _: dict[int, Any]) -> "Judge":
        """RecTools trains with a copy of its trainer, which is to report here all the same."""
        return self

    def on_train_start(self, *_: Any) -> None:
        self.laps = Laps()

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        self.laps(self.judge)
        module.train()

    def judge(self) -> None:
        self.model.is_fitted = True
        users = self.data["valid_user"]
        found = self.model.recommend(users, self.train, k=10, filter_viewed=True)
        lists = found[Columns.Item].to_numpy().reshape(len(users), 10)
        self.values.append(ndcg_of_lists(lists, self.data["valid_item"]))


def sasrec(task: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(task["threads"])
    seed_everything(0)
    with np.load(task["data"]) as file:
        data = dict(file)
    train = dataset(data)
    model = SASRecModel(
        n_blocks=task["blocks"],
        n_heads=task["heads"],
        n_factors=task["factors"],
        dropout_rate=task["dropout"],
        session_max_len=task["length"],
        loss=task["loss"],
        lr=task["learning_rate"],
        batch_size=task["batch"],
    )
    judge = Judge(model, data, train)
    model._trainer = Trainer(  # as its documentation has it
        max_epochs=task["epochs"],
        accelerator="gpu" if task.get("device") == "cuda" else "cpu",
        devices=1,
        callbacks=[judge],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model.fit(train)
    laps, taught = judge.laps, np.minimum(np.bincount(data["user"]) - 1, task["length"]).clip(0)
    report = {"laps": laps.seconds, "busy": laps.busy, "values": judge.values, "peak": peak_mb()}
    return {**report, "targets": int(taught.sum())}


if __name__ == "__main__":
    serve("rectools", {"sasrec": sasrec})
