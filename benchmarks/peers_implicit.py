"""implicit's side of implicit_feedback.py, run by the peers' Python: python peers_implicit.py TASK (see yardstick.serve)."""

from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.evaluation import ranking_metrics_at_k
from implicit.nearest_neighbours import CosineRecommender

from yardstick import L2, UNOBSERVED, Laps, active, auc, load, objective, peak_mb, serve, timed


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


def with_factors(task: dict[str, Any]) -> AlternatingLeastSquares:
    """A model with factors that were fitted elsewhere, for the same loss."""
    with np.load(task["factors_file"]) as factors:
        users, items = factors["users"], factors["items"]
    model = AlternatingLeastSquares(
        factors=users.shape[1],
        regularization=L2 / UNOBSERVED,
        alpha=(1 + UNOBSERVED) / UNOBSERVED,
        num_threads=task["threads"],
    )
    model.user_factors, model.item_factors = users, items
    return model


def recommend(task: dict[str, Any]) -> dict[str, Any]:
    matrix, model = load(task["data"]), with_factors(task)
    everyone = np.arange(matrix.shape[0])
    seconds, (lists, _) = timed(lambda: model.recommend(everyone, matrix, N=task["k"]))
    peak = peak_mb()
    if task["judge"]:
        np.save(task["out"], lists)
    return {"laps": [seconds], "peak": peak}


def foldin(task: dict[str, Any]) -> dict[str, Any]:
    matrix, model = load(task["data"]), with_factors(task)
    users = active(matrix, task["users"])
    histories = matrix[users]
    seconds, (lists, _) = timed(
        lambda: model.recommend(np.arange(len(users)), histories, N=task["k"], recalculate_user=True)
    )
    peak = peak_mb()
    if task["judge"]:
        np.save(task["out"], lists)
    return {"laps": [seconds], "peak": peak}


def similar(task: dict[str, Any]) -> dict[str, Any]:
    model = with_factors(task)
    everything = np.arange(len(model.item_factors))
    seconds, (lists, _) = timed(lambda: model.similar_items(everything, N=task["k"] + 1))
    peak = peak_mb()
    if task["judge"]:
        np.save(task["out"], lists[:, 1:])  # the first is the item itself
    return {"laps": [seconds], "peak": peak}


def evaluate(task: dict[str, Any]) -> dict[str, Any]:
    train, test, model = load(task["data"]), load(task["test"]), with_factors(task)
    seconds, figures = timed(
        lambda: ranking_metrics_at_k(
            model, train, test, K=task["k"], show_progress=False, num_threads=task["threads"]
        )
    )
    return {"laps": [seconds], "peak": peak_mb(), **figures}


if __name__ == "__main__":
    jobs = (als, bpr, itemknn, recommend, foldin, similar, evaluate)
    serve("implicit", {job.__name__: job for job in jobs})
