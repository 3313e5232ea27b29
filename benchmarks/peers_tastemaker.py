"""Our side of implicit_feedback.py, with the same tasks as the peers': python peers_tastemaker.py TASK (see yardstick.serve)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from tastemaker import _native
from tastemaker.data.splits import Split
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.progress import Progress, Task, use
from tastemaker.ranking.recommendations import Recommendations
from yardstick import L2, UNOBSERVED, Laps, active, auc, load, objective, peak_mb, serve, timed


class Stopwatch(Progress, Task):
    """A lap for each step reported."""

    def __init__(self) -> None:
        self.laps = Laps()

    def start(self, task: str, total: int, unit: str = "") -> Task:
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.laps()


def dataset(task: dict[str, Any]) -> tm.Dataset:
    _native.set_threads(task["threads"])
    matrix = load(task["data"])
    user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    data = tm.Dataset.from_interactions({"user": user, "item": matrix.indices})
    data.by_user  # noqa: B018  what the peers are given: rows
    return data


def ids(vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The caller's id of each code, which is the row in the matrix of the peers."""
    return vocabulary.decode(np.arange(len(vocabulary), dtype=np.int32)).to_numpy()


def rows(factors: NDArray[np.float32], vocabulary: Vocabulary, count: int) -> NDArray[np.float32]:
    """The factors in the order of ids; zeros for ids without interactions."""
    ordered = np.zeros((count, factors.shape[1]), np.float32)
    ordered[ids(vocabulary)] = factors
    return ordered


def both_sides(
    data: tm.Dataset, shape: tuple[int, int], users: NDArray[np.float32], items: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return rows(users, data.users, shape[0]), rows(items, data.items, shape[1])


def als_model(task: dict[str, Any]) -> tm.ImplicitALS:
    return tm.ImplicitALS(
        factors=task["factors"],
        epochs=task["epochs"],
        regularization=L2,
        regularization_exponent=0.0,  # the same penalty for all rows
        unobserved_weight=UNOBSERVED,
        loss="hu",
        solver=task["solver"],
    )


def als(task: dict[str, Any]) -> dict[str, Any]:
    data, model, watch = dataset(task), als_model(task), Stopwatch()
    with use(watch):
        model.fit(data)
    peak, values = peak_mb(), []
    state = model._fitted.state
    if task.get("trace"):
        values = state.history.tolist()
    if task["judge"]:
        matrix = load(task["data"])
        factors = both_sides(data, matrix.shape, state.user_factors, state.item_factors)
        values.append(objective(matrix, *factors))
    return {"laps": watch.laps.seconds, "peak": peak, "values": values}


def bpr(task: dict[str, Any]) -> dict[str, Any]:
    data, watch = dataset(task), Stopwatch()
    model = tm.BPR(factors=task["factors"], epochs=task["epochs"], negatives=task["negatives"])
    with use(watch):
        model.fit(data)
    peak, area = peak_mb(), None
    if task["judge"]:
        matrix, state = load(task["data"]), model._fitted.state
        users = np.hstack([state.user_factors, np.ones((data.n_users, 1), np.float32)])
        items = np.hstack([state.item_factors, state.item_bias[:, None]])
        area = auc(task["data"], matrix, *both_sides(data, matrix.shape, users, items))
    return {"laps": watch.laps.seconds, "peak": peak, "auc": area}


def itemknn(task: dict[str, Any]) -> dict[str, Any]:
    data = dataset(task)
    model = tm.ItemKNN(neighbors=task["neighbors"])
    seconds, _ = timed(lambda: model.fit(data))
    peak = peak_mb()
    if task["judge"]:
        state, items = model._fitted.state, ids(data.items)
        np.savez(task["out"], items=items, codes=items[state.codes], values=state.similarities)
    return {"laps": [seconds], "peak": peak}


def factors(task: dict[str, Any]) -> dict[str, Any]:
    """Fit what all libraries recommend with: the model for us, its factors for the others."""
    data = dataset(task)
    model = als_model(task).fit(data)
    model.save(task["model"])
    state, shape = model._fitted.state, load(task["data"]).shape
    users, items = both_sides(data, shape, state.user_factors, state.item_factors)
    np.savez(task["factors_file"], users=users, items=items)
    return {}


def recommend(task: dict[str, Any]) -> dict[str, Any]:
    _native.set_threads(task["threads"])
    model = tm.load(task["model"])
    seconds, found = timed(lambda: model.recommend(k=task["k"]))
    peak = peak_mb()
    if task["judge"]:
        save_lists(task["out"], ids(model.catalogue.users), found, ids(model.catalogue.items))
    return {"laps": [seconds], "peak": peak}


def two_callers(task: dict[str, Any]) -> dict[str, Any]:
    """One kernel thread a call: seconds of two calls, one after the other and from two Python threads at once."""
    _native.set_threads(1)
    model = tm.load(task["model"])
    halves = np.array_split(ids(model.catalogue.users), 2)

    def call(users: NDArray[np.int64]) -> object:
        return model.recommend(users, k=task["k"])

    call(halves[0][:1000])
    one, _ = timed(lambda: [call(half) for half in halves])
    with ThreadPoolExecutor(2) as pool:
        two, _ = timed(lambda: list(pool.map(call, halves)))
    return {"laps": [one, two], "peak": peak_mb()}


def save_lists(
    out: str, queries: NDArray[np.int64], found: Recommendations, items: NDArray[np.int64]
) -> None:
    """The lists of the queries by their row in the matrix; -1 for other rows."""
    lists = np.full((queries.max() + 1, found.items.shape[1]), -1)
    lists[queries] = np.where(found.items >= 0, items[found.items], -1)
    np.save(out, lists)


def foldin(task: dict[str, Any]) -> dict[str, Any]:
    _native.set_threads(task["threads"])
    model, matrix = tm.load(task["model"]), load(task["data"])
    users = active(matrix, task["users"])
    histories = [matrix.indices[slice(*matrix.indptr[u : u + 2])] for u in users]
    seconds, found = timed(lambda: model.recommend(history=histories, k=task["k"]))
    peak = peak_mb()
    if task["judge"]:
        save_lists(task["out"], np.arange(len(users)), found, ids(model.catalogue.items))
    return {"laps": [seconds], "peak": peak}


def similar(task: dict[str, Any]) -> dict[str, Any]:
    _native.set_threads(task["threads"])
    model = tm.load(task["model"])
    items = ids(model.catalogue.items)
    seconds, found = timed(lambda: model.similar_items(items, k=task["k"]))
    peak = peak_mb()
    if task["judge"]:
        save_lists(task["out"], items, found, items)
    return {"laps": [seconds], "peak": peak}


def evaluate(task: dict[str, Any]) -> dict[str, Any]:
    _native.set_threads(task["threads"])
    parts = [load(task[part]) for part in ("data", "test")]
    user = np.concatenate([np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)) for part in parts])
    table = {"user": user, "item": np.concatenate([part.indices for part in parts])}
    both, cut = tm.Dataset.from_interactions(table), parts[0].nnz
    rows = np.arange(len(both))
    split = Split(both.select(rows < cut), both.select(rows >= cut))
    report = tm.evaluate(als_model(task), split, metrics=task["metrics"])
    figures = {name: report[f"{name}@{task['k']}"] for name in ("ndcg", "map", "precision")}
    return {"laps": [report.evaluation_seconds], "peak": peak_mb(), **figures}


if __name__ == "__main__":
    jobs = (als, bpr, itemknn, factors, recommend, two_callers, foldin, similar, evaluate)
    serve("tastemaker", {job.__name__: job for job in jobs})
