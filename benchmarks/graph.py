"""LightGCN side by side with RecBole's on MovieLens-1M: the time to equal NDCG, and where both end when they are let run.

    TASTEMAKER_DATA=... make bench BENCH=graph ARGS="speed --epochs 10"

Sections are chosen by name, all by default; --epochs makes a quick try; --write puts the tables into docs/benchmarks.md.
README.md here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from neural import circumstances
from page import PAGE, publish
from side_by_side import HERE, Bench, Job, Section
from tastemaker import datasets

THREADS = 1
TARGET = 4.0  # times as fast as the peer, to equal NDCG
TASK = {"job": "lightgcn", "factors": 64, "layers": 3}
LARGE = {"batch": 1 << 17, "learning_rate": 0.05, "regularization": 1e-3}
SMALL = {"batch": 2048, "learning_rate": 1e-3, "regularization": 1e-3}  # the paper's
EPOCHS, SECONDS = 40, 400  # and seconds after which no epoch of RecBole's begins
STEPS = 10  # of small batches, which tell what an epoch of them would take
TRIED = ((0.05, 1e-4), (0.05, 3e-4), (0.05, 1e-3))  # learning rate and L2, until it converges
PATIENCE = 10  # epochs without a better value, until it has converged
FALLING = {**LARGE, "regularization": 3e-4, "epochs": 200, "decay": True}  # ours alone: RecBole's rate stays


def leave_last_out_ml_1m(file: Path) -> None:
    """Write the pairs user and item of SASRec's file without each user's last two items; valid_user with valid_item, the one
    before the last; test_user with test_item, the last."""
    split = datasets.folds("sasrec-ml-1m")["test"]
    valid, test = split.validation, split.test
    assert valid is not None
    np.savez(
        file,
        user=split.train.user,
        item=split.train.item,
        valid_user=valid.user,
        valid_item=valid.item,
        test_user=test.user,
        test_item=test.item,
        shape=np.array([split.train.n_users, split.train.n_items]),
    )


def job(library: str, settings: dict[str, Any]) -> Job:
    rate = f"{settings['learning_rate']:g}{' falling' if settings.get('decay') else ''}"
    label = f"batches of {settings['batch']:,}, learning rate {rate}, L2 {settings['regularization']:g}"
    return Job(library, label, {**TASK, **settings}, script=f"peers_{library}_graph.py")


def seconds(one: Job) -> list[float]:
    """Of the processor, until the end of each epoch."""
    return list(accumulate(one.first["busy"]))


def until(one: Job, value: float) -> float:
    """Seconds until the first epoch that is as good."""
    reached = (at for at, found in zip(seconds(one), one.first["values"], strict=True) if found >= value)
    return next(reached, float("inf"))


def row(one: Job, common: float) -> list[str]:
    laps = one.first["busy"]
    return [
        one.name,
        f"{np.median(laps):.2f}",
        str(len(laps)),
        f"{sum(laps):.1f}",
        f"{max(one.first['values']):.4f}",
        f"{until(one, common):.1f}",
        f"{one.peak:,.0f}",
    ]


def speed(bench: Bench, epochs: int) -> Section:
    section = Section("LightGCN, time to equal NDCG")
    with np.load(bench.data) as data:
        steps = -(-len(data["user"]) // SMALL["batch"])
    large = {**LARGE, "epochs": epochs, "seconds": SECONDS}
    ours, theirs = jobs = [job(library, large) for library in ("tastemaker", "recbole")]
    small = job("recbole", {**SMALL, "epochs": 1, "steps": STEPS})
    bench.run_all([*jobs, small])
    section.say(
        f"{TASK['factors']} factors, {TASK['layers']} layers, Adam. The value is the NDCG@10 of the last item but "
        "one of each user in a ranking of the full catalogue, after each epoch; its time is not counted. Seconds are the "
        "processor's."
    )
    compare(section, ours, theirs)
    step = small.first["busy"][0] / STEPS
    section.lines += [
        f"- In batches of {SMALL['batch']:,}, the paper's, RecBole's takes {step:.2f} s a step, {steps * step:,.0f} s an epoch.",
        "",
    ]
    return section


def compare(section: Section, ours: Job, theirs: Job) -> None:
    """Time to the best value that both reach, and which is the best."""
    best, peer = (max(one.first["values"]) for one in (ours, theirs))
    common = min(best, peer)
    columns = ["", "s an epoch", "epochs", "s", "best value", f"s to {common:.4f}", "peak MB"]
    section.table(columns, (row(one, common) for one in (ours, theirs)))
    ratio = until(theirs, common) / until(ours, common)
    section.target(f"to a value of {common:.4f}, against {theirs.name}", ratio, TARGET)
    section.met &= best >= peer
    section.lines.append(
        f"- Best value {best:.4f}, RecBole's {peer:.4f}: {'met' if best >= peer else 'MISSED'}."
    )


def converged(bench: Bench, epochs: int) -> Section:
    """Every setting with both libraries, each until it has converged; the best epoch of the best setting is tested."""
    section = Section("LightGCN, when it has converged")
    both: dict[str, list[Job]] = {"tastemaker": [], "recbole": []}
    for library, jobs in both.items():
        for rate, weight in TRIED:
            settings = {**LARGE, "learning_rate": rate, "regularization": weight}
            jobs.append(job(library, {**settings, "epochs": epochs * 10, "patience": PATIENCE}))
        if library == "tastemaker":
            jobs.append(job(library, FALLING))
        bench.run_all(jobs)
    section.say(
        f"{TASK['factors']} factors, {TASK['layers']} layers, Adam. Each fit ends when {PATIENCE} epochs were not better by the "
        "NDCG@10 of the last item but one of each user in a ranking of the full catalogue; one of ours, whose learning rate "
        f"falls to 0, after {FALLING['epochs']}. Of the library's best fit by that, its best epoch is tested on the last item. "
        "Seconds are the processor's."
    )
    columns = ["", "epochs", "s", "best value", "at epoch", "test"]
    best = {library: max(jobs, key=lambda one: max(one.first["values"])) for library, jobs in both.items()}
    rows = [ended(one, one is best[library]) for library, jobs in both.items() for one in jobs]
    section.table(columns, rows)
    ours, theirs = (tested(one) for one in best.values())
    met = ours >= theirs
    section.met &= met
    section.lines.append(f"- Test {ours:.4f}, RecBole's {theirs:.4f}: {'met' if met else 'MISSED'}.")
    return section


def ended(one: Job, best: bool) -> list[str]:
    values, took = one.first["values"], seconds(one)
    at = len(took) if one.task.get("decay") else values.index(max(values)) + 1
    test = f"{tested(one):.4f}" if best else ""
    return [one.name, str(len(took)), f"{took[-1]:.0f}", f"{max(values):.4f}", str(at), test]


def tested(one: Job) -> float:
    """The test figure of the epoch that validation tells."""
    values = one.first["values"]
    return float(one.first["tests"][values.index(max(values))])


SECTIONS: dict[str, Callable[[Bench, int], Section]] = {"speed": speed, "converged": converged}


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="ten times as many until convergence")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), rounds=1, threads=THREADS)
        leave_last_out_ml_1m(bench.data)
        sections = (
            SECTIONS[name](bench, args.epochs).begin(circumstances(bench, "SASRec's file of MovieLens-1M"))
            for name in args.sections or SECTIONS
        )
        return publish(sections, args.write)


if __name__ == "__main__":
    sys.exit(not main())
