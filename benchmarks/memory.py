"""Peak memory of loading, fitting and recommending at 30 million interactions, each in a fresh process.

    make bench BENCH=memory ARGS="--scale 0.1"

--write puts the tables into docs/benchmarks.md. README.md here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from page import PAGE, circumstances, publish
from side_by_side import HERE, Bench, Job, Section
from synthetic import interactions

FACTORS = 128
LIMIT = 2500.0  # MB
GROWTH = 1.1  # times the memory for a tenth of the users that all users may take


def job(label: str, what: str, **task: Any) -> Job:
    return Job("tastemaker", label, {"job": what, "factors": FACTORS, **task}, script="memory_jobs.py")


def fits(bench: Bench) -> Section:
    section = Section("Memory")
    folder = {"folder": str(bench.folder)}
    saved, model = (str(bench.folder / name) for name in ("saved", "model"))
    mapped = {"mapped": saved, **folder}
    jobs = [
        job("nothing but imports", "nothing"),
        job("load, ids", "load", rows="distinct", save=saved, **folder),
        job("load and fit, ids", "fit", rows="distinct", save=model, **folder),
        job("load, repeated events with counts and times", "load", rows="events", **folder),
        job("load and fit, repeated events with counts and times", "fit", rows="events", **folder),
        job("map a saved Dataset and fit", "fit", **mapped),
        Job("implicit", "fit, pairs from NumPy", {"job": "als", "factors": FACTORS, "epochs": 1}),
    ]
    bench.run_all(jobs)
    section.say(
        f"Most memory resident, from the start of the process to the end of the job, what is mapped from files included. Parquet "
        f"in, one sweep of ALS with {FACTORS} factors; the events are a tenth more rows, which repeat pairs."
    )
    table(section, jobs)
    for at in (2, 4, 5):
        section.limit(jobs[at].label, jobs[at].peak, LIMIT, "MB")
    return section


def everyone(bench: Bench, users: int) -> Section:
    section = Section("Memory of lists for all users")
    task = {"model": str(bench.folder / "model"), "out": str(bench.folder / "lists.parquet")}
    jobs = [
        job(f"{count:,} users", "everyone", users=None if count == users else count, **task)
        for count in (users // 10, users // 3, users)
    ]
    bench.run_all(jobs)
    section.say(
        f"Top 10 of each user, from a saved model of {FACTORS} factors mapped from disk, streamed into a Parquet file. *mapped* "
        "are pages of files, the model and the libraries, which the system may drop; *held* is the rest."
    )
    held = [job.peak - job.first["mapped"] for job in jobs]
    section.table(
        ["", "s", "peak MB", "mapped", "held"],
        (
            [job.name, f"{job.seconds:.1f}", f"{job.peak:,.0f}", f"{job.first['mapped']:,.0f}", f"{own:,.0f}"]
            for job, own in zip(jobs, held, strict=True)
        ),
    )
    section.limit("held for all users, against a tenth of them", held[-1] / held[0], GROWTH, "times the MB")
    return section


def table(section: Section, jobs: list[Job]) -> None:
    section.table(
        ["", "s", "peak MB"], ([job.name, f"{job.seconds:.1f}", f"{job.peak:,.0f}"] for job in jobs)
    )


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the users and rows")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        users, _, _ = interactions(Path(folder), args.scale)
        bench = Bench(Path(folder), rounds=1)
        sections = (fits(bench), everyone(bench, users))
        return publish((section.begin(circumstances(bench)) for section in sections), args.write)


if __name__ == "__main__":
    sys.exit(not main())
