"""One list by a policy, as a service asks for it: how long `choose` takes for one user at 10,000 to a million items.

    make bench BENCH=policy
    make bench BENCH=policy ARGS="--items 100000 --rounds 100"
    make bench BENCH=policy ARGS=--write                 # also puts the table into docs/benchmarks.md

A factor model of 64 factors finds 200 candidates, item neighbors, recent and trending items more; a pool of 100 is drawn from
with diversity, a cap on a feature, a slot for new items and softmax exploration, seen items left out. One thread. The factors are
made up: lists are as long and as varied as fitted ones, and cost the same. Each row is one kind of request, for other users. The
processor's time beside the clock's tells what other work on the machine adds.
"""

import argparse
import time
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from page import publish
from ratings import machine
from side_by_side import Section
from tastemaker import _native
from tastemaker._native.topk import top_k_dot
from tastemaker.data import Dataset
from tastemaker.data.catalogue import Catalogue
from tastemaker.models.base import Fitted
from tastemaker.models.implicit_als import ImplicitALS, ImplicitALSState
from tastemaker.models.item_knn import ItemKNN, ItemKNNState
from tastemaker.policy.exploration import Softmax
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.replay import record
from tastemaker.policy.stock import NewItem

FACTORS, NEIGHBORS, TASTES = 64, 20, 200
USERS, EACH = 50_000, 20
NOW = 1_700_000_000_000_000
TARGETS = {100_000: 4.0}  # milliseconds, the median of a plain request


