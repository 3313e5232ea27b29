"""irspack's side of implicit_feedback.py, run by the peers' Python: python peers_irspack.py TASK (see yardstick.serve)."""

from typing import Any

from irspack import IALSRecommender

from yardstick import L2, UNOBSERVED, Laps, load, objective, peak_mb, serve


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


if __name__ == "__main__":
    serve("irspack", {"als": als})
