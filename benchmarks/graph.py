"""LightGCN side by side with RecBole's on MovieLens-1M: training, and the time to equal NDCG.

    TASTEMAKER_DATA=... make bench BENCH=graph

--epochs makes a quick try; --write puts the tables into docs/benchmarks.md. README.md here says what is measured. Exit code 1: a
target is missed.
"""

import argparse
import sys
import tempfile
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from neural import circumstances
from page import PAGE, write
from side_by_side import HERE, Bench, Job, Section
from tastemaker import datasets

THREADS = 1
TARGET = 4.0  # times as fast as the peer, to equal NDCG
TASK = {"job": "lightgcn", "factors": 64, "layers": 3, "regularization": 1e-3}
LARGE = {"batch": 1 << 17, "learning_rate": 0.05}
SMALL = {"batch": 2048, "learning_rate": 1e-3}  # the paper's
EPOCHS, PATIENCE = 40, 400  # and seconds after which no epoch of RecBole's begins
STEPS = 10  # of small batches, which tell what an epoch of them would take


def leave_last_out_ml_1m(file: Path) -> None:
    """Write the pairs user and item of SASRec's file without each user's last two items, and valid_user with valid_item, the one
    before the last."""
    split = datasets.folds("sasrec-ml-1m")["test"]
    held_out = split.validation
    assert held_out is not None
    np.savez(
        file,
        user=split.train.user,
        item=split.train.item,
        valid_user=held_out.user,
        valid_item=held_out.item,
        shape=np.array([split.train.n_users, split.train.n_items]),
    )


def job(library: str, settings: dict[str, Any]) -> Job:
    label = f"batches of {settings['batch']:,}, learning rate {settings['learning_rate']:g}"
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


def lightgcn(bench: Bench, epochs: int) -> Section:
    section = Section("LightGCN, time to equal NDCG")
    leave_last_out_ml_1m(bench.data)
    with np.load(bench.data) as data:
        steps = -(-len(data["user"]) // SMALL["batch"])
    large = {**LARGE, "epochs": epochs, "seconds": PATIENCE}
    ours, theirs = jobs = [job(library, large) for library in ("tastemaker", "recbole")]
    small = job("recbole", {**SMALL, "epochs": 1, "steps": STEPS})
    bench.run_all([*jobs, small])
    section.say(
        f"{TASK['factors']} factors, {TASK['layers']} layers, Adam, L2 {TASK['regularization']:g}. The value is the NDCG@10 of "
        "the last item but one of each user in a ranking of the full catalogue, after each epoch; its time is not counted. "
        "Seconds are the processor's."
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


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), rounds=1, threads=THREADS)
        section = lightgcn(bench, args.epochs)
        section.lines[:0] = [circumstances(bench), ""]
    print(section.markdown(), flush=True)
    if args.write:
        write([section])
    return section.met


if __name__ == "__main__":
    sys.exit(not main())
