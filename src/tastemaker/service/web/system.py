"""The page on the system: how much it does, how fast, what it shows, and how much of what people do it has caused itself."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.service.api.telemetry import MINUTES, Telemetry
from tastemaker.service.engine import Engine
from tastemaker.service.web.charts import Chart, chart, paired_chart
from tastemaker.service.web.templating import share

__all__ = ["system"]

_EDGES = (0, 1, 2, 3, 5, 8, 12, 20, 50, float("inf"))  # milliseconds
_TENTHS = 10


@dataclass(frozen=True)
class Tile:
    """A figure with its name."""

    name: str
    value: str
    unit: str
    note: str


async def system(engine: Engine, telemetry: Telemetry, user: str | None) -> dict[str, Any]:
    """What the template of the page draws."""
    versions = await asyncio.to_thread(engine.versions)
    serving = next((v.name for v in versions if v.serving), "none")
    degraded = await engine.degraded()
    state = f"does without: {', '.join(degraded)}" if degraded else "has all its parts"
    return {
        "page": "system",
        "user": user,
        "lead": f"Version {serving} serves {engine.n_items:,} items; it {state}. The figures are of this process.",
        "tiles": _tiles(engine, telemetry),
        "charts": [
            _traffic(telemetry),
            _latency(telemetry),
            _popularity(engine, telemetry),
            _sources(telemetry),
        ],
        "versions": versions,
        "can_roll_back": engine.served_before is not None,
    }


def _tiles(engine: Engine, telemetry: Telemetry) -> list[Tile]:
    times = telemetry.latencies()
    shown = {item for item, _, _ in telemetry.shown}
    middle, late = np.percentile(times, [50, 99]) if len(times) else (0.0, 0.0)
    covered = len(shown) / engine.n_items if engine.n_items else 0.0
    caused = telemetry.caused / telemetry.events if telemetry.events else 0.0
    explored = sum(role == "explore" for *_, role in telemetry.shown) / max(1, len(telemetry.shown))
    return [
        Tile("Lists", f"{len(times):,}", "", f"in the last {MINUTES} minutes"),
        Tile("Half are ready in", f"{middle:.1f}", "ms", f"99 of 100 in {late:.1f} ms"),
        Tile(
            "Coverage", share(covered), "", f"{len(shown):,} items in the last {len(telemetry.shown):,} slots"
        ),
        Tile("Explored", share(explored), "", "of these slots, to learn from"),
        Tile(
            "Caused by itself",
            share(caused),
            "",
            f"of {telemetry.events:,} events cite a list of this service",
        ),
        Tile("Short lists", f"{telemetry.short:,}", "", f"{telemetry.without:,} made without a part"),
    ]


def _traffic(telemetry: Telemetry) -> Chart:
    labels = [f"{MINUTES - 1 - i} min ago" for i in range(MINUTES)]
    ticks = [f"−{MINUTES - 1 - i}" if i % 2 == 0 and i < MINUTES - 1 else "" for i in range(MINUTES)]
    ticks[-1] = "now"
    note = "Lists a minute, over the last quarter of an hour."
    return chart("Traffic", note, telemetry.traffic(), labels, unit="lists", ticks=ticks)


def _latency(telemetry: Telemetry) -> Chart:
    counts, _ = np.histogram(telemetry.latencies(), bins=_EDGES)
    ticks = [f"<{edge:g}" if np.isfinite(edge) else f"≥{_EDGES[-2]:g}" for edge in _EDGES[1:]]
    labels = [f"{tick} ms" for tick in ticks]
    note = "Milliseconds from the question to the list, without the way over the network."
    return chart("Latency", note, counts.tolist(), labels, unit="lists", ticks=ticks)


def _popularity(engine: Engine, telemetry: Telemetry) -> Chart:
    """The share of the slots, and of all interactions, that goes to each tenth of the items by popularity."""
    tenth, interactions = engine.popularity_tenths(_TENTHS)
    counts = Counter(tenth[item] for item, _, _ in telemetry.shown if item in tenth)
    total = max(1, sum(counts.values()))
    values = [(counts[t] / total, float(interactions[t])) for t in range(_TENTHS)]
    labels = ["most", *([""] * (_TENTHS - 2)), "least"]
    note = "Items in tenths, the most popular first: what is shown beside what people took. More shown than taken is an echo."
    return paired_chart("Popularity of what is shown", note, values, labels, ("shown", "taken"))


def _sources(telemetry: Telemetry) -> Chart:
    counts = Counter(source.replace("_", " ") for _, source, _ in telemetry.shown).most_common(8)
    note = "Where the items of the last lists came from."
    return chart("Sources", note, [n for _, n in counts], [name for name, _ in counts], unit="slots")
