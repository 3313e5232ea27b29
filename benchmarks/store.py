"""How many events a second the store keeps, each on disk before it is acknowledged.

    make bench BENCH=store
    make bench BENCH=store ARGS="--url postgresql://user@host/name --seconds 10"

Singly: many clients, each of which posts one event and waits for it. In batches: a few clients with batches of 100.
Decisions: of 500 candidates each. Exit code 1: a target is missed.
"""

import argparse
import os
import platform
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4

from tastemaker.service.store import Decision, Event, Slot, Store

SINGLE_TARGET, BATCH_TARGET = 1500, 20_000  # durable events a second
BATCH = 100
CANDIDATES = 500
MOMENT = 1_700_000_000_000_000


@dataclass
class Figures:
    """What some clients did for some seconds."""

    rows: int
    seconds: float
    cpu: float  # seconds of this process
    waits: list[float]  # seconds, one a call

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    def row(self, name: str) -> str:
        cuts = quantiles(self.waits, n=100)
        load = self.cpu / self.seconds
        return (
            f"{name:34} {self.rate:>9,.0f}/s   p50 {median(self.waits) * 1e3:6.1f} ms   p99 {cuts[98] * 1e3:6.1f} ms   "
            f"{self.cpu / self.rows * 1e6:6.0f} µs CPU a row   {load:.2f} cores"
        )


def events(count: int) -> list[Event]:
    return [
        Event(
            event_id=uuid4().hex,
            user_id=f"user-{random.randrange(50_000)}",
            item_id=f"item-{random.randrange(100_000)}",
            kind="click",
            time=MOMENT,
            session_id="s1",
        )
        for _ in range(count)
    ]


def decision() -> Decision:
    ids = [f"item-{n}" for n in random.sample(range(100_000), CANDIDATES)]
    slots = tuple(
        Slot(item_id=i, score=0.5, propensity=0.1, source="mf", reason="like others") for i in ids[:10]
    )
    return Decision(
        recommendation_id=uuid4().hex,
        user_id="user-1",
        surface="home",
        time=MOMENT,
        policy="softmax",
        policy_version="1",
        model="v1",
        seed=1,
        k=10,
        slots=slots,
        log_probability=-23.0,
        record=os.urandom(10 * CANDIDATES),
    )


def measure(clients: int, seconds: float, rows: int, call: Callable[[], None]) -> Figures:
    """So many threads that call and wait, again and again."""
    waits: list[float] = []
    until = time.perf_counter() + seconds

    def client() -> None:
        while (before := time.perf_counter()) < until:
            call()
            waits.append(time.perf_counter() - before)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Figures(rows * len(waits), time.perf_counter() - start, time.process_time() - cpu, waits)


def post(store: Store, count: int) -> None:
    assert store.post(events(count)).result().accepted == count


def log(store: Store, count: int) -> None:
    for future in [store.log(decision()) for _ in range(count)]:
        future.result()


def read(store: Store) -> None:
    store.history([f"user-{random.randrange(50_000)}"])


def run(store: Store, seconds: float) -> bool:
    single = measure(64, seconds, 1, lambda: post(store, 1))
    print(single.row("events singly, 64 clients"), flush=True)
    batches = measure(8, seconds, BATCH, lambda: post(store, BATCH))
    print(batches.row(f"events in batches of {BATCH}, 8 clients"), flush=True)
    logged = measure(4, seconds, BATCH, lambda: log(store, BATCH))
    print(logged.row(f"decisions, {BATCH} at once, 4 clients"), flush=True)
    reads = measure(1, seconds, 1, lambda: read(store))
    print(reads.row("histories, 1 client"), flush=True)
    return single.rate >= SINGLE_TARGET and batches.rate >= BATCH_TARGET


def sync_time(folder: Path) -> float:
    """Seconds that the disk takes for 4 KiB, for comparison."""
    times = []
    with (folder / "sync").open("wb") as file:
        for _ in range(50):
            before = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - before)
    return median(times)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="the database; by default a new SQLite file")
    parser.add_argument(
        "--folder", type=Path, help="where that file is made; by default the temporary folder"
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
            f"SQLite {sqlite3.sqlite_version}, fsync {sync_time(Path(folder)) * 1e3:.1f} ms"
        )
        with Store.open(options.url or f"sqlite:///{folder}/store.db") as store:
            return 0 if run(store, options.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
