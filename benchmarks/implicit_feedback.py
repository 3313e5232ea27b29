"""Implicit feedback side by side with implicit, irspack, LensKit and cornac: fits, lists for all users, new users, similar items
and evaluation.

    make bench BENCH=implicit_feedback ARGS="als64 als128 bpr itemknn recommend foldin similar evaluate --scale 0.1"

Sections are chosen by name, all by default; --scale makes the data smaller for a quick try; --write puts the tables into
docs/benchmarks.md. README.md here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from answering import evaluate, foldin, recommend, similar
from page import PAGE, circumstances, publish
from side_by_side import FIGURES, HERE, THREADS, Bench, Job, Section
from synthetic import generate
from tastemaker import _native

SWEEPS = 5
SAME_LOSS = 1.001  # times the peer's objective still counts as equal
ALS_TARGETS = {64: 5.0, 128: 4.0, 256: 3.0}  # times as fast as implicit
IRSPACK_TARGET = 2.5  # times as fast as irspack's best solver
LONG, CLOSE = 30, 1.001  # sweeps to converge; how near to the lowest objective is there
BPR_EPOCHS, BPR_TARGET = 10, 2.0
BPR_RATES = (0.01, 0.05)  # implicit's: its default, and the mean of ours
KNN, KNN_TARGET = 50, 4.0
DENSE_LIMIT = 2.0  # GB of a matrix of all items by all items
LENSKIT_FACTORS = (64, 128)  # with more it takes many minutes


def als_job(library: str, solver: str, factors: int, **more: Any) -> Job:
    task = {"job": "als", "solver": solver, "factors": factors, "epochs": SWEEPS, **more}
    return Job(library, {"IALSPP": "iALS++"}.get(solver, solver.lower()), task)


def als(factors: int, bench: Bench) -> Section:
    section = Section(f"ALS, {factors} factors")
    section.say(
        f"Seconds per sweep over users and items, the median of {SWEEPS}; *fit* is all {SWEEPS}, with what comes before and our "
        "last half-sweep, which is exact; *x implicit* is how many times as fast each is. The objective at the end is computed "
        "from the factors of each by one function."
    )
    ours = [als_job("tastemaker", solver, factors) for solver in ("cg", "cholesky", "subspace")]
    implicit = als_job("implicit", "CG", factors)
    irspack = [als_job("irspack", solver, factors) for solver in ("CG", "CHOLESKY", "IALSPP")]
    lenskit = [Job("lenskit", "cholesky", implicit.task)] if factors in LENSKIT_FACTORS else []
    jobs = [*ours, implicit, *irspack, *lenskit]
    bench.run_all(jobs)
    section.table(
        ["", *FIGURES, "x implicit", "fit, s", "x implicit", "objective"],
        (
            [
                job.name,
                *job.figures(),
                f"{implicit.seconds / job.seconds:.2f}",
                f"{job.whole:.2f}",
                f"{implicit.whole / job.whole:.2f}",
                f"{job.first['values'][-1]:,.0f}",
            ]
            for job in jobs
        ),
    )
    default, best = ours[0], min(irspack, key=lambda job: job.seconds)
    for peer, target in ((implicit, ALS_TARGETS[factors]), (best, IRSPACK_TARGET)):
        loss = default.first["values"][-1] / peer.first["values"][-1]
        section.target(
            f"our default, {default.label}, against {peer.name}",
            peer.seconds / default.seconds,
            target,
            loss <= SAME_LOSS,
            f"objective {loss:.5f} times its",
        )
    return section


def converge(bench: Bench) -> Section:
    """Time to come close to the lowest objective that any of them reaches."""
    section = Section("ALS, time to converge")
    jobs = [
        als_job(library, "cg" if library == "tastemaker" else "CG", 64, epochs=LONG, trace=True)
        for library in ("tastemaker", "implicit", "irspack")
    ]
    for job in jobs:
        bench.run(job, judge=True)
    *_, last, judged = jobs[0].first["values"]
    if abs(last / judged - 1) > 1e-4:
        sys.exit(f"our loss after the last epoch is {last}, the objective from the factors {judged}")
    lowest = min(value for job in jobs for value in job.first["values"])
    rows = []
    for job in jobs:
        near = np.flatnonzero(np.array(job.first["values"][:LONG]) <= CLOSE * lowest)
        when = f"{sum(job.first['laps'][: near[0] + 1]):.2f}" if len(near) else "not reached"
        rows.append([job.name, when, str(near[0] + 1) if len(near) else f"> {LONG}", f"{job.whole:.2f}"])
    section.say(
        f"To within 0.1 % of the lowest objective that any of the three has in {LONG} sweeps, {lowest:,.0f}, 64 factors, one run:"
    )
    section.table(["", "s", "sweeps", f"all {LONG}, s"], rows)
    return section


def bpr(bench: Bench) -> Section:
    section = Section("BPR")
    task = {"job": "bpr", "factors": 64, "epochs": BPR_EPOCHS}
    peers = [Job("implicit", f"rate {rate:g}", {**task, "learning_rate": rate}) for rate in BPR_RATES]
    ours = [
        Job("tastemaker", f"{negatives} negatives", {**task, "negatives": negatives})
        for negatives in ("uniform", "popularity")
    ]
    cornac = Job("cornac", f"rate {BPR_RATES[-1]:g}", peers[-1].task)
    bench.run_all([*ours, *peers, cornac])
    fastest, best = min(peers, key=lambda job: job.seconds), max(job.first["auc"] for job in peers)
    section.say(f"Seconds per epoch, 64 factors; AUC of one held-out pair a user after {BPR_EPOCHS} epochs.")
    section.table(
        ["", *FIGURES, "fit, s", "AUC"],
        (
            [job.name, *job.figures(), f"{job.whole:.2f}", f"{job.first['auc']:.4f}"]
            for job in [*ours, *peers, cornac]
        ),
    )
    for job in ours:
        section.target(
            f"{job.label}, against implicit",
            fastest.seconds / job.seconds,
            BPR_TARGET,
            job.first["auc"] >= best,
            f"AUC {job.first['auc']:.4f}, its best {best:.4f}",
        )
    return section


def itemknn(bench: Bench) -> Section:
    section = Section("ItemKNN")
    with np.load(bench.data) as data:
        dense = int(data["shape"][1]) ** 2 * 8 / 1e9
    libraries = ["tastemaker", "implicit", "lenskit", *(["cornac"] if dense < DENSE_LIMIT else [])]
    jobs = [
        Job(library, "", {"job": "itemknn", "neighbors": KNN, "out": str(bench.folder / f"{library}.npz")})
        for library in libraries
    ]
    bench.run_all(jobs)
    section.say(f"Fit with cosine and {KNN} neighbors an item.")
    if "cornac" not in libraries:
        section.say(
            f"cornac is left out: it holds the similarities of all items as a dense matrix, {dense:.1f} GB here."
        )
    section.table(["", *FIGURES], ([job.name, *job.figures()] for job in jobs))
    ours, peer, *others = jobs
    shared, furthest = same_neighbors(*(Path(job.task["out"]) for job in jobs[:2]))
    section.target(
        "against implicit",
        peer.seconds / ours.seconds,
        KNN_TARGET,
        shared == 1 and furthest < 1e-5,
        f"the same neighbors for {shared:.2%} of the items, ties aside, similarities at most {furthest:.0e} apart",
    )
    for other in others:
        section.ratio(f"against {other.library}", other.seconds / ours.seconds)
    return section


def same_neighbors(ours: Path, peer: Path) -> tuple[float, float]:
    """The share of items with the same neighbors, and how far their sorted similarities are apart at most.

    Of neighbors as similar as the last one (to 1e-6) either list may have any.
    """
    with np.load(ours) as us, np.load(peer) as them:
        items, codes, values = us["items"], us["codes"], us["values"]
        indptr, indices, data = them["indptr"], them["indices"], them["values"]
    same, furthest = 0, 0.0
    for at, item in enumerate(items):
        theirs, their_codes = (part[indptr[item] : indptr[item + 1]] for part in (data, indices))
        best = np.argsort(-theirs)[: codes.shape[1]]
        found = values[at] > 0
        edge = theirs[best[-1]] + 1e-6 if len(best) == codes.shape[1] else 0.0
        sure = set(codes[at][found & (values[at] > edge)]) ^ set(their_codes[best][theirs[best] > edge])
        same += not sure and found.sum() == len(best)
        if found.sum() == len(best):
            furthest = max(furthest, float(np.abs(values[at][found] - theirs[best]).max(initial=0)))
    return same / len(items), furthest


SECTIONS: dict[str, Callable[[Bench], Section]] = {
    **{f"als{factors}": partial(als, factors) for factors in ALS_TARGETS},
    "converge": converge,
    "bpr": bpr,
    "itemknn": itemknn,
    "recommend": recommend,
    "foldin": foldin,
    "similar": similar,
    "evaluate": evaluate,
}


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the users and pairs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    _native.set_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.rounds)
        generate(bench.data, args.scale)
        names = args.sections or SECTIONS
        return publish((SECTIONS[name](bench).begin(circumstances(bench)) for name in names), args.write)


if __name__ == "__main__":
    sys.exit(not main())
