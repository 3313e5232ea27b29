"""Updates with 1 % new interactions against refits: how long they take, and how good the lists are.

    TASTEMAKER_DATA=../shared/data make bench BENCH=update

--data ml-100k is a quick try, --scale makes the made-up data smaller, --write puts the tables into docs/benchmarks.md. README.md
here says what is measured. Exit code 1: a target is missed.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tastemaker as tm
from page import publish
from ratings import machine, threads
from side_by_side import HERE, Section
from tastemaker import _native
from tastemaker.datasets import load
from yardstick import load as load_pairs
from yardstick import timed

NEW = 0.01  # share of the training interactions that come with the update
TEST = 0.1  # share of all that are held out
USERS = 2000  # at most so many of them get lists
FIRST = 1000  # users whose lists are timed after an update and a refit
K = 10
TURNS = 3  # of an update and a refit; the first are slowed down by memory that the system has yet to find
TIME_TARGET, NDCG_TARGET = 20.0, 0.995  # times as fast as a refit; its NDCG that must remain
MODELS = ("Popularity", "ItemKNN", "UserKNN", "ImplicitALS")


@dataclass
class Figures:
    """What one model did, a run after another."""

    update: list[float] = field(default_factory=list)
    refit: list[float] = field(default_factory=list)
    update_and_lists: list[float] = field(default_factory=list)  # the first lists of the new model
    refit_and_lists: list[float] = field(default_factory=list)
    ndcg: list[tuple[float, ...]] = field(default_factory=list)  # stale, updated, refitted

    @property
    def ratio(self) -> float:
        return median(r / u for r, u in zip(self.refit, self.update, strict=True))

    def times(self) -> list[str]:
        return [f"{median(self.update):.3f}", f"{median(self.refit):.2f}", f"{1 / self.ratio:.1%}"]

    def times_with_lists(self) -> list[str]:
        one, other = self.update_and_lists, self.refit_and_lists
        ratio = median(u / r for u, r in zip(one, other, strict=True))
        return [f"{median(one):.3f}", f"{median(other):.2f}", f"{ratio:.1%}"]


Table = dict[str, NDArray[np.int64]]  # columns user, item, time


def dataset(table: Table, rows: NDArray[Any]) -> tm.Dataset:
    return tm.Dataset.from_interactions(
        {name: column[rows] for name, column in table.items()}, timestamp="time", timestamp_unit="us"
    )


def public(name: str) -> Table:
    """The interactions of a public data set, whatever was rated."""
    data = load(name)
    ids = (data.users.ids.to_numpy()[data.user], data.items.ids.to_numpy()[data.item])
    return {"user": ids[0], "item": ids[1], "time": data.timestamp}


def made_up(path: Path) -> Table:
    """The pairs of synthetic.py, with times in the order of a random draw."""
    matrix = load_pairs(str(path))
    user = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    time = np.random.default_rng(0).permutation(len(user)) + 1
    return {"user": user, "item": matrix.indices.astype(np.int64), "time": time}


def at_random(table: Table, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows known, new and held out, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(table["user"]))
    held_out, train = np.split(order, [int(TEST * len(order))])
    new, known = np.split(train, [int(NEW * len(train))])
    return np.sort(known), np.sort(new), held_out


def by_time(table: Table, turn: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What came first, the next interactions, and those after; each turn ends earlier."""
    order = np.argsort(table["time"], kind="stable")
    end = int((1 - TEST) * (1 - 0.05 * turn) * len(order))
    begin = end - int(NEW * end)
    return order[:begin], order[begin:end], order[end : end + int(TEST * len(order))]


def ndcg(model: Any, table: Table, held_out: NDArray[np.int64]) -> float:
    """The mean NDCG@10 over users with held-out interactions; an unknown user is among them."""
    user, item = table["user"][held_out], table["item"][held_out]
    asked = np.unique(user)
    if len(asked) > USERS:
        asked = np.random.default_rng(0).choice(asked, USERS, replace=False)
    relevant = {u: set(item[user == u].tolist()) for u in asked.tolist()}
    discounts = 1 / np.log2(np.arange(2, K + 2))
    lists = model.recommend(asked.tolist(), k=K).lists()
    gains = [
        sum(discounts[n] for n, i in enumerate(found) if i in relevant[u])
        / discounts[: len(relevant[u])].sum()
        for u, found in zip(asked.tolist(), lists, strict=True)
    ]
    return float(np.mean(gains))


