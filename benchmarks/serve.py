"""The service under load: lists at a rate that does not wait for answers, and events on disk.

    make bench BENCH=serve
    make bench BENCH=serve ARGS="--items 100000 --rates 50 150 --seconds 30"
    make bench BENCH=serve ARGS=--write                 # also puts the table into docs/benchmarks.md
    make bench BENCH=serve ARGS="--memory 200000 --items 10000"     # how much memory grows; takes a quarter of an hour
    make bench BENCH=serve ARGS="--folder /tmp/made --prepare"      # only makes stores and models, which --folder keeps

The service is one process on one core, with SQLite in a folder, 50,000 users and the policy of `policy.py`: a factor model of 64
factors, diversity, a cap, a slot for new items and exploration; seen items left out, half of the requests with a filter, every
list logged. In a second row of each size a DeepFM ranks the 200 candidates and the others, with the user's row as it is in the
store. The load comes from this process, on other cores where there are any: requests arrive at random at the given rate whether
or not earlier ones have been answered, and the time of each counts from when it was due. The processor's time of the service
beside the clock's tells what other work on the machine adds.
"""

import argparse
import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from page import publish
from policy import USERS, catalogue, models
from ratings import machine
from side_by_side import Section
from tastemaker.data.dataset import Dataset
from tastemaker.models.base import Fitted, Recommender
from tastemaker.models.bundle import save
from tastemaker.models.neural.deep_fm import DeepFM
from tastemaker.policy.exploration import Softmax
from tastemaker.policy.policy import Policy
from tastemaker.service.store import Store, User

CONNECTIONS = 64
WARM_UP = 20_000  # requests after which memory is looked at first
GROWTH = 1.05
TARGETS = {"rate": 150.0, "median": 10.0, "p99": 25.0, "single": 1_500.0, "batched": 20_000.0}


def prepare(folder: Path, items: int, neural: bool) -> None:
    """A store with users, and a saved policy."""
    rng = np.random.default_rng(0)
    data = catalogue(items, rng)
    als, knn = models(data, rng)
    policy = Policy.of(
        als,
        also_bought=knn,
        ranking=ranker(data, als) if neural else None,
        diversity=0.3,
        caps={"maker": 2},
        new_item_slots=1,
        exploration=Softmax(0.1),
    )
    save({"policy": policy}, folder / "models")
    with Store.open(f"sqlite:///{folder}/tastemaker.db") as store:
        for start in range(0, USERS, 5000):
            store.put_users([User(str(u), {"age": 18 + u % 60}) for u in range(start, start + 5000)]).result()


def ranker(data: Dataset, beside: Recommender[Any]) -> DeepFM:
    """A DeepFM, hardly trained: what it costs to ask is the same."""
    some = data.select(np.arange(0, len(data), 50))
    model = DeepFM(epochs=1, negatives=1, batch_size=4096).fit(some)
    model._hold(Fitted(model._fitted.state, beside.catalogue))
    return model


@contextmanager
def made(kept: Path | None, items: int, neural: bool) -> Iterator[Path]:
    """A folder with a store and a policy: one that is kept, or made for the moment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "made"
        there = None if kept is None else kept / f"{items}{'-neural' if neural else ''}"
        if there is None or not there.exists():
            prepare(folder, items, neural)
        if there is not None:
            if not there.exists():
                shutil.copytree(folder, there)
            shutil.copytree(there, folder, dirs_exist_ok=True)
        yield folder


@contextmanager
def serving(folder: Path) -> Any:
    """The service on one core: its port and its process id."""
    cores = os.sched_getaffinity(0)
    core = {max(cores)}
    command = [sys.executable, "-c", "from tastemaker.cli import main; main()", "serve", "--port", "0"]
    command += ["--db", f"sqlite:///{folder}/tastemaker.db", "--models", str(folder / "models")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TASTEMAKER_THREADS": "1", "POLARS_MAX_THREADS": "1", "COLUMNS": "200"},
        preexec_fn=lambda: os.sched_setaffinity(0, core),
    )
    os.sched_setaffinity(0, cores - core or cores)
    assert process.stdout is not None
    line = next(line for line in process.stdout if "http://" in line)
    found = re.search(r":(\d+)/", line)
    assert found is not None
    try:
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.wait(60)
        os.sched_setaffinity(0, cores)


def processor_seconds(pid: int) -> float:
    """The processor's time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client:
    """Connections that are kept open; one request at a time on each."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()

    async def connect(self) -> None:
        for _ in range(CONNECTIONS):
            self.free.put_nowait(await asyncio.open_connection("127.0.0.1", self.port))

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer, which must be 200."""
        connection = await self.free.get()
        reader, writer = connection
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
        assert length is not None
        content = await reader.readexactly(int(length[1]))
        self.free.put_nowait(connection)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {answer[:40]!r} {content[:300]!r}")
        return content


async def open_loop(rate: float, seconds: float, ask: Callable[[int], Awaitable[Any]]) -> np.ndarray:
    """float64[n]: milliseconds from when each request was due to its answer."""
    rng = np.random.default_rng(1)
    due = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    took = np.empty(len(due))
    start = time.perf_counter()

    async def one(n: int) -> None:
        await ask(n)
        took[n] = time.perf_counter() - start - due[n]

    tasks = []
    for n, moment in enumerate(due):
        await asyncio.sleep(max(0.0, moment - (time.perf_counter() - start)))
        tasks.append(asyncio.create_task(one(n)))
    await asyncio.gather(*tasks)
    return took * 1000


