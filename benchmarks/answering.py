"""The sections of implicit_feedback.py that ask models: lists for all users, new users, similar items, evaluation.

All libraries have the same factors, so that they answer the same.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from side_by_side import FIGURES, Bench, Job, Section

K, RECOMMEND_TARGET, CALLERS_TARGET = 10, 1.8, 1.5
NEW_USERS = 20_000
TEST_SHARE = 0.1  # of the pairs
ALIKE = 1e-3  # relative difference of a metric that still counts as the same


def fitted(bench: Bench, name: str, **task: Any) -> dict[str, str]:
    """Fit what all libraries answer with: our model and a file of its factors."""
    saved = {
        "model": str(bench.folder / name / "model"),
        "factors_file": str(bench.folder / f"{name}-factors.npz"),
    }
    if not Path(saved["factors_file"]).exists():
        bench.run(Job("tastemaker", "", {"job": "factors", **ALS, **saved, **task}))
    return saved


ALS = {"solver": "cg", "factors": 64, "epochs": 2}


def both(bench: Bench, job: str, **task: Any) -> tuple[list[Job], dict[str, str]]:
    """A job of ours and of implicit with the same factors, each writing its lists; and where the factors are."""
    saved = fitted(bench, "all")
    out = {library: str(bench.folder / f"{library}-{job}.npy") for library in ("tastemaker", "implicit")}
    jobs = [
        Job(library, "", {"job": job, "k": K, "out": file, **saved, **task}) for library, file in out.items()
    ]
    return jobs, saved


def recommend(bench: Bench) -> Section:
    section = Section("Lists for all users")
    jobs, saved = both(bench, "recommend")
    callers = Job("tastemaker", "two callers", {"job": "two_callers", "k": K, **saved})
    bench.run_all([*jobs, callers])
    section.say(f"`recommend` of {K} unseen items for every user, from the same 64 factors.")
    section.table(["", *FIGURES], ([job.name, *job.figures()] for job in jobs))
    ours, peer = jobs
    same = same_lists(*(np.load(job.task["out"]) for job in jobs))
    section.target(
        "against implicit",
        peer.seconds / ours.seconds,
        RECOMMEND_TARGET,
        same >= 0.99,
        f"the same items for {same:.2%} of the users (two scores may be closer than single precision can tell)",
    )
    one, two = np.median([report["laps"] for report in callers.reports], axis=0)
    section.target(
        f"two Python threads, a kernel thread each ({two:.2f} s), against one after the other ({one:.2f} s)",
        one / two,
        CALLERS_TARGET,
    )
    return section


def foldin(bench: Bench) -> Section:
    section = Section("New users")
    jobs, _ = both(bench, "foldin", users=NEW_USERS)
    section.say(
        f"`recommend(history=...)`: the factors of up to {NEW_USERS:,} users from their histories alone, solved exactly, and "
        f"their top {K} unseen items; implicit's `recalculate_user=True`. 64 factors."
    )
    return lists(bench, section, jobs)


def similar(bench: Bench) -> Section:
    section = Section("Similar items")
    jobs, _ = both(bench, "similar")
    section.say(f"`similar_items`: the {K} items nearest to every item, by the cosine of 64 factors.")
    return lists(bench, section, jobs)


def lists(bench: Bench, section: Section, jobs: list[Job]) -> Section:
    """Run, and compare times and lists."""
    bench.run_all(jobs)
    section.table(["", *FIGURES], ([job.name, *job.figures()] for job in jobs))
    ours, peer = jobs
    same = same_lists(*(np.load(job.task["out"]) for job in jobs))
    section.ratio(
        "against implicit", peer.seconds / ours.seconds, f"the same items for {same:.2%} of the lists"
    )
    return section


def same_lists(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> float:
    """The share of users, of those who have interactions, with the same items."""
    known = ours[:, 0] >= 0
    theirs = theirs[: len(ours)]  # users after the last that has interactions have no list of ours
    return float(np.mean((np.sort(ours[known], axis=1) == np.sort(theirs[known], axis=1)).all(axis=1)))


def evaluate(bench: Bench) -> Section:
    section = Section("Evaluation")
    parts = {"data": str(bench.folder / "train.npz"), "test": str(bench.folder / "test.npz")}
    held_out = hold_out(bench.data, parts["data"], parts["test"])
    saved = fitted(bench, "train", data=parts["data"])
    task = {"job": "evaluate", "k": K, **ALS, **saved, **parts}
    in_lists = f"ndcg@{K},map@{K},precision@{K}"
    jobs = [
        Job("tastemaker", "lists", {**task, "metrics": in_lists}),
        Job("tastemaker", "lists and AUC", {**task, "metrics": f"{in_lists},auc_catalogue"}),
        Job("implicit", "lists", task),
        Job("irspack", "lists", task),
    ]
    bench.run_all(jobs)
    section.say(
        f"NDCG, MAP and precision at {K} over the full catalogue, of {held_out:,} held-out pairs and 64 factors, without the "
        "fit; ours also with the AUC of all items (implicit's AUC is of the list alone, and comes with the rest)."
    )
    section.table(
        ["", *FIGURES, "NDCG", "precision"],
        (
            [job.name, *job.figures(), *(f"{job.first[name]:.5f}" for name in ("ndcg", "precision"))]
            for job in jobs
        ),
    )
    ours = jobs[0]
    for peer in jobs[2:]:
        apart = abs(peer.first["ndcg"] / ours.first["ndcg"] - 1)
        section.ratio(
            f"against {peer.library}", peer.seconds / ours.seconds, f"NDCG {apart:.1e} apart", apart < ALIKE
        )
    return section


def hold_out(pairs: Path, train: str, test: str) -> int:
    """Part the pairs at random; how many are held out."""
    with np.load(pairs) as data:
        indptr, indices, shape = data["indptr"], data["indices"], data["shape"]
    held = np.random.default_rng(0).random(len(indices)) < TEST_SHARE
    for file, chosen in ((train, ~held), (test, held)):
        ends = np.concatenate([[0], np.cumsum(chosen)])[indptr]
        np.savez(file, indptr=ends, indices=indices[chosen], shape=shape)
    return int(held.sum())
