"""irspack's side of implicit_feedback.py, run by the peers' Python: python peers_irspack.py TASK (see yardstick.serve)."""

from typing import Any

import numpy as np
from irspack import Evaluator, IALSRecommender
from irspack.recommenders.base import BaseRecommender
from numpy.typing import NDArray

from yardstick import L2, UNOBSERVED, Laps, load, objective, peak_mb, serve, timed


def als(task: dict[str, Any]) -> dict[str, Any]:
    matrix = load(task["data"])
    model = IALSRecommender(
        matrix,
        n_components=task["factors"],
        alpha0=UNOBSERVED,
        reg=L2,
        nu=0.0,  # the same penalty for all rows
        loss_type="ORIGINAL",
        solver_type=task["solver"],
        n_threads=task["threads"],
        random_seed=0,
    )
    laps, trainer, values = (
        Laps(),
        model._create_trainer(),
        [],
    )  # the first lap counts what it prepares, as for all

    def value() -> float:
        return objective(matrix, trainer.core_trainer.user, trainer.core_trainer.item)

    for _ in range(task["epochs"]):
        trainer.run_epoch()
        laps((lambda: values.append(value())) if task.get("trace") else None)
    peak = peak_mb()
    if task["judge"]:
        values.append(value())
    return {"laps": laps.seconds, "peak": peak, "values": values}


class GivenFactors(BaseRecommender):
    """Factors that were fitted elsewhere."""

    def __init__(self, matrix: Any, factors_file: str) -> None:
        super().__init__(matrix)
        with np.load(factors_file) as factors:
            self.users, self.items = factors["users"], factors["items"]

    def _learn(self) -> None: ...

    def get_score(self, user_indices: NDArray[np.integer]) -> NDArray[np.float32]:
        return self.users[user_indices] @ self.items.T

    def get_score_block(self, begin: int, end: int) -> NDArray[np.float32]:
        return self.users[begin:end] @ self.items.T


def evaluate(task: dict[str, Any]) -> dict[str, Any]:
    train, test = load(task["data"]), load(task["test"])
    model, judge = GivenFactors(train, task["factors_file"]), Evaluator(test, n_threads=task["threads"])
    seconds, found = timed(lambda: judge.get_scores(model, [task["k"]]))
    figures = {name: found[f"{name}@{task['k']}"] for name in ("ndcg", "map", "precision")}
    return {"laps": [seconds], "peak": peak_mb(), **figures}


if __name__ == "__main__":
    serve("irspack", {"als": als, "evaluate": evaluate})
