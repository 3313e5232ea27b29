"""SASRec side by side with RecBole and RecTools on MovieLens-1M, targets a second and time to equal quality; and how long a
session waits for its list.

    TASTEMAKER_DATA=... make bench BENCH=sequences ARGS="sasrec --epochs 2 --laps 2"

Sections are chosen by name, all by default; --epochs and --laps make a quick try; --write puts the tables into
docs/benchmarks.md. README.md here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from neural import THREADS, busy, circumstances
from neural_data import sequences_ml_1m
from page import PAGE, publish
from side_by_side import HERE, Bench, Job, Section

TARGET = 4.0  # times as fast as each peer
SIZES: dict[str, Any] = {
    "job": "sasrec",
    "length": 200,
    "factors": 64,
    "blocks": 2,
    "heads": 1,
    "dropout": 0.2,
    "loss": "softmax",
    "learning_rate": 1e-3,
}
SEQUENCES = 128  # in a batch of ours and of RecTools'
TARGETS = 1024  # in a batch of RecBole's, each a sequence of its own
STEPS = 10  # in a lap of RecBole's, whose epochs are too long to be laps
SESSION: dict[str, Any] = {"job": "session", "items": 100_000, "length": 50, "factors": 64, "asked": 200}
MOST_MS = 20.0  # of a session's list


def job(library: str, **extent: int) -> Job:
    own = {"tastemaker": "peers_tastemaker_sequences.py", "recbole": "peers_recbole_sequences.py"}
    return Job(library, "", {**SIZES, **extent}, script=own.get(library, ""))


def sasrec(bench: Bench, epochs: int, laps: int) -> Section:
    section = Section("SASRec")
    sequences_ml_1m(bench.data)
    with np.load(bench.data) as data:
        pairs, held_out = len(data["user"]), len(data["valid_user"])
    ours, *peers = jobs = [
        job("tastemaker", batch=SEQUENCES, epochs=epochs),
        job("rectools", batch=SEQUENCES, epochs=epochs),
        job("recbole", batch=TARGETS, epochs=1, laps=laps, steps=STEPS),
    ]
    bench.run_all(jobs)
    section.say(
        f"SASRec's file without its test part: {pairs:,} interactions. Sequences of {SIZES['length']} items, {SIZES['factors']} "
        f"factors, {SIZES['blocks']} blocks, {SIZES['heads']} head, dropout {SIZES['dropout']}, a softmax over all items, Adam, "
        f"batches of {SEQUENCES} sequences. RecTools learns from the last {SIZES['length']} items of a user alone; RecBole makes "
        f"a sequence of its own of every target, {TARGETS:,} in a batch, and a lap is {STEPS} batches. The value is the NDCG@10 "
        f"of {held_out:,} held-out items in rankings of all that the user has not had, after each lap; its time is not counted."
    )
    columns = ["", "targets/s", "targets a lap", "s a lap", "least to most", "laps", "best value", "peak MB"]
    section.table(columns, map(row, jobs))
    for peer in peers:
        compare(section, ours, peer)
    return section.begin(circumstances(bench))


def compare(section: Section, ours: Job, peer: Job) -> None:
    """Targets a second, and seconds of training until the best value that both reach."""
    section.target(f"targets a second, against {peer.library}", rate(ours) / rate(peer), TARGET)
    common = min(max(one.first["values"]) for one in (ours, peer))
    took, theirs = until(ours, common), until(peer, common)
    what = f"to a value of {common:.4f}, {took:.0f} s against {theirs:.0f} s of {peer.library}"
    section.target(what, theirs / took, TARGET)


def row(one: Job) -> list[str]:
    laps = one.first["busy"]
    return [
        one.library,
        f"{rate(one):,.0f}",
        f"{one.first['targets']:,}",
        f"{busy(one):.1f}",
        f"{min(laps):.1f} to {max(laps):.1f}",
        str(len(laps)),
        f"{max(one.first['values']):.4f}",
        f"{one.peak:,.0f}",
    ]


def rate(one: Job) -> float:
    """Targets a second of the processor."""
    return float(one.first["targets"] / busy(one))


def until(one: Job, value: float) -> float:
    """Seconds of the processor until the first lap after which the value is as good."""
    lap = next(at for at, reached in enumerate(one.first["values"]) if reached >= value)
    return list(accumulate(one.first["busy"]))[lap]


def session(bench: Bench) -> Section:
    section = Section("A session's list")
    jobs = [
        Job("tastemaker", name, {**SESSION, "model": name}, script="peers_tastemaker_sequences.py")
        for name in ("SASRec", "BERT4Rec", "GRU4Rec")
    ]
    bench.run_all(jobs)
    section.say(
        f"`recommend(history=[...], k=10)` for one session of {SESSION['length']} items of somebody without an id, over "
        f"{SESSION['items']:,} items, from the call to the list; {SESSION['asked']} sessions one after another. "
        f"{SESSION['factors']} factors, 2 blocks in the transformers."
    )
    milliseconds = {one.label: [1000 * lap for lap in one.first["laps"]] for one in jobs}
    rows = [
        [name, *(f"{np.percentile(found, percent):.1f}" for percent in (50, 99))]
        for name, found in milliseconds.items()
    ]
    section.table(["", "median, ms", "99th percentile, ms"], rows)
    for name, found in milliseconds.items():
        section.limit(f"{name}, median", float(np.median(found)), MOST_MS, "ms")
    return section.begin(circumstances(bench, "Generated sessions"))


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="section", help="of sasrec, session; all by default")
    parser.add_argument("--epochs", type=int, default=4, help="of ours and RecTools'")
    parser.add_argument("--laps", type=int, default=6, help="of RecBole's")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    sections: dict[str, Callable[[Bench], Section]] = {
        "sasrec": partial(sasrec, epochs=args.epochs, laps=args.laps),
        "session": session,
    }
    if unknown := set(args.sections) - set(sections):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), rounds=1, threads=THREADS)
        return publish((sections[name](bench) for name in args.sections or sections), args.write)


if __name__ == "__main__":
    sys.exit(not main())
