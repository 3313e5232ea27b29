"""RecBole's side of sequences.py, run by its own Python: python peers_recbole_sequences.py TASK (see yardstick.serve)."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from peers_recbole import NAME, Run, inner, write
from yardstick import Laps, ndcg_of_lists, peak_mb, serve

from recbole.data.interaction import Interaction  # isort: skip  after the empty modules of peers_recbole

USERS = 256  # whose lists are made at a time
K = 10


def in_order(folder: Path, data: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """One file of what users did in the order of time, each user's held-out item last, and the settings that go with it."""
    user, item = (np.concatenate([data[name], data[f"valid_{name}"]]) for name in ("user", "item"))
    names = ("user_id:token", "item_id:token", "timestamp:float")
    write(folder / f"{NAME}.inter", dict(zip(names, (user, item, range(len(user))), strict=True)))
    return {
        "benchmark_filename": None,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_only"}, "order": "TO", "group_by": "user", "mode": "full"},
        "train_neg_sample_args": None,
    }


def sasrec(task: dict[str, Any]) -> dict[str, Any]:
    """Every target is a row of its own with the items before it."""
    run = Run(
        "SASRec",
        task,
        in_order,
        n_layers=task["blocks"],
        n_heads=task["heads"],
        hidden_size=task["factors"],
        inner_size=task["factors"],
        hidden_dropout_prob=task["dropout"],
        attn_dropout_prob=task["dropout"],
        MAX_ITEM_LIST_LENGTH=task["length"],
        loss_type="CE",
    )
    with np.load(task["data"]) as file:
        data = dict(file)
    had = histories(run, data)
    wanted = inner(run, "item_id", data["valid_item"]).numpy()
    asked = the_last(had, task["length"])
    return laps_of(run, task, lambda: ndcg_of_lists(lists(run, asked, had), wanted))


def histories(run: Run, data: Mapping[str, NDArray[Any]]) -> list[NDArray[np.int64]]:
    """What each user with a held-out item had, in RecBole's codes, oldest first."""
    order = np.argsort(data["user"], kind="stable")
    ends = np.cumsum(np.bincount(data["user"], minlength=int(data["shape"][0])))
    own = np.split(inner(run, "item_id", data["item"]).numpy()[order], ends[:-1])
    return [own[user] for user in data["valid_user"]]


def the_last(had: list[NDArray[np.int64]], length: int) -> Interaction:
    """What RecBole's model asks for: so many items at most, oldest first and zeros after them."""
    counts = [min(len(items), length) for items in had]
    rows = np.zeros((len(had), length), np.int64)
    for row, items, count in zip(rows, had, counts, strict=True):
        row[:count] = items[len(items) - count :]
    return Interaction({"item_id_list": torch.tensor(rows), "item_length": torch.tensor(counts)})


@torch.no_grad()
def lists(run: Run, asked: Interaction, had: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """int64[n, K]: the best items of each user, best first, without what they had."""
    run.model.eval()
    found = []
    for start in range(0, len(had), USERS):
        scores = run.model.full_sort_predict(asked[start : start + USERS].to(run.config["device"]))
        scores[:, 0] = -torch.inf  # its code for nothing
        for row, items in zip(scores, had[start : start + USERS], strict=True):
            row[items] = -torch.inf
        found.append(scores.topk(K).indices.cpu().numpy())
    return np.concatenate(found)


def laps_of(run: Run, task: dict[str, Any], judge: Callable[[], float]) -> dict[str, Any]:
    """Seconds of so many laps of so many batches each, since an epoch is too long to be one; and the value after each."""
    batches = endless(run)
    laps, values = Laps(), []
    for lap in range(task["laps"]):
        run.trainer._train_epoch(islice(batches, task["steps"]), lap)
        laps(lambda: values.append(judge()))
    report = {"laps": laps.seconds, "busy": laps.busy, "values": values, "peak": peak_mb()}
    return {**report, "targets": task["steps"] * task["batch"]}


def endless(run: Run) -> Iterator[Interaction]:
    """The batches of one epoch after another."""
    while True:
        yield from run.train


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes logs where it runs
        serve("recbole", {"sasrec": sasrec})
