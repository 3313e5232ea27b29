"""RecBole's side of graph.py, run by its own Python: python peers_recbole_graph.py TASK (see yardstick.serve)."""

import math
import os
import tempfile
import time
from itertools import islice
from typing import Any

import numpy as np
import torch

from peers_recbole import Run, pairs
from vectors import goes_on, ndcg
from yardstick import peak_mb, serve


def lightgcn(task: dict[str, Any]) -> dict[str, Any]:
    """RecBole's own LightGCN; its L2 is on norms, not on their squares, unless ``require_pow``.

    With ``steps`` an epoch is cut off after so many; with ``seconds`` no epoch begins when so many have passed, with ``patience``
    none after so many without a better value.
    """
    with np.load(task["data"]) as file:
        data = dict(file)
    run = Run(
        "LightGCN",
        task,
        lambda folder, _: pairs(folder, {**data, "candidates": data["valid_item"][:, None]}),
        embedding_size=task["factors"],
        n_layers=task["layers"],
        reg_weight=task["regularization"],
        require_pow=True,
        train_neg_sample_args={"distribution": "uniform", "sample_num": 1},
    )

    if "steps" in task:
        run.train = list(islice(iter(run.train), task["steps"]))

    tests: list[float] = []

    @torch.no_grad()
    def judge() -> float:
        run.model.eval()
        found = run.model.forward()
        fields = ("user_id", "item_id")
        users, items = (by_own_codes(run, *one) for one in zip(fields, found, data["shape"], strict=True))
        tests.append(ndcg(users, items, data, "test"))
        return ndcg(users, items, data)

    reports: dict[str, list[float]] = {"laps": [], "busy": [], "values": []}
    start = time.perf_counter()
    while (
        len(tests) < task["epochs"]
        and time.perf_counter() - start < task.get("seconds", math.inf)
        and goes_on(reports["values"], task.get("patience", task["epochs"]))
    ):
        epoch = run.epochs(1, judge)
        for name, figures in reports.items():
            figures += epoch[name]
    return {**reports, "tests": tests, "peak": peak_mb()}


def by_own_codes(run: Run, field: str, vectors: torch.Tensor, count: int) -> np.ndarray[Any, Any]:
    """RecBole's vectors in the order of our codes; 0 for what it does not know."""
    known = run.dataset.field2token_id[field]
    there = [code for code in range(count) if str(code) in known]
    ordered = np.zeros((count, vectors.shape[1]), np.float32)
    ordered[there] = vectors.cpu().numpy()[[known[str(code)] for code in there]]
    return ordered


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # it writes logs where it runs
        serve("recbole", {"lightgcn": lightgcn})
