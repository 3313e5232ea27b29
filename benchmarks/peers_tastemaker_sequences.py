"""Our side of sequences.py: python peers_tastemaker_sequences.py TASK (see yardstick.serve).

*sasrec* is the same task as the peers'. To judge the weights after each epoch, an epoch at a time is trained, as in
peers_tastemaker_neural.py; its seconds hold the writing of its checkpoint.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import tastemaker as tm
from peers_tastemaker_neural import Stopwatch, arrays
from tastemaker.progress import use
from yardstick import ndcg_of_lists, peak_mb, serve


def sasrec(task: dict[str, Any]) -> dict[str, Any]:
    """Every item of a user but the first is a target once an epoch."""
    data = arrays(task)
    train = tm.Dataset.from_interactions({"user": data["user"], "item": data["item"]})
    wanted = train.items.encode(data["valid_item"])
    names = ("factors", "length", "blocks", "heads", "loss", "dropout", "learning_rate")
    settings = {name: task[name] for name in names}
    laps, values, watch = [], [], Stopwatch()
    with tempfile.TemporaryDirectory() as folder, use(watch):
        for epoch in range(1, task["epochs"] + 1):
            model = tm.SASRec(
                **settings,
                batch_size=task["batch"],
                epochs=epoch,
                checkpoint=Path(folder) / "state",
                device="cpu",
            )
            model.fit(train)
            laps.append(watch.last)
            values.append(ndcg_of_lists(model.recommend(data["valid_user"], k=10).items, wanted))
    seconds, busy = zip(*laps, strict=True)
    report = {"laps": seconds, "busy": busy, "values": values, "peak": peak_mb()}
    return {**report, "targets": int((np.bincount(data["user"]) - 1).clip(0).sum())}


def session(task: dict[str, Any]) -> dict[str, Any]:
    """Seconds of ``recommend`` for one session at a time, of somebody without an id."""
    items, length = task["items"], task["length"]
    taken = np.random.default_rng(0).permutation(items).reshape(-1, length)
    data = tm.Dataset.from_interactions({"user": np.arange(len(taken)).repeat(length), "item": taken.ravel()})
    model = getattr(tm, task["model"])(factors=task["factors"], epochs=1, device="cpu").fit(data)
    rng, laps = np.random.default_rng(1), []
    for turn in range(task["asked"] + 1):
        history = [rng.choice(items, length, replace=False).tolist()]
        start = time.perf_counter()
        model.recommend(history=history, k=10)
        if turn:  # the first one makes what the others use again
            laps.append(time.perf_counter() - start)
    return {"laps": laps, "peak": peak_mb()}


if __name__ == "__main__":
    serve("tastemaker", {"sasrec": sasrec, "session": session})
