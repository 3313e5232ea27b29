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
from vectors import goes_on, ndcg
from yardstick import peak_mb, serve


def lightgcn(task: dict[str, Any]) -> dict[str, Any]:
    """With ``patience`` a fit is over after so many epochs without a better value; with ``decay`` it is judged at its end."""
    data = arrays(task)
    train = tm.Dataset.from_interactions({"user": data["user"], "item": data["item"]})
    settings = {name: task[name] for name in ("factors", "layers", "learning_rate", "regularization")}
    laps, values, tests, watch = [], [], [], Stopwatch()
    with tempfile.TemporaryDirectory() as folder, use(watch):
        decay, last = task.get("decay", False), task["epochs"]
        for epoch in [last] if decay else range(1, last + 1):
            if not goes_on(values, task.get("patience", task["epochs"])):
                break
            model = tm.LightGCN(
                **settings,
                batch_size=task["batch"],
                epochs=epoch,
                decay=decay,
                checkpoint=Path(folder) / "state",
                device=task.get("device", "cpu"),
            )
            model.fit(train)
            laps += watch.laps if decay else [watch.last]
            vectors = vectors_of(model, train, data)
            values.append(ndcg(*vectors, data))
            tests.append(ndcg(*vectors, data, "test"))
    seconds, busy = zip(*laps, strict=True)
    return {"laps": seconds, "busy": busy, "values": values, "tests": tests, "peak": peak_mb()}


def vectors_of(
    model: tm.LightGCN, train: tm.Dataset, data: dict[str, np.ndarray[Any, Any]]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The vectors of users and items, in the order of the codes of ``data``."""
    state, (n_users, n_items) = model._fitted.state, data["shape"]
    users, items = (np.zeros((n, state.item_factors.shape[1]), np.float32) for n in (n_users, n_items))
    users[train.users.decode(np.arange(train.n_users)).to_numpy()] = state.user_factors
    items[train.items.decode(np.arange(train.n_items)).to_numpy()] = state.item_factors
    return users, items


if __name__ == "__main__":
    serve("tastemaker", {"lightgcn": lightgcn})
