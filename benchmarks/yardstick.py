"""What every library is measured with, in implicit_feedback.py and neural.py: data, objective, AUC, NDCG, memory, clock.

Imported by the scripts that run in the libraries' own environments, so it needs NumPy and SciPy alone.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import rankdata

# The objective of Hu, Koren and Volinsky (2008), up to a constant factor: what was taken counts 1 + UNOBSERVED and pulls towards
# 1, everything else counts UNOBSERVED and pulls towards 0; L2 is the same for all rows, as implicit has no other.
UNOBSERVED = 0.1
L2 = 1.0

_BLOCK = 1 << 16  # pairs at a time


def load(path: str) -> csr_matrix:
    """The training pairs, float32 ones."""
    with np.load(path) as data:
        indices = data["indices"]
        parts = (np.ones(len(indices), np.float32), indices, data["indptr"])
        return csr_matrix(parts, shape=tuple(data["shape"]))


def active(matrix: csr_matrix, count: int) -> NDArray[np.int64]:
    """The first ``count`` users with pairs: their rows."""
    return np.flatnonzero(np.diff(matrix.indptr))[:count]


def objective(matrix: csr_matrix, users: NDArray[Any], items: NDArray[Any]) -> float:
    """The objective above, in double precision, in blocks of pairs."""
    x, y = users.astype(np.float64), items.astype(np.float64)
    everywhere = UNOBSERVED * float(np.sum((x.T @ x) * (y.T @ y)))
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    total = 0.0
    for start in range(0, len(row), _BLOCK):
        part = slice(start, start + _BLOCK)
        score = np.einsum("nf,nf->n", x[row[part]], y[matrix.indices[part]])
        total += float(np.sum((1 + UNOBSERVED) * (score - 1) ** 2 - UNOBSERVED * score**2))
    return total + everywhere + L2 * float(np.sum(x**2) + np.sum(y**2))


def auc(path: str, matrix: csr_matrix, users: NDArray[Any], items: NDArray[Any]) -> float:
    """How likely a held-out item scores above an item that its user did not take; the mean over users, ties half."""
    with np.load(path) as data:
        held_user, held_item = data["held_user"], data["held_item"]
    areas = []
    for user, item in zip(held_user, held_item, strict=True):
        scores = items @ users[user]
        others = np.ones(len(scores), bool)
        others[matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]] = False
        others[item] = False
        rest, own = scores[others], scores[item]
        areas.append(np.mean(rest < own) + np.mean(rest == own) / 2)
    return float(np.mean(areas))


def area(labels: NDArray[Any], scores: NDArray[Any]) -> float:
    """How likely a pair with label 1 scores above one with label 0, of all users together; ties half."""
    positive = labels > 0
    count = int(positive.sum())
    above = rankdata(scores)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(labels) - count)))


def ndcg_among(scores: NDArray[Any], k: int = 10) -> float:
    """The mean NDCG@k of float[n, candidates], where the first column is the one relevant item; ties are against it."""
    rank = np.sum(scores[:, 1:] >= scores[:, :1], axis=1)
    return float(np.mean(np.where(rank < k, 1 / np.log2(rank + 2), 0)))


def ndcg_of_lists(lists: NDArray[Any], relevant: NDArray[Any]) -> float:
    """The mean NDCG of int[n, k], the best items of n users best first, where each user has one relevant item."""
    hit = lists == relevant[:, None]
    return float(np.mean(np.where(hit, 1 / np.log2(np.arange(lists.shape[1]) + 2), 0).sum(axis=1)))


def peak_mb() -> float:
    """Most memory this process has held so far, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss it does not count what the parent held before this program began
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def mapped_mb() -> float:
    """MB of files, libraries and models among them, that are mapped and resident now; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssFile"))


class Laps:
    """Seconds between calls, and those of the processor. What a call itself takes, the ``pause``, is not counted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.busy: list[float] = []
        self._begin()

    def _begin(self) -> None:
        self._start, self._busy = time.perf_counter(), time.process_time()

    def __call__(self, pause: Callable[[], object] | None = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)
        self.busy.append(time.process_time() - self._busy)
        if pause:
            pause()
        self._begin()


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the job returns."""
    start = time.perf_counter()
    outcome = job()
    return time.perf_counter() - start, outcome


def serve(library: str, jobs: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Do the one job of the command line, ``{"job": name, "data": path, "threads": n, ...}``, and print a report as JSON."""
    task = json.loads(sys.argv[1])
    report = jobs[task["job"]](task)
    report["version"] = version(library)
    report["numpy"] = np.__version__
    print(json.dumps(report))
