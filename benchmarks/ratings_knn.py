"""UserKNN side by side with Surprise's KNNBasic and KNNWithMeans on one fold of ml-100k: the same predictions, how fast?

Run: TASTEMAKER_DATA=... python benchmarks/ratings_knn.py
Surprise runs in its own environment, the folder TASTEMAKER_PEERS (default .venv-peers; make peers).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from tastemaker import _native

SAME = 1e-5
FASTER = 20
ROUNDS = 3  # medians count
PAIRS = [
    (f"{algorithm} {similarity}", {"aggregation": aggregation, "similarity": similarity})
    for algorithm, aggregation in (("KNNBasic", "weighted"), ("KNNWithMeans", "centred"))
    for similarity in ("cosine", "pearson")
]


def one_fold(seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """User, item and rating of four fifths of ml-100k and of the last fifth, int64[n, 3]."""
    folder = os.environ.get("TASTEMAKER_DATA")
    if not folder:
        sys.exit("set TASTEMAKER_DATA to the folder with the public data sets")
    rows = np.loadtxt(Path(folder) / "ml-100k" / "u.data", dtype=np.int64)[:, :3]
    fold = np.random.default_rng(seed).permutation(len(rows)) % 5
    return rows[fold != 0], rows[fold == 0]


def by_surprise(
    train: NDArray[np.int64], test: NDArray[np.int64]
) -> tuple[str, dict[str, float], dict[str, NDArray]]:
    """Surprise's version, its seconds, and its predictions by model."""
    python = Path(os.environ.get("TASTEMAKER_PEERS", ".venv-peers")) / "bin" / "python"
    script = Path(__file__).with_name("surprise_knn.py")
    with tempfile.TemporaryDirectory() as folder:
        fold, out = Path(folder) / "fold.npz", Path(folder) / "out.npz"
        np.savez(fold, train=train, test=test)
        done = subprocess.run([python, script, fold, out], check=True, capture_output=True, text=True)
        report = json.loads(done.stdout)
        with np.load(out) as answers:
            return report["version"], report["seconds"], dict(answers)


def by_us(
    train: NDArray[np.int64], test: NDArray[np.int64], options: dict[str, str]
) -> tuple[float, NDArray]:
    """Seconds to fit and predict the fold, and the predictions."""
    table = dict(zip(("user", "item", "rating"), train.T, strict=True))
    data = tm.Dataset.from_interactions(
        table, rating="rating", scale=(1, 5)
    )  # a new one: nothing is grouped yet
    start = time.perf_counter()
    model = tm.UserKNN(neighbors=40, similarity_over="common", **options).fit(data)
    predictions = model.predict(test[:, 0], test[:, 1])
    return time.perf_counter() - start, predictions


def compare_knn() -> bool:
    """Print the comparison; whether all predictions agree and all fits are at least 20 times as fast."""
    train, test = one_fold()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in PAIRS}
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does meets both
        version, theirs, answers = by_surprise(train, test)
        predictions = {}
        for name, options in PAIRS:
            ours, predictions[name] = by_us(train, test, options)
            seconds[name].append((ours, theirs[name]))
    print(
        f"UserKNN ({_native.threads()} threads, {_native.isa()}) and Surprise {version}: a fold of ml-100k, k = 40"
    )
    print(
        f"{'model':20} {'RMSE':>7} {'theirs':>7} {'s':>7} {'theirs':>7} {'faster':>7} {'rounds':>11} {'difference':>11}"
    )
    good = True
    for name, _ in PAIRS:
        known = ~np.isnan(
            predictions[name]
        )  # an item new in the test part: we say nothing, Surprise the mean
        difference = float(np.abs(predictions[name] - answers[name])[known].max())
        rmse, their_rmse = (
            np.sqrt(np.mean((p[name] - test[:, 2])[known] ** 2)) for p in (predictions, answers)
        )
        ours, theirs = (statistics.median(column) for column in zip(*seconds[name], strict=True))
        ratios = [b / a for a, b in seconds[name]]
        spread = f"{min(ratios):.0f}–{max(ratios):.0f}x"
        print(
            f"{name:20} {rmse:7.4f} {their_rmse:7.4f} {ours:7.3f} {theirs:7.2f} {theirs / ours:6.0f}x "
            f"{spread:>11} {difference:11.1e}"
        )
        good &= difference < SAME and theirs / ours >= FASTER
    print(
        f"compared: {known.sum():,} of {len(test):,} pairs, those whose item is in the training part; ties included"
    )
    return good


if __name__ == "__main__":
    sys.exit(not compare_knn())