async def closed_loop(seconds: float, clients: int, ask: Callable[[int], Awaitable[Any]]) -> float:
    """Answers a second to so many clients that post and wait."""
    start, done = time.perf_counter(), 0

    async def one(client: int) -> None:
        nonlocal done
        number = client
        while time.perf_counter() - start < seconds:
            await ask(number)
            number += clients
            done += 1

    await asyncio.gather(*(one(client) for client in range(clients)))
    return done / (time.perf_counter() - start)


def question(n: int) -> bytes:
    """A request for a list; every other one with a filter."""
    asked: dict[str, Any] = {"user_id": str(n * 7919 % USERS), "k": 10}
    return json.dumps(asked | ({"filter": f"price < {15 + 5 * (n % 8)}"} if n % 2 else {})).encode()


def events(prefix: str, n: int, count: int, items: int) -> bytes:
    """A batch of events."""
    made = [
        {
            "event_id": f"{prefix}-{n}-{i}",
            "user_id": str((n * 31 + i) % USERS),
            "item_id": str((n * 17 + i * 7) % items),
            "kind": "view",
            "value": 0.5,
        }
        for i in range(count)
    ]
    return json.dumps({"events": made}).encode()


def resident(pid: int) -> float:
    """MB of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


async def grown(port: int, pid: int, items: int, requests: int) -> tuple[float, float]:
    """MB after the first requests, and after so many more: lists, and an event after each twentieth."""
    client = Client(port)
    await client.connect()
    sizes = []
    done = 0

    async def one(until: int) -> None:
        nonlocal done
        while done < until:
            done += 1
            n = done
            await client.post("/v1/recommendations", question(n))
            if n % 20 == 0:
                await client.post("/v1/events", events("memory", n, 1, items))

    for until in (WARM_UP, WARM_UP + requests):
        await asyncio.gather(*(one(until) for _ in range(8)))
        sizes.append(resident(pid))
        print(f"{until:,} requests: {sizes[-1]:.1f} MB", flush=True)
    return sizes[0], sizes[1]


async def measure(
    port: int, pid: int, items: int, rates: list[float], seconds: float, posting: bool = True
) -> dict[str, Any]:
    client = Client(port)
    await client.connect()
    for n in range(200):
        await client.post("/v1/recommendations", question(n))
    found: dict[str, Any] = {}
    for rate in rates:
        before = processor_seconds(pid)
        took = await open_loop(rate, seconds, lambda n: client.post("/v1/recommendations", question(n)))
        busy = (processor_seconds(pid) - before) / len(took)
        found[f"{rate:g} lists/s"] = (*np.percentile(took, [50, 99]), busy * 1000)
    for name, count, clients in (("single", 1, 64), ("batched", 100, 8)) if posting else ():
        before = processor_seconds(pid)
        start = time.perf_counter()

        async def post(n: int, count: int = count, name: str = name) -> None:
            await client.post("/v1/events", events(name, n, count, items))

        rate = count * await closed_loop(seconds, clients, post)
        share = (processor_seconds(pid) - before) / (time.perf_counter() - start)
        found[name] = (rate, share)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 150])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--folder", type=Path, help="keep what is prepared, and use it the next time")
    parser.add_argument("--prepare", action="store_true", help="only prepare")
    parser.add_argument("--memory", type=int, default=0, metavar="REQUESTS")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.memory:
        watch_memory(args.items[0], args.memory)
        return
    section = Section("The service under load")
    section.say(
        f"One process on one core, SQLite, {USERS:,} users; lists of 10 at random arrivals for {args.seconds:g} s each, half of "
        f"them filtered; {machine()}; {date.today():%d %B %Y}. Lists: milliseconds, median / 99th percentile / processor a "
        "list. Events: a second on disk, and the share of the core that took."
    )
    rows, judged = [], {}
    for items, neural in itertools.product(args.items, (False, True)):
        with made(args.folder, items, neural) as folder:
            if args.prepare:
                continue
            with serving(folder) as (port, pid):
                found = asyncio.run(measure(port, pid, items, args.rates, args.seconds, not neural))
        lists = [" / ".join(f"{v:.1f}" for v in found[f"{rate:g} lists/s"]) for rate in args.rates]
        kinds = [kind for kind in ("single", "batched") if kind in found]
        posted = [f"{found[kind][0]:,.0f} ({found[kind][1]:.0%})" for kind in kinds] or ["", ""]
        rows.append([f"{items:,} items{', DeepFM' if neural else ''}", *lists, *posted])
        print(rows[-1], flush=True)
        if items == 100_000 and not neural:
            judged = found
    if args.prepare:
        return
    section.table(["", *(f"{r:g} lists/s" for r in args.rates), "events singly", "events by 100"], rows)
    if judged:
        _judge(section, judged)
    publish([section], args.write)


def watch_memory(items: int, requests: int) -> None:
    """Print how much the service's memory grows."""
    section = Section("The memory of the service")
    with made(None, items, neural=False) as folder, serving(folder) as (port, pid):
        before, after = asyncio.run(grown(port, pid, items, requests))
    section.say(
        f"{items:,} items, {USERS:,} users: {before:.0f} MB after {WARM_UP:,} requests, then {after:.0f} MB."
    )
    section.limit(f"memory after {requests:,} more requests", after / before, GROWTH, "times")
    print(section.markdown())


def _judge(section: Section, found: dict[str, Any]) -> None:
    middle, late, _ = found.get(f"{TARGETS['rate']:g} lists/s", (np.nan,) * 3)
    section.limit("100,000 items, 150 lists/s, median", middle, TARGETS["median"], "ms")
    section.limit("100,000 items, 150 lists/s, 99th percentile", late, TARGETS["p99"], "ms")
    section.target("events singly against 1,500/s", found["single"][0] / TARGETS["single"], 1.0)
    section.target("events by 100 against 20,000/s", found["batched"][0] / TARGETS["batched"], 1.0)


if __name__ == "__main__":
    main()
