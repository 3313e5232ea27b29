"""cornac's side of implicit_feedback.py, run by its own Python: python peers_cornac.py TASK (see yardstick.serve)."""

from typing import Any

import numpy as np
from cornac.data import Dataset
from cornac.models import BPR, ItemKNN
from scipy.sparse import csr_matrix

from yardstick import auc, load, peak_mb, serve, timed


def dataset(task: dict[str, Any]) -> tuple[csr_matrix, Dataset]:
    matrix = load(task["data"])
    user = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    names = [{n: n for n in range(count)} for count in matrix.shape]
    return matrix, Dataset(*matrix.shape, *names, (user, matrix.indices, np.ones(len(user))))


def bpr(task: dict[str, Any]) -> dict[str, Any]:
    matrix, data = dataset(task)
    model = BPR(
        k=task["factors"],
        max_iter=task["epochs"],
        learning_rate=task["learning_rate"],
        num_threads=task["threads"],  # with a seed it would take one
    )
    seconds, _ = timed(lambda: model.fit(data))
    peak, area = peak_mb(), None
    if task["judge"]:
        users = np.hstack([model.u_factors, np.ones((len(model.u_factors), 1), np.float32)])
        area = auc(task["data"], matrix, users, np.hstack([model.i_factors, model.i_biases[:, None]]))
    return {"laps": [seconds / task["epochs"]] * task["epochs"], "peak": peak, "auc": area}


def itemknn(task: dict[str, Any]) -> dict[str, Any]:
    _, data = dataset(task)
    model = ItemKNN(k=task["neighbors"], num_threads=task["threads"], verbose=False)
    seconds, _ = timed(lambda: model.fit(data))
    return {"laps": [seconds], "peak": peak_mb()}


if __name__ == "__main__":
    serve("cornac", {"bpr": bpr, "itemknn": itemknn})
