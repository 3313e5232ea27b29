"""Ratings side by side with Surprise: MatrixFactorization against SVD on ml-1m, UserKNN against its kNN on ml-100k.

Run: TASTEMAKER_DATA=... make bench BENCH=ratings   (README.md here says what is measured)
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from tastemaker import _native

THREADS = 2
REPEATS = 3
TARGET = 12.0  # times as fast as Surprise, to an RMSE no worse than its
PEER = "Surprise SVD"
PEER_SETTINGS = "its defaults: 100 factors, 20 epochs"
# The first is the shortest training that, on a validation part of the training ratings, still clearly passed Surprise's SVD.
OURS: dict[str, dict[str, Any]] = {
    "mf, quick": {"factors": 32, "epochs": 6, "learning_rate": 0.08},
    "mf": {},
}


@dataclass
class Figures:
    """What one model did in each run."""

    settings: str
    seconds: list[float] = field(default_factory=list)
    rmse: list[float] = field(default_factory=list)


def ml_1m() -> NDArray[np.int64]:
    """int64[1,000,209, 3]: user, item, rating."""
    folder = os.environ.get("TASTEMAKER_DATA")
    if not folder:
        sys.exit("set TASTEMAKER_DATA to the folder with the public data sets")
    lines = (Path(folder) / "ml-1m" / "ratings.dat").read_text().splitlines()
    return np.array([line.split("::")[:3] for line in lines], np.int64)


def peers_python() -> Path:
    """The Python that has Surprise."""
    python = Path(os.environ.get("TASTEMAKER_PEERS", ".venv-peers")) / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is missing; make peers makes it")
    return python


def by_surprise(fold: Path) -> dict[str, Any]:
    """Seconds, RMSE and versions of one fit."""
    script = Path(__file__).with_name("surprise_svd.py")
    done = subprocess.run([peers_python(), script, fold], check=True, stdout=subprocess.PIPE, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def by_us(train: NDArray[np.int64], test: NDArray[np.int64], settings: dict[str, Any]) -> tuple[float, float]:
    """Seconds and RMSE of one fit; the Dataset, like Surprise's trainset, is made before the clock starts."""
    table = dict(zip(("user", "item", "rating"), train.T, strict=True))
    data = tm.Dataset.from_interactions(table, rating="rating", scale=(1, 5))
    start = time.perf_counter()
    model = tm.MatrixFactorization(**settings).fit(data)
    seconds = time.perf_counter() - start
    predictions = model.predict(test[:, 0], test[:, 1])
    mean = np.float32(train[:, 2].mean())  # what Surprise says of an item that is not in the training part
    errors = np.where(np.isnan(predictions), mean, predictions) - test[:, 2]
    return seconds, float(np.sqrt(np.mean(errors**2)))


def machine() -> str:
    """The processor and how many of it this process may use."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def threads() -> str:
    """How many threads our kernels use, in words."""
    count = _native.threads()
    return f"{count} thread{'' if count == 1 else 's'}"


def measure(train: NDArray[np.int64], test: NDArray[np.int64]) -> tuple[dict[str, Figures], dict[str, str]]:
    """All models in turn, REPEATS times, so that whatever else the machine does meets all of them."""
    figures = {PEER: Figures(PEER_SETTINGS)}
    for name, settings in OURS.items():
        changed = ", ".join(f"{key}={value}" for key, value in settings.items())
        figures[name] = Figures(changed or "its defaults")
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        fold = Path(folder) / "fold.npz"
        np.savez(fold, train=train, test=test)
        for _ in range(REPEATS):
            peer = by_surprise(fold)
            versions = peer["versions"]
            figures[PEER].seconds.append(peer["seconds"])
            figures[PEER].rmse.append(peer["rmse"])
            for name, settings in OURS.items():
                seconds, rmse = by_us(train, test, settings)
                figures[name].seconds.append(seconds)
                figures[name].rmse.append(rmse)
    return figures, versions


def compare_svd() -> bool:
    """Print the comparison; whether the first of ours passes Surprise's RMSE at least TARGET times as fast."""
    rows = ml_1m()
    fold = np.random.default_rng(0).permutation(len(rows)) % 5
    figures, versions = measure(rows[fold != 0], rows[fold == 0])
    peer = figures[PEER]
    print(
        f"MatrixFactorization ({threads()}, {_native.isa()}) and Surprise {versions['scikit-surprise']} "
        f"(NumPy {versions['numpy']}): one fold of ml-1m, median of {REPEATS} runs"
    )
    print(f"{'model':14} {'RMSE':>7} {'fit, s':>8} {'min':>8} {'max':>8} {'faster':>7}  settings")
    for name, row in figures.items():
        seconds = statistics.median(row.seconds)
        faster = statistics.median(peer.seconds) / seconds
        print(
            f"{name:14} {statistics.median(row.rmse):7.4f} {seconds:8.3f} {min(row.seconds):8.3f} "
            f"{max(row.seconds):8.3f} {faster:6.1f}x  {row.settings}"
        )
    first = figures[next(iter(OURS))]
    passes = statistics.median(first.rmse) <= statistics.median(peer.rmse)
    ratio = statistics.median(peer.seconds) / statistics.median(first.seconds)
    print(
        f"reaches the RMSE of {PEER}: {'yes' if passes else 'NO'}, {ratio:.1f} times as fast (target {TARGET:g})"
    )
    return passes and ratio >= TARGET


def main() -> bool:
    _native.set_threads(THREADS)
    print(machine())
    good = compare_svd()
    if Path(__file__).with_name("ratings_knn.py").exists():
        from ratings_knn import compare_knn

        print()
        good &= compare_knn()
    return good


if __name__ == "__main__":
    sys.exit(not main())