def catalogue(items: int, rng: np.random.Generator) -> Dataset:
    """Interactions of users who keep to a few tastes, and items with a genre, a price and a title."""
    home = rng.integers(0, TASTES, (USERS, EACH)) * (items // TASTES)
    home[:, EACH // 2 :] = home[:, :1]
    item = (home + rng.zipf(1.3, (USERS, EACH)) - 1) % items
    number = np.arange(items)
    features = pl.DataFrame(
        {
            "item": number.astype(str),
            "title": [f"title {n % 5000} of {n}" for n in number],
            "genre": (number // (items // TASTES) % TASTES).astype(str),
            "maker": rng.integers(0, 500, items).astype(str),
            "price": rng.gamma(2, 10, items),
        }
    )
    pairs = pl.DataFrame(
        {
            "user": np.repeat(np.arange(USERS), EACH).astype(str),
            "item": item.ravel().astype(str),
            "time": rng.integers(NOW // 1_000_000 - 5_000_000, NOW // 1_000_000, USERS * EACH),
        }
    )
    people = pl.DataFrame({"user": np.arange(USERS).astype(str), "age": 18 + np.arange(USERS) % 60})
    return Dataset.from_interactions(pairs, item_features=features, user_features=people, timestamp="time")


def models(data: Dataset, rng: np.random.Generator) -> tuple[ImplicitALS, ItemKNN]:
    """A factor model in which items of a taste are alike, and neighbors of the same taste."""
    held = Catalogue.of(data)
    taste = np.arange(data.n_items) % TASTES if data.n_items < TASTES else np.zeros(data.n_items, int)
    taste = held.item_features["genre"].cast(pl.Int64).to_numpy() if data.n_items >= TASTES else taste
    centers = rng.standard_normal((TASTES, FACTORS)).astype(np.float32)
    vectors = (centers[taste] + 0.7 * rng.standard_normal((data.n_items, FACTORS))).astype(np.float32) / 8
    history = held.history
    users = np.add.reduceat(vectors[history.indices], history.indptr[:-1]) / history.lengths[:, None]
    gram = np.linalg.eigvalsh(vectors.T @ vectors)[::-1].astype(np.float32)
    als = ImplicitALS(factors=FACTORS)
    state = ImplicitALSState(users.astype(np.float32), vectors, gram, data.n_items, np.zeros(1))
    als._hold(Fitted(state, held))
    near = rng.integers(0, data.n_items // TASTES, (data.n_items, NEIGHBORS))
    codes = (taste[:, None] * (data.n_items // TASTES) + near).astype(np.int32) % data.n_items
    alike = np.sort(rng.random((data.n_items, NEIGHBORS)).astype(np.float32))[:, ::-1]
    knn = ItemKNN(neighbors=NEIGHBORS)
    knn._hold(Fitted(ItemKNNState(codes, np.ascontiguousarray(alike)), held))
    return als, knn


def live_catalogue(items: int) -> LiveCatalogue:
    """A live catalogue of so many items."""
    rng = np.random.default_rng(0)
    data = catalogue(items, rng)
    als, knn = models(data, rng)
    policy = Policy.of(
        als,
        also_bought=knn,
        diversity=0.3,
        caps={"maker": 2},
        new_item_slots=1,
        exploration=Softmax(0.1),
    )
    return LiveCatalogue(policy, now=NOW)


class Times(NamedTuple):
    """Milliseconds a call."""

    middle: float
    most: float  # the 99th percentile
    processor: float  # the median of the processor's time

    def __str__(self) -> str:
        return f"{self.middle:.2f} / {self.most:.1f} / {self.processor:.2f}"


def timed(work: Callable[[int], Any], rounds: int) -> Times:
    """Times of a call, after a few that do not count."""
    for n in range(5):
        work(n)
    wall, processor = [], []
    for n in range(rounds):
        start, used = time.perf_counter(), time.process_time()
        work(n)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return Times(*(float(x * 1e3) for x in (np.median(wall), np.quantile(wall, 0.99), np.median(processor))))


def measure(live: LiveCatalogue, rounds: int) -> dict[str, Times]:
    """Each kind of request."""
    users = np.random.default_rng(1).integers(0, USERS, 10_000).astype(str).tolist()
    deny = live.ids(np.arange(50, dtype=np.int32))

    def ask(n: int, **options: Any) -> Any:
        return live.choose(users[n], seed=n, now=NOW, **options)

    def log(n: int) -> bytes:
        choice = ask(n)
        return record(choice, live.ids(choice.candidates)).to_bytes()

    def acted(n: int) -> Any:
        live.observe([Observed(users[n], deny[n % 50], "like", NOW)])
        return ask(n)

    found = {
        "known user": timed(ask, rounds),
        "and 50 items denied": timed(lambda n: ask(n, deny=deny), rounds),
        "and a filter that nine of ten items pass": timed(lambda n: ask(n, filter="price < 39"), rounds),
        "and a filter that one of a hundred items passes": timed(
            lambda n: ask(n, filter="price < 1.5"), rounds
        ),
        "and the decision as bytes for the log": timed(log, rounds),
        "someone who just liked something": timed(acted, rounds),
        "an anonymous session of three items": timed(
            lambda n: live.choose(None, history=deny[n % 40 : n % 40 + 3], seed=n, now=NOW), rounds
        ),
        "nobody known": timed(lambda n: live.choose(None, seed=n, now=NOW), rounds),
    }
    new = [
        {"title": f"new title {n}", "genre": str(n % TASTES), "maker": "7", "price": 3.0} for n in range(50)
    ]
    put = timed(lambda n: live.put_items([NewItem(f"new-{n}", new[n % 50])], now=NOW), min(rounds, 30))
    return found | {"put a new item": put, "known user, new items on the shelf": timed(ask, rounds)}


def found_share(live: LiveCatalogue) -> str:
    """How many of the 200 best by the exact search the approximate one finds."""
    index = live.shelf.approximate
    if index is None:
        return "exact"
    model = live.shelf.models["retrieval"]
    queries = model._fitted.state.user_factors[:200]
    exact = top_k_dot(queries, model.packed_items(model._fitted), 200).items
    near = index.top(queries, 200, None)
    return f"{np.mean([len(np.intersect1d(a, b)) / 200 for a, b in zip(exact, near, strict=True)]):.1%} of the exact"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    _native.set_threads(1)
    section = Section("One list by a policy")
    section.say(
        f"One user's list with diversity, a cap, a slot for new items, exploration and seen items left out; {FACTORS} factors, "
        f"one thread; {machine()}; {date.today():%d %B %Y}. Milliseconds: median / 99th percentile / the processor's median."
    )
    columns = {}
    for items in args.items:
        start = time.perf_counter()
        live = live_catalogue(items)
        live.choose("1", now=NOW)
        ready = time.perf_counter() - start
        print(f"{items:,} items: ready in {ready:.1f} s; candidates: {found_share(live)}", flush=True)
        columns[items] = measure(live, args.rounds)
    rows = next(iter(columns.values()))
    section.table(
        ["", *(f"{items:,} items" for items in columns)],
        [[name, *(str(times[name]) for times in columns.values())] for name in rows],
    )
    for items, most in TARGETS.items():
        if items in columns:
            section.limit(
                f"a known user, {items:,} items, processor",
                columns[items]["known user"].processor,
                most,
                "ms",
            )
    publish([section], args.write)


if __name__ == "__main__":
    main()
