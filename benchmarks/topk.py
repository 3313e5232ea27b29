"""Top 10 for many users, seen items excluded: against the matrix product alone, and against implicit's `recommend`.

    make bench BENCH=topk

The product is `np.matmul` into a touched, reused buffer, at the best of several block sizes; implicit runs in its own
environment (`make peers`; TASTEMAKER_PEERS says where, default .venv-peers) on the same arrays. All use the same number of
threads, and rounds are interleaved, so that what else the machine does falls on all of them alike.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from tastemaker._native import isa, threads
from tastemaker._native.topk import Rows, top_k_dot

K = 10
MOST = 1.3  # times the product
BLOCKS = (64, 128, 256, 512, 1000, 2000)
PEER = Path(__file__).with_name("implicit_topk.py")


def workload(users: int, items: int, factors: int, seen: int) -> tuple[np.ndarray, np.ndarray, Rows]:
    """User and item factors, and what each user has seen: popular items more, and scoring high, as in life."""
    rng = np.random.default_rng(0)
    item_factors = rng.normal(size=(items, factors)).astype(np.float32)
    lengths = np.maximum(1, rng.lognormal(np.log(seen) - 0.5, 1.0, users)).astype(np.int64)
    popularity = 1.0 / np.arange(1, items + 1) ** 0.8
    rows, at = [], 0
    drawn = rng.permutation(items)[rng.choice(items, lengths.sum(), p=popularity / popularity.sum())]
    for n in lengths:
        rows.append(np.unique(drawn[at : at + n]))
        at += n
    user_factors = np.stack([item_factors[r].mean(axis=0) for r in rows])
    user_factors += 0.5 * user_factors.std() * rng.normal(size=user_factors.shape)
    shuffled = [rng.permutation(r) for r in rows]  # in the order of time, not of codes
    indptr = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    return (
        user_factors.astype(np.float32),
        item_factors,
        Rows(indptr, np.concatenate(shuffled).astype(np.int32)),
    )


def product(users: np.ndarray, items: np.ndarray, buffer: np.ndarray, block: int) -> None:
    for start in range(0, len(users), block):
        part = users[start : start + block]
        np.matmul(part, items.T, out=buffer[: len(part)])


def full_sort(users: np.ndarray, items: np.ndarray, seen: Rows, rows: np.ndarray) -> np.ndarray:
    """The lists by the book, in double precision."""
    scores = users[rows].astype(np.float64) @ items.T.astype(np.float64)
    for at, row in enumerate(rows):
        scores[at, seen.indices[seen.indptr[row] : seen.indptr[row + 1]]] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


class Peer:
    """implicit in its own Python: it loads the arrays once and then times one `recommend` for each line it is sent."""

    def __init__(self, python: Path, arrays: Path) -> None:
        self._process = subprocess.Popen(
            [str(python), str(PEER), str(arrays), str(K), str(threads())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        self.version = self._ask("version")

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(question, file=self._process.stdin, flush=True)
        return str(json.loads(self._process.stdout.readline()))

    def seconds(self) -> float:
        return float(self._ask("run"))

    def close(self) -> None:
        self._process.communicate()


def timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(jobs: dict[str, Callable[[], float]], rounds: int) -> dict[str, np.ndarray]:
    for job in jobs.values():  # warm up
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            seconds[name].append(job())
    return {name: np.array(times) for name, times in seconds.items()}


def report(seconds: dict[str, np.ndarray], ours: str, peer: str | None) -> bool:
    """Print the table; says whether the targets are met."""
    best = min((n for n in seconds if n.startswith("np.matmul")), key=lambda n: np.median(seconds[n]))
    base = float(np.median(seconds[best]))
    print(f"{'':34}{'median s':>10}{'min':>8}{'max':>8}{'x product':>11}")
    for name in [best, ours, *([peer] if peer else [])]:
        times = seconds[name]
        median = float(np.median(times))
        print(f"{name:34}{median:>10.3f}{times.min():>8.3f}{times.max():>8.3f}{median / base:>11.2f}")
    ratio = np.median(seconds[ours]) / base
    print(f"\ntop {K} takes {ratio:.2f} times the product alone (target: at most {MOST})")
    if not peer:
        return bool(ratio <= MOST)
    faster = np.median(seconds[peer]) / np.median(seconds[ours])
    print(f"and is {faster:.1f} times as fast as implicit (target: faster)")
    return bool(ratio <= MOST and faster > 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=27_000)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--seen", type=int, default=80, help="mean number of seen items a user")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    users, items, seen = workload(args.users, args.items, args.factors, args.seen)
    buffer = np.ones((min(max(BLOCKS), len(users)), len(items)), np.float32)
    ours = "tastemaker top_k_dot"
    jobs: dict[str, Callable[[], float]] = {
        f"np.matmul, blocks of {b}": (lambda b=b: timed(lambda: product(users, items, buffer, b)))
        for b in BLOCKS
    }
    jobs[ours] = lambda: timed(lambda: top_k_dot(users, items, K, seen=seen))

    python = Path(os.environ.get("TASTEMAKER_PEERS", ".venv-peers")) / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(threads()):
        peer = None
        if python.exists():
            arrays = Path(folder) / "arrays.npz"
            np.savez(arrays, users=users, items=items, indptr=seen.indptr, indices=seen.indices)
            peer = Peer(python, arrays)
            jobs[f"implicit {peer.version} recommend"] = peer.seconds
        blas = next((i for i in threadpool_info() if i["user_api"] == "blas"), {})
        print(
            f"{cpu()}, {threads()} threads; kernels {isa()}; Python {platform.python_version()}, numpy {np.__version__}"
        )
        print(f"BLAS: {blas.get('internal_api')} {blas.get('version')} {blas.get('architecture')}")
        print(
            f"top {K}: {len(users):,} users x {len(items):,} items, {args.factors} factors, "
            f"{len(seen.indices) / len(users):.0f} seen items a user; {args.rounds} interleaved rounds\n"
        )
        seconds = measure(jobs, args.rounds)
        met = report(seconds, ours, next((n for n in jobs if n.startswith("implicit")), None))
        if peer:
            peer.close()
        else:
            print(
                f"implicit was not measured: no {python}; make peers installs it, TASTEMAKER_PEERS says where it is"
            )

    sample = np.arange(0, len(users), max(1, len(users) // 500))
    same = top_k_dot(users, items, K, seen=seen).items[sample] == full_sort(users, items, seen, sample)
    right = int(same.all(axis=1).sum())
    print(f"the same lists as a full sort in double precision for {right} of {len(sample)} users")
    # Two scores may be closer than single precision can tell; a wrong kernel would miss more than one list in a hundred.
    sys.exit(0 if met and right >= 0.99 * len(sample) else 1)


if __name__ == "__main__":
    main()
