"""Our side of memory.py, a process for each job: python memory_jobs.py TASK (see yardstick.serve)."""

from typing import Any

import tastemaker as tm
from tastemaker import _native
from tastemaker.models.export import recommend_to_parquet
from yardstick import mapped_mb, peak_mb, serve, timed

COLUMNS = {"distinct": {}, "events": {"weight": "count", "timestamp": "time"}}


def read(task: dict[str, Any]) -> tm.Dataset:
    """The Dataset from its Parquet file, or mapped from where it was saved."""
    _native.set_threads(task["threads"])
    if "mapped" in task:
        return tm.Dataset.load(task["mapped"])
    return tm.Dataset.from_interactions(f"{task['folder']}/{task['rows']}.parquet", **COLUMNS[task["rows"]])


def nothing(task: dict[str, Any]) -> dict[str, Any]:
    """What the libraries take before anything is done."""
    return {"laps": [0.0], "peak": peak_mb()}


def load(task: dict[str, Any]) -> dict[str, Any]:
    seconds, data = timed(lambda: read(task))
    peak = peak_mb()
    if "save" in task:
        data.save(task["save"])
    return {"laps": [seconds], "peak": peak, "data": repr(data)}


def fit(task: dict[str, Any]) -> dict[str, Any]:
    before, data = timed(lambda: read(task))
    model = tm.ImplicitALS(factors=task["factors"], epochs=1)
    seconds, _ = timed(lambda: model.fit(data))
    peak = peak_mb()
    if "save" in task:
        model.save(task["save"])
    return {"laps": [before + seconds], "peak": peak}


def everyone(task: dict[str, Any]) -> dict[str, Any]:
    """The lists of the first users, from a model mapped from disk into a Parquet file."""
    _native.set_threads(task["threads"])
    model = tm.load(task["model"])
    known = model.catalogue.users
    users = None if task["users"] is None else known.decode_list(range(task["users"]))
    seconds, rows = timed(lambda: recommend_to_parquet(model, task["out"], users=users, k=10))
    return {"laps": [seconds], "peak": peak_mb(), "mapped": mapped_mb(), "rows": rows}


if __name__ == "__main__":
    serve("tastemaker", {f.__name__: f for f in (nothing, load, fit, everyone)})
