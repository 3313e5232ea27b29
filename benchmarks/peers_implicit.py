"""implicit's side of implicit_feedback.py, run by the peers' Python: python peers_implicit.py TASK (see yardstick.serve)."""

from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import CosineRecommender

from yardstick import L2, UNOBSERVED, Laps, auc, load, objective, peak_mb, serve, timed


def als(task: dict[str, Any]) -> dict[str, Any]:
    matrix = load(task["data"])
    model = AlternatingLeastSquares(
        factors=task["factors"],
        regularization=L2 / UNOBSERVED,  # it counts the unobserved 1, which scales everything
        alpha=(1 + UNOBSERVED) / UNOBSERVED,
        iterations=task["epochs"],
        num_threads=task["threads"],
        random_state=0,
    )
    laps, values = Laps(), []

    def after_epoch(*_: object) -> None:
        laps((lambda: values.append(value())) if task.get("trace") else None)

    def value() -> float:
        return objective(matrix, model.user_factors, model.item_factors)

    model.fit(matrix, show_progress=False, callback=after_epoch)
    peak = peak_mb()
    if task["judge"]:
        values.append(value())
    return {"laps": laps.seconds, "peak": peak, "values": values}


def bpr(task: dict[str, Any]) -> dict[str, Any]:
    matrix = load(task["data"])
    model = BayesianPersonalizedRanking(
        factors=task["factors"],
        learning_rate=task["learning_rate"],
        iterations=task["epochs"],
        num_threads=task["threads"],
        random_state=0,
    )
    laps = Laps()
    model.fit(matrix, show_progress=False, callback=lambda *_: laps())
    peak = peak_mb()
    area = auc(task["data"], matrix, model.user_factors, model.item_factors) if task["judge"] else None
    return {"laps": laps.seconds, "peak": peak, "auc": area}


def itemknn(task: dict[str, Any]) -> dict[str, Any]:
    matrix = load(task["data"])
    model = CosineRecommender(
        K=task["neighbors"] + 1, num_threads=task["threads"]
    )  # it counts the item itself
    seconds, _ = timed(lambda: model.fit(matrix, show_progress=False))
    peak = peak_mb()
    if task["judge"]:
        found = model.similarity
        found.setdiag(0)
        found.eliminate_zeros()
        np.savez(task["out"], indptr=found.indptr, indices=found.indices, values=found.data)
    return {"laps": [seconds], "peak": peak}


def recommend(task: dict[str, Any]) -> dict[str, Any]:
    matrix = load(task["data"])
    with np.load(task["factors_file"]) as factors:
        users, items = factors["users"], factors["items"]
    model = AlternatingLeastSquares(factors=users.shape[1], num_threads=task["threads"])
    model.user_factors, model.item_factors = users, items
    everyone = np.arange(len(users))
    seconds, (lists, _) = timed(lambda: model.recommend(everyone, matrix, N=task["k"]))
    peak = peak_mb()
    if task["judge"]:
        np.save(task["out"], lists)
    return {"laps": [seconds], "peak": peak}


if __name__ == "__main__":
    serve("implicit", {"als": als, "bpr": bpr, "itemknn": itemknn, "recommend": recommend})
