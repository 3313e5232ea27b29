"""Our side of graph.py, with the same task as the peer's: python peers_tastemaker_graph.py TASK (see yardstick.serve).

To judge the weights after each epoch, an epoch at a time is trained, as in peers_tastemaker_neural.py; its seconds hold the
writing of its checkpoint.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import tastemaker as tm
from peers_tastemaker_neural import Stopwatch, arrays
from tastemaker.progress import use
from vectors import ndcg
from yardstick import peak_mb, serve


def lightgcn(task: dict[str, Any]) -> dict[str, Any]:
    data = arrays(task)
    train = tm.Dataset.from_interactions({"user": data["user"], "item": data["item"]})
    settings = {name: task[name] for name in ("factors", "layers", "learning_rate", "regularization")}
    laps, values, watch = [], [], Stopwatch()
    with tempfile.TemporaryDirectory() as folder, use(watch):
        for epoch in range(1, task["epochs"] + 1):
            model = tm.LightGCN(
                **settings,
                batch_size=task["batch"],
                epochs=epoch,
                checkpoint=Path(folder) / "state",
                device=task.get("device", "cpu"),
            )
            model.fit(train)
            laps.append(watch.last)
            values.append(judge(model, train, data))
    seconds, busy = zip(*laps, strict=True)
    return {"laps": seconds, "busy": busy, "values": values, "peak": peak_mb()}


def judge(model: tm.LightGCN, train: tm.Dataset, data: dict[str, np.ndarray[Any, Any]]) -> float:
    """The NDCG@10 of the model's vectors, in the order of the codes of ``data``."""
    state, (n_users, n_items) = model._fitted.state, data["shape"]
    users, items = (np.zeros((n, state.item_factors.shape[1]), np.float32) for n in (n_users, n_items))
    users[train.users.decode(np.arange(train.n_users)).to_numpy()] = state.user_factors
    items[train.items.decode(np.arange(train.n_items)).to_numpy()] = state.item_factors
    return ndcg(users, items, data)


if __name__ == "__main__":
    serve("tastemaker", {"lightgcn": lightgcn})
