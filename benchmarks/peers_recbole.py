"""RecBole's side of neural.py, run by its own Python: python peers_recbole.py TASK (see yardstick.serve).

RecBole reads text files of its own kind, written here before the clock starts. Its trainer runs epoch by epoch as its ``fit``
does, without the checkpoint of each epoch; weights are judged after each, outside the clock.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yardstick import Laps, area, ndcg_among, peak_mb, serve, timed

NAME = "ml-1m-arrays"


def without_ray() -> None:
    """RecBole imports Ray, which it needs for its search alone and which few versions of Python have: an empty module does."""
    for name in ("ray", "ray.tune", "ray.tune.schedulers", "ray.tune.search", "ray.tune.suggest"):
        module = ModuleType(name)
        module.__getattr__ = lambda _: None  # type: ignore[method-assign]
        sys.modules.setdefault(name, module)


without_ray()
from recbole.config import Config  # noqa: E402  after the empty module
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.data.interaction import Interaction  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402


def write(file: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """A tab-separated file whose header says the types."""
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    file.write_text("\n".join(lines) + "\n")


def pairs(folder: Path, data: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Files of implicit feedback, and the settings that go with them."""
    names = ("user_id:token", "item_id:token")
    held_out = (data["valid_user"], data["candidates"][:, 0])
    for part, columns in (("train", (data["user"], data["item"])), ("valid", held_out), ("test", held_out)):
        write(folder / f"{NAME}.{part}.inter", dict(zip(names, columns, strict=True)))
    return {
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"group_by": "user", "mode": "full"},
        "metrics": ["NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
    }


def clicks(folder: Path, data: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Files of impressions with features, and the settings that go with them."""
    for number, part in enumerate(("train", "valid", "test")):
        rows = data["part"] == number
        columns = {"user_id:token": "user", "item_id:token": "item", "label:float": "label"}
        write(folder / f"{NAME}.{part}.inter", {name: data[key][rows] for name, key in columns.items()})
    n_users, n_items = data["shape"]
    about = [f"user_{n}" for n in range(data["user_features"].shape[1])]
    features = {f"{name}:token": column for name, column in zip(about, data["user_features"].T, strict=True)}
    write(folder / f"{NAME}.user", {"user_id:token": range(n_users), **features})
    genres = [" ".join(str(code) for code in row if code) for row in data["genres"]]
    columns = {"item_id:token": range(n_items), "year:token": data["year"], "genres:token_seq": genres}
    write(folder / f"{NAME}.item", columns)
    return {
        "load_col": {
            "inter": ["user_id", "item_id", "label"],
            "user": ["user_id", *about],
            "item": ["item_id", "year", "genres"],
        },
        "train_neg_sample_args": None,
        "eval_args": {"mode": "labeled"},
        "metrics": ["AUC"],
        "valid_metric": "AUC",
    }


class Run:
    """A model of RecBole on arrays, ready to be trained."""

    def __init__(self, model: str, task: dict[str, Any], files: Any, **settings: Any) -> None:
        torch.set_num_threads(task["threads"])
        with tempfile.TemporaryDirectory() as folder, np.load(task["data"]) as data:
            place = Path(folder) / NAME
            place.mkdir()
            common = {
                "data_path": folder,
                "checkpoint_dir": folder,
                "benchmark_filename": ["train", "valid", "test"],
                "learning_rate": task["learning_rate"],
                "train_batch_size": task["batch"],
                "epochs": task["epochs"],
                "seed": 0,
                "gpu_id": "0" if task.get("device") == "cuda" else "",
                "show_progress": False,
                **files(place, data),
                **settings,
            }
            config = Config(model=model, dataset=NAME, config_dict=common)
            logging.getLogger().setLevel(logging.ERROR)
            init_seed(config["seed"], config["reproducibility"])
            self.dataset = create_dataset(config)
            self.train, self.valid, _ = data_preparation(config, self.dataset)
        self.model = get_model(model)(config, self.train.dataset).to(config["device"])
        self.trainer = get_trainer(config["MODEL_TYPE"], model)(config, self.model)
        self.config = config

    def epochs(self, count: int, judge: Any) -> dict[str, Any]:
        """Seconds of each epoch, and what ``judge`` says of the weights after it."""
        laps, values = Laps(), []
        for epoch in range(count):
            self.trainer._train_epoch(self.train, epoch)
            laps(lambda: values.append(judge()))
        return {"laps": laps.seconds, "busy": laps.busy, "values": values, "peak": peak_mb()}

    @torch.no_grad()
    def scores(self, interaction: Interaction) -> NDArray[np.float32]:
        self.model.eval()
        found = self.model.predict(interaction.to(self.config["device"]))
        return found.cpu().numpy()


def neumf(task: dict[str, Any]) -> dict[str, Any]:
    first, *rest = task["layers"]
    run = Run(
        "NeuMF",
        task,
        pairs,
        mf_embedding_size=task["factors"],
        mlp_embedding_size=first // 2,
        mlp_hidden_size=rest,
        dropout_prob=0.0,
        train_neg_sample_args={"distribution": "uniform", "sample_num": task["negatives"]},
        eval_batch_size=task.get("eval_batch", 4096),
    )
    with np.load(task["data"]) as data:
        users, items = data["valid_user"], data["candidates"]
    asked = Interaction(
        {
            "user_id": inner(run, "user_id", users, items.shape[1]),
            "item_id": inner(run, "item_id", items),
        }
    )
    report = run.epochs(task["epochs"], lambda: ndcg_among(run.scores(asked).reshape(items.shape)))
    return {**report, **evaluation(run)} if task.get("evaluate") else report


def inner(run: Run, field: str, ids: NDArray[Any], times: int = 1) -> torch.Tensor:
    """RecBole's own codes of ids, each so many times in a row."""
    known = run.dataset.field2token_id[field]
    return torch.tensor([known[str(i)] for i in ids.ravel()]).repeat_interleave(times)


def evaluation(run: Run) -> dict[str, Any]:
    """Seconds to rank the full catalogue for all users with a held-out item, and the NDCG@10."""
    run.trainer.eval_collector.data_collect(run.train)
    seconds, found = timed(lambda: run.trainer.evaluate(run.valid, load_best_model=False))
    return {"evaluation": seconds, "ndcg": found["ndcg@10"], "users": len(run.valid.uid_list)}


def deepfm(task: dict[str, Any]) -> dict[str, Any]:
    run = Run(
        "DeepFM",
        task,
        clicks,
        embedding_size=task["factors"],
        mlp_hidden_size=task["layers"],
        dropout_prob=task["dropout"],
        weight_decay=0.0,
    )

    def judge() -> float:
        parts = [batch[0] if isinstance(batch, tuple) else batch for batch in run.valid]
        return area(
            np.concatenate([part["label"].numpy() for part in parts]),
            np.concatenate([run.scores(part) for part in parts]),
        )

    return run.epochs(task["epochs"], judge)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes logs where it runs
        serve("recbole", {"neumf": neumf, "deepfm": deepfm})
