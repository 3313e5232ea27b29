"""Rate limits: a bucket of tokens for each caller, filled at a steady rate."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["RateLimiter"]

_CALLERS = 10_000  # the longest unseen are forgotten, which gives them a full bucket


@dataclass(eq=False)
class RateLimiter:
    """Who may send how many requests a second; the buckets hold half a second's worth, and at least ten.

    Attributes:
        clock: seconds, rising.

    >>> limiter = RateLimiter(clock=lambda: 0.0)
    >>> [limiter.wait("someone", rate=2.0) for _ in range(11)]
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    """

    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, caller: str, rate: float) -> float:
        """Take a token from the caller's bucket; else the seconds until there is one."""
        now, size = self.clock(), max(10.0, rate / 2)
        tokens, then = self._buckets.get(caller, (size, now))
        tokens = min(size, tokens + (now - then) * rate)
        enough = tokens >= 1
        self._buckets[caller] = (tokens - 1 if enough else tokens, now)
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - tokens) / rate