def run(
    kind: type[Any], seed: int, table: Table, parts: list[tm.Dataset], held_out: Any, figures: Figures
) -> None:
    """Update and refit, and compare what they, and the model as it was, recommend."""
    known, new, everything = parts
    seeded = {"seed": seed} if hasattr(kind, "seed") else {}
    stale, refitted = kind(**seeded), kind(**seeded)
    stale.fit(replace(known))  # without what another model has had computed
    users = np.random.default_rng(seed).choice(known.users.ids.to_numpy(), FIRST).tolist()
    updates, refits = [], []
    for _ in range(TURNS):
        seconds, updated = timed(lambda: stale.update(replace(new)))
        updates.append(seconds)
        seconds, _ = timed(lambda: refitted.fit(replace(everything)))
        refits.append(seconds)
    figures.update.append(median(updates))
    figures.refit.append(median(refits))
    for model, seconds, column in (
        (updated, updates[-1], figures.update_and_lists),
        (refitted, refits[-1], figures.refit_and_lists),
    ):
        column.append(seconds + timed(partial(model.recommend, users, k=K))[0])
    if held_out is not None:
        figures.ndcg.append(tuple(ndcg(m, table, held_out) for m in (stale, updated, refitted)))


def measured(models: list[str], table: Table, splits: Iterable[Any], judge: bool) -> dict[str, Figures]:
    figures = {name: Figures() for name in models}
    for seed, (known, new, held_out) in enumerate(splits):
        parts = [dataset(table, rows) for rows in (known, new, np.concatenate([known, new]))]
        for name, own in figures.items():
            run(getattr(tm, name), seed, table, parts, held_out if judge else None, own)
            print(f"  {name}: update {own.update[-1]:.3f} s, refit {own.refit[-1]:.3f} s", file=sys.stderr)
    return figures


def quality(section: Section, models: list[str], name: str, table: Table, rounds: int) -> None:
    for split, how in ((at_random, "the new ones drawn at random"), (by_time, "the new ones are the latest")):
        rows = measured(models, table, (split(table, n) for n in range(rounds)), judge=True)
        section.table(
            [
                f"{name}, {how}",
                "update, s",
                "refit, s",
                "ratio",
                "stale",
                "updated",
                "refitted",
                "of the refit's",
            ],
            (
                [
                    model,
                    *figures.times(),
                    *(f"{value:.4f}" for value in np.mean(figures.ndcg, axis=0)),
                    spread(figures),
                ]
                for model, figures in rows.items()
            ),
        )
        for model, figures in rows.items():
            judge(section, model, figures)
        section.lines.append("")


def spread(figures: Figures) -> str:
    """The least and the greatest share of the refit's NDCG that an updated model has."""
    shares = [updated / refitted for _, updated, refitted in figures.ndcg]
    return f"{min(shares):.2%} to {max(shares):.2%}"


def judge(section: Section, model: str, figures: Figures) -> None:
    stale, updated, refitted = np.mean(figures.ndcg, axis=0)
    kept = updated / refitted
    met = kept >= NDCG_TARGET and updated > stale
    section.met &= bool(met)
    section.lines.append(
        f"- {model}: **{kept:.2%}** of the refit's NDCG, target {NDCG_TARGET:.1%}; {updated / stale:.2%} of the stale model's: "
        f"{'met' if met else 'MISSED'}."
    )


def speed(section: Section, models: list[str], table: Table, rounds: int) -> None:
    rows = measured(models, table, (at_random(table, n) for n in range(rounds)), judge=False)
    section.table(
        [
            f"made-up, {len(table['user']):,} pairs",
            "update, s",
            "refit, s",
            "ratio",
            "update and lists, s",
            "refit and lists, s",
            "ratio of both",
        ],
        ([model, *figures.times(), *figures.times_with_lists()] for model, figures in rows.items()),
    )
    for model, figures in rows.items():
        section.target(model, figures.ratio, TIME_TARGET)


def main() -> bool:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="model", help=f"of {', '.join(MODELS)}; all by default")
    parser.add_argument("--data", default="ml-1m", help="a public data set by name, for the lists")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the made-up users and pairs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    args = parser.parse_args()
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    models = args.models or list(MODELS)
    section = Section("Updates")
    section.say(
        f"{NEW:.0%} new interactions; {threads()}, our kernels {_native.isa()}; tastemaker {tm.__version__}; "
        f"{machine()}; {date.today():%d %B %Y}."
    )
    section.say(
        f"Median seconds and mean NDCG@{K} of {args.rounds} splits (of three for the made-up data), an update and a refit "
        f"{TURNS} times in turn on each; *refit* is all of `fit`; *lists* are the first ones of the new "
        f"model, for {FIRST:,} users."
    )
    quality(section, models, args.data, public(args.data), args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.npz"
        subprocess.run([sys.executable, HERE / "synthetic.py", path, str(args.scale)], check=True)
        speed(section, models, made_up(path), min(3, args.rounds))
    return publish([section], args.write)


if __name__ == "__main__":
    sys.exit(not main())
