"""What the service counts of itself: for Prometheus at ``/metrics``, and the last quarter of an hour for its own page."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client import Counter as PrometheusCounter
from starlette.types import Scope

__all__ = ["MINUTES", "Sample", "Telemetry"]

MINUTES = 15
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SAMPLES = 20_000
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class Sample(NamedTuple):
    """One request for a list: when it was answered, and how many seconds it took."""

    time: float
    seconds: float


@dataclass(eq=False)
class Telemetry:
    """Counters of requests, lists, events and what went wrong.

    Attributes:
        clock: seconds since 1970.
        registry: of Prometheus.
        recent: the last lists.
        shown: item, source and role of the last slots.
        events, caused: how many events came in, and how many of them cite a list of this service.
        short, without: how many lists were shorter than asked for, and how many were made without a part.
    """

    clock: Callable[[], float] = time.time
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    recent: deque[Sample] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    shown: deque[tuple[str, str, str]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    events: int = 0
    caused: int = 0
    short: int = 0
    without: int = 0

    def __post_init__(self) -> None:
        self._requests = self._counter(
            "requests", "Requests by route and status.", "method", "route", "status"
        )
        self._seconds = Histogram(
            "tastemaker_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._slots = self._counter("slots", "Slots filled, by source and role.", "source", "role")
        self._degraded = self._counter("degraded", "Lists made without a part, by part.", "part")
        self._short = self._counter("short_lists", "Lists shorter than asked for.")
        self._events = self._counter("events", "Events by kind and what became of them.", "kind", "outcome")
        self._caused = self._counter("events_caused", "Events that cite a list of this service.")
        self.items = Gauge("tastemaker_items", "Items that may be recommended.", registry=self.registry)
        self.swaps = self._counter("model_swaps", "Models put into service.")

    def _counter(self, name: str, about: str, *labels: str) -> PrometheusCounter:
        return PrometheusCounter(f"tastemaker_{name}_total", about, labels, registry=self.registry)

    def request(self, scope: Scope, status: int, seconds: float) -> None:
        """An answer has left."""
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def listed(
        self, slots: list[tuple[str, str, str]], degraded: list[str], short: bool, seconds: float
    ) -> None:
        """A list was made: item, source and role of each slot."""
        self.recent.append(Sample(self.clock(), seconds))
        self.shown.extend(slots)
        for (source, role), count in Counter((source, role) for _, source, role in slots).items():
            self._slots.labels(source, role).inc(count)
        for part in degraded:
            self._degraded.labels(part).inc()
        self.without += bool(degraded)
        if short:
            self.short += 1
            self._short.inc()

    def happened(self, kinds: list[str], caused: int, rejected: int) -> None:
        """Events have come in, of these kinds, and others that were rejected."""
        for kind, count in Counter(kinds).items():
            self._events.labels(kind, "ok").inc(count)
        if rejected:
            self._events.labels("any", "rejected").inc(rejected)
        self.events += len(kinds)
        self.caused += caused
        self._caused.inc(caused)

    def exposition(self) -> bytes:
        """Everything in the text format of Prometheus."""
        return generate_latest(self.registry)

    def latencies(self) -> NDArray[np.float64]:
        """float64[n]: milliseconds of each list made within the last quarter of an hour."""
        since = self.clock() - 60 * MINUTES
        return np.array([s.seconds * 1000 for s in self.recent if s.time >= since])

    def traffic(self) -> list[int]:
        """How many lists were made in each of the last 15 minutes, the present one last."""
        ages = [(self.clock() - s.time) // 60 for s in self.recent]
        counts = Counter(int(age) for age in ages if age < MINUTES)
        return [counts[age] for age in reversed(range(MINUTES))]
