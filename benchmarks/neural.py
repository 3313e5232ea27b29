"""Neural models side by side with RecBole and DeepCTR-Torch on MovieLens-1M: training, time to equal quality, full evaluation.

    TASTEMAKER_DATA=... make bench BENCH=neural ARGS="neumf deepfm evaluate --epochs 2"

Sections are chosen by name, all by default; --epochs makes a quick try; --write puts the tables into docs/benchmarks.md.
README.md here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from neural_data import clicks_ml_1m, implicit_ml_1m
from page import PAGE, publish
from ratings import machine
from side_by_side import HERE, Bench, Job, Section
from tastemaker import _native

THREADS = 1
EPOCHS = 10
TRAIN_TARGET, EVALUATE_TARGET = 3.0, 10.0  # times as fast as the faster peer
NEUMF = {"factors": 8, "layers": (64, 32, 16, 8), "negatives": 4, "learning_rate": 1e-3}
NEUMF_BATCHES = (256, 2048)  # the paper's, and RecBole's default
DEEPFM = {"factors": 10, "layers": (128, 128, 128), "dropout": 0.2, "batch": 2048, "learning_rate": 1e-3}
EVAL_BATCHES = (4096, 1 << 17)  # RecBole's default, and a large one
OURS = "peers_tastemaker_neural.py"


def job(library: str, task: dict[str, Any], label: str = "") -> Job:
    return Job(library, label, task, script=OURS if library == "tastemaker" else "")


def devices() -> list[str]:
    """The CPU, and a GPU where there is one."""
    import torch

    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def trained(
    bench: Bench, section: Section, name: str, task: dict[str, Any], peers: list[str], examples: int
) -> None:
    """Train with every library, on every device that there is, and put speed and time to equal quality into a table."""
    for device in devices():
        jobs = [job(library, {**task, "job": name, "device": device}) for library in ("tastemaker", *peers)]
        bench.run_all(jobs)
        compare(section, f"{device}, batches of {task['batch']}", jobs, examples)


def compare(section: Section, title: str, jobs: list[Job], examples: int) -> None:
    """Examples a second, and seconds of training until the best value that all of them reach."""
    ours, *peers = jobs
    common = min(max(one.first["values"]) for one in jobs)
    to = f"s to {common:.4f}"
    section.table(
        [
            title,
            "examples/s",
            "s an epoch",
            "least to most",
            "elapsed",
            "best value",
            to,
            "epochs",
            "peak MB",
        ],
        (row(one, examples, common) for one in jobs),
    )
    for peer in peers:
        section.target(f"training, against {peer.library}", busy(peer) / busy(ours), TRAIN_TARGET)
    soonest = min(peers, key=lambda peer: until(peer, common)[0])
    ratio = until(soonest, common)[0] / until(ours, common)[0]
    section.target(f"to a value of {common:.4f}, against {soonest.library}", ratio, TRAIN_TARGET)
    section.lines.append("")


def row(one: Job, examples: int, common: float) -> list[str]:
    seconds, epochs = until(one, common)
    laps = one.first["busy"]
    return [
        one.name,
        f"{examples / busy(one):,.0f}",
        f"{busy(one):.2f}",
        f"{min(laps):.2f} to {max(laps):.2f}",
        f"{one.seconds:.2f}",
        f"{max(one.first['values']):.4f}",
        f"{seconds:.1f}",
        str(epochs),
        f"{one.peak:,.0f}",
    ]


def busy(one: Job) -> float:
    """Seconds of the processor an epoch: with one thread those that pass, less those in which others had it."""
    return float(np.median([lap for report in one.reports for lap in report["busy"]]))


def until(one: Job, value: float) -> tuple[float, int]:
    """Seconds of training, and epochs, until the first that is as good."""
    epoch = next(at for at, reached in enumerate(one.first["values"]) if reached >= value)
    return list(accumulate(one.first["busy"]))[epoch], epoch + 1


def without_gpu(section: Section) -> None:
    if "cuda" not in devices():
        section.say("GPU: not measured.")


def neumf(bench: Bench, epochs: int) -> Section:
    section = Section("NeuMF")
    implicit_ml_1m(bench.data)
    with np.load(bench.data) as data:
        pairs, held_out = len(data["user"]), len(data["valid_user"])
    examples = pairs * (1 + int(NEUMF["negatives"]))
    section.say(
        f"{pairs:,} positives with {NEUMF['negatives']} negatives each, drawn anew every epoch: {examples:,} examples; "
        f"embeddings of {NEUMF['factors']} and {NEUMF['layers'][0] // 2}, layers {NEUMF['layers']}, Adam. The value is the "
        f"NDCG@10 of {held_out:,} held-out items, each among 99 random ones, after each epoch; its time is not counted."
    )
    for batch in NEUMF_BATCHES:
        trained(bench, section, "neumf", {**NEUMF, "batch": batch, "epochs": epochs}, ["recbole"], examples)
    without_gpu(section)
    return section


def deepfm(bench: Bench, epochs: int) -> Section:
    section = Section("DeepFM")
    clicks_ml_1m(bench.data)
    with np.load(bench.data) as data:
        examples = int((data["part"] == 0).sum())
    section.say(
        f"{examples:,} rows with ids and features of users and movies, each of them one embedding of {DEEPFM['factors']} in all "
        f"libraries (of genres the mean); layers {DEEPFM['layers']}, dropout {DEEPFM['dropout']}, Adam. The value is the AUC of "
        "validation rows after each epoch; its time is not counted."
    )
    trained(bench, section, "deepfm", {**DEEPFM, "epochs": epochs}, ["recbole", "deepctr"], examples)
    without_gpu(section)
    return section


def evaluate(bench: Bench, epochs: int) -> Section:
    """Epochs do not matter here: one is enough to have a model to evaluate."""
    section = Section("Full-catalogue evaluation of NeuMF")
    implicit_ml_1m(bench.data)
    task = {**NEUMF, "job": "neumf", "batch": NEUMF_BATCHES[-1], "epochs": 1, "evaluate": True}
    ours, *peers = jobs = [
        job("tastemaker", task),
        *(job("recbole", {**task, "eval_batch": size}, f"eval_batch_size {size:,}") for size in EVAL_BATCHES),
    ]
    bench.run_all(jobs)
    section.say(
        "NDCG@10 of every user's held-out item in a ranking of the full catalogue, after one epoch of training by each library."
    )
    seconds = {one.name: float(np.median([report["evaluation"] for report in one.reports])) for one in jobs}
    section.table(
        ["", "s", "users/s", "NDCG@10"],
        (
            [
                one.name,
                f"{seconds[one.name]:.2f}",
                f"{one.first['users'] / seconds[one.name]:,.0f}",
                f"{one.first['ndcg']:.4f}",
            ]
            for one in jobs
        ),
    )
    best = min(peers, key=lambda peer: seconds[peer.name])
    section.target(f"against {best.name}", seconds[best.name] / seconds[ours.name], EVALUATE_TARGET)
    return section


SECTIONS: dict[str, Callable[[Bench, int], Section]] = {
    "neumf": neumf,
    "deepfm": deepfm,
    "evaluate": evaluate,
}


def circumstances(bench: Bench, data: str = "MovieLens-1M") -> str:
    versions = ", ".join(f"{library} {version}" for library, version in sorted(bench.versions.items()))
    return f"{data}, {THREADS} thread, our kernels {_native.isa()}; {versions}; {machine()}; {date.today():%d %B %Y}."


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default"
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(HERE.parent)}")
    args = parser.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.rounds, THREADS)
        names = args.sections or SECTIONS
        sections = (SECTIONS[name](bench, args.epochs).begin(circumstances(bench)) for name in names)
        return publish(sections, args.write)


if __name__ == "__main__":
    sys.exit(not main())
