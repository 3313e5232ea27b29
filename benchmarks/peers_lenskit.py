"""LensKit's side of implicit_feedback.py, run by its own Python: python peers_lenskit.py TASK (see yardstick.serve)."""

from typing import Any

import numpy as np
import pandas as pd
from lenskit.als import ImplicitMFScorer
from lenskit.data import Dataset, from_interactions_df
from lenskit.knn import ItemKNNScorer
from lenskit.parallel import initialize
from lenskit.training import TrainingOptions
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from yardstick import L2, UNOBSERVED, load, objective, peak_mb, serve, timed


def dataset(task: dict[str, Any]) -> tuple[csr_matrix, Dataset]:
    initialize(processes=1, threads=task["threads"], backend_threads=1)
    matrix = load(task["data"])
    user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return matrix, from_interactions_df(pd.DataFrame({"user_id": user, "item_id": matrix.indices}))


def rows(factors: NDArray[np.float32], ids: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """The factors in the order of ids; zeros for ids without interactions."""
    ordered = np.zeros((count, factors.shape[1]), np.float32)
    ordered[ids] = factors
    return ordered


def als(task: dict[str, Any]) -> dict[str, Any]:
    matrix, data = dataset(task)
    model = ImplicitMFScorer(
        embedding_size=task["factors"],
        epochs=task["epochs"],
        regularization=L2 / UNOBSERVED,  # it counts the unobserved 1, which scales everything
        weight=1 / UNOBSERVED,
    )
    seconds, _ = timed(lambda: model.train(data, TrainingOptions(rng=0)))
    peak, values = peak_mb(), []
    if task["judge"]:
        users = rows(model.user_embeddings, np.asarray(data.users.ids()), matrix.shape[0])
        items = rows(model.item_embeddings, np.asarray(data.items.ids()), matrix.shape[1])
        values.append(objective(matrix, users, items))
    return {"laps": [seconds / task["epochs"]] * task["epochs"], "peak": peak, "values": values}


def itemknn(task: dict[str, Any]) -> dict[str, Any]:
    _, data = dataset(task)
    model = ItemKNNScorer(max_nbrs=task["neighbors"], save_nbrs=task["neighbors"], feedback="implicit")
    seconds, _ = timed(lambda: model.train(data, TrainingOptions(rng=0)))
    return {"laps": [seconds], "peak": peak_mb()}


if __name__ == "__main__":
    serve("lenskit", {"als": als, "itemknn": itemknn})
