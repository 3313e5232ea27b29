"""What users have done since the models were fitted: it counts from the next request on."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALWAYS_OUT", "WEIGHTS", "Taken", "Visitor", "Visitors"]

WEIGHTS: Mapping[str, float] = {
    "purchase": 4.0,
    "like": 3.0,
    "rating": 2.0,
    "cart": 2.0,
    "view": 1.0,
    "click": 0.5,
}
"""How much an event of each kind says for an item; other kinds say nothing. A view counts by the share completed."""

ALWAYS_OUT = frozenset({"purchase", "dismiss"})
"""Kinds after which an item is not shown to the user again, whether or not seen items are."""

_MOST = 200  # items of a user that count for scoring, the latest, or up to twice as many
_NONE = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a user did with one item.

    Attributes:
        weight: how much it counts.
        rating: the last one given; None without.
        time: of the last event, microseconds since 1970.
    """

    weight: float
    rating: float | None
    time: int


@dataclass(frozen=True, eq=False)
class Visitor:
    """One user; immutable, replaced by the next event.

    Attributes:
        taken: by item code, the latest last.
        earlier: int32[n], codes of items taken before those, which are seen all the same.
        out: codes of items that must not be shown again.
        dismissed: those of them that speak against themselves.
    """

    taken: Mapping[int, Taken] = field(default_factory=dict)
    earlier: NDArray[np.int32] = field(default_factory=lambda: _NONE)
    out: frozenset[int] = frozenset()
    dismissed: frozenset[int] = frozenset()

    @cached_property
    def out_items(self) -> NDArray[np.int32]:
        """int32[n]: the codes of :attr:`out`."""
        return np.fromiter(self.out, np.int32, len(self.out))

    def after(self, item: int, kind: str, value: float | None, time: int, weight: float) -> "Visitor":
        """The user after one more event."""
        taken, earlier, out, dismissed = dict(self.taken), self.earlier, self.out, self.dismissed
        if kind in ALWAYS_OUT:
            out = out | {item}
        if kind == "dismiss":
            taken.pop(item, None)
            dismissed = dismissed | {item}
        elif weight > 0:
            before = taken.pop(item, Taken(0.0, None, time))
            rating = value if kind == "rating" else before.rating
            taken[item] = Taken(before.weight + weight, rating, max(time, before.time))
            dismissed = dismissed - {item}
            if len(taken) > 2 * _MOST:
                passed = list(taken)[:-_MOST]
                earlier = np.union1d(earlier, np.array(passed, np.int32))
                taken = {code: taken[code] for code in list(taken)[-_MOST:]}
        return Visitor(taken, earlier, out, dismissed)


class Visitors:
    """All users who did something since the fit, by id. Reading takes no lock."""

    def __init__(self, weights: Mapping[str, float] = WEIGHTS) -> None:
        """``weights``: by kind of event, how much it says for an item."""
        self._weights = weights
        self._users: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._users)

    def of(self, user: str | None) -> Visitor:
        """What the user did."""
        return _NOBODY if user is None else self._users.get(user, _NOBODY)

    def weight(self, kind: str, value: float | None) -> float:
        """How much an event says for its item.

        >>> Visitors().weight("view", 0.5), Visitors().weight("impression", None)
        (0.5, 0.0)
        """
        share = min(1.0, max(0.0, value)) if kind == "view" and value is not None else 1.0
        return self._weights.get(kind, 0.0) * share

    def observe(self, user: str, item: int, kind: str, value: float | None, time: int) -> None:
        """One event. A kind that says nothing for or against an item changes nothing."""
        weight = self.weight(kind, value)
        if weight > 0 or kind in ALWAYS_OUT:
            with self._lock:
                self._users[user] = self.of(user).after(item, kind, value, time, weight)

    def forget(self, user: str) -> None:
        """Remove every trace of a user."""
        with self._lock:
            self._users.pop(user, None)


_NOBODY = Visitor()
