"""What is known of users at the moment: read from the store for each request, and remembered for when it cannot be read.

A read has a deadline. When one is late or fails, the service answers from what it read last and says so; for a moment it does not
try again, so that a store that hangs does not slow every request down. A row of SQLite's file is read by the thread of the event
loop: to hand that to another takes several times as long. After one that was late it is handed over all the same, for a minute.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tastemaker.errors import StoreUnavailable
from tastemaker.service.store import Interaction, Store

__all__ = ["People", "Person"]

_log = logging.getLogger("tastemaker.service")

_TAKES = frozenset({"view", "cart", "purchase", "rating", "like"})
_FOND = {"like": 4.0, "purchase": 3.0, "cart": 2.0}
_REMEMBERED = 20_000
_LIMIT = 500
_PAUSE = 1.0  # seconds without a try after a failure
_WARY = 60.0  # seconds for which reads keep nobody else waiting after a slow one


@dataclass(frozen=True, eq=False)
class Person:
    """A user as last read.

    Attributes:
        user_id: None for a visitor.
        features: of the user's row.
        history: item, kind, value and time of the newest events, oldest first.
        stored: whether the user has a row.
        read: when, by the clock of :class:`People`; None if there was nothing to read.
        age: seconds since.
        expired: whether that is longer than features may be used.
        late: whether this is from memory because the store could not be read.
    """

    user_id: str | None
    features: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Interaction, ...] = ()
    stored: bool = False
    read: float | None = None
    age: float | None = None
    expired: bool = False
    late: bool = False

    @property
    def live(self) -> Mapping[str, Any] | None:
        """The features to rank by, empty once they have expired; None for somebody without a row."""
        return self.features if self.stored else None

    @cached_property
    def items(self) -> list[str]:
        """What they took, each once, in the order of the last time."""
        return list(dict.fromkeys(item for item, kind, _, _ in reversed(self.history) if kind in _TAKES))[
            ::-1
        ]

    @cached_property
    def liked(self) -> frozenset[str]:
        """What they said they like, and have not dismissed since."""
        said: dict[str, str] = {
            item: kind for item, kind, _, _ in self.history if kind in ("like", "dismiss")
        }
        return frozenset(item for item, kind in said.items() if kind == "like")

    @cached_property
    def dismissed(self) -> frozenset[str]:
        """What they do not want to see again."""
        said: dict[str, str] = {
            item: kind for item, kind, _, _ in self.history if kind in ("like", "dismiss")
        }
        return frozenset(item for item, kind in said.items() if kind == "dismiss")

    def favourites(self, count: int) -> list[str]:
        """What they liked last, then what they valued most."""
        liked = [item for item, kind, _, _ in reversed(self.history) if kind == "like" and item in self.liked]
        worth: dict[str, float] = {}
        for item, kind, value, _ in self.history:
            if item not in self.dismissed and kind in _TAKES:
                own = _FOND.get(kind, value if value is not None else 1.0)
                worth[item] = max(own, worth.get(item, 0.0))
        best = sorted(worth, key=lambda item: -worth[item])
        return list(dict.fromkeys([*liked, *best]))[:count]

    def last_taken(self) -> str | None:
        """What they bought last; else what they took last."""
        bought = [item for item, kind, _, _ in self.history if kind == "purchase"]
        return bought[-1] if bought else self.items[-1] if self.items else None


@dataclass(eq=False)
class People:
    """Users, read live and remembered.

    Attributes:
        store: where they are kept.
        deadline: seconds that a read may take.
        time_to_live: seconds after which remembered features are no longer used.
        clock: seconds, rising.
    """

    store: Store
    deadline: float = 0.05
    time_to_live: float = 300.0
    clock: Callable[[], float] = time.monotonic
    _memory: OrderedDict[str, Person] = field(default_factory=OrderedDict)
    _readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "tastemaker-read"))
    _resume: float = 0.0
    _wary: float = 0.0

    async def get(self, user_id: str | None) -> Person:
        """The user with their history, as stored now or as last read."""
        return await self._either(user_id, lambda user: self._beside(self._read_all, user))

    async def features(self, user_id: str | None) -> Person:
        """The user's row alone."""
        return await self._either(user_id, self._row)

    async def _either(self, user_id: str | None, read: Callable[[str], Awaitable[Person]]) -> Person:
        if user_id is None:
            return Person(None)
        if self.clock() >= self._resume:
            try:
                person = await read(user_id)
            except Exception as error:  # a store that fails in any way must not cost the visitor the page
                _log.warning("a user could not be read: %s", type(error).__name__)
                self._resume = self.clock() + _PAUSE
            else:
                self._remember(user_id, person)
                return person
        return self._recall(user_id)

    async def _row(self, user_id: str) -> Person:
        """The row, by this thread where that is quick."""
        if not self.store.at_hand or self.clock() < self._wary:
            return await self._beside(self._read_row, user_id)
        start = time.perf_counter()
        try:
            return self._read_row(user_id, wait=False)
        except StoreUnavailable:  # it may be another process that keeps it for a moment
            self._wary = self.clock() + _WARY
            return await self._beside(self._read_row, user_id)
        finally:
            if time.perf_counter() - start > self.deadline:
                self._wary = self.clock() + _WARY

    async def _beside(self, how: Callable[[str], Person], user_id: str) -> Person:
        """What another thread reads, if it does in time."""
        read = asyncio.get_running_loop().run_in_executor(self._readers, how, user_id)
        return await asyncio.wait_for(read, self.deadline)

    def rows(self, user_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The features of those of many users who have a row; none while the store cannot be read."""
        try:
            return {user.user_id: user.features for user in self.store.users(user_ids)}
        except StoreUnavailable:
            return {}

    @property
    def cut_off(self) -> bool:
        """Whether the store could not be read a moment ago."""
        return self.clock() < self._resume

    def forget(self, user_id: str) -> None:
        """Remember nothing of a user any more."""
        self._memory.pop(user_id, None)

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    def _read_row(self, user_id: str, *, wait: bool = True) -> Person:
        row = self.store.user(user_id, wait=wait)
        known = {} if row is None else row.features
        return Person(user_id, known, (), row is not None, self.clock(), 0.0)

    def _read_all(self, user_id: str) -> Person:
        history = self.store.history([user_id], limit=_LIMIT)[user_id]
        return replace(self._read_row(user_id), history=tuple(history))

    def _remember(self, user_id: str, person: Person) -> None:
        before = self._memory.get(user_id)
        if before is not None and not person.history:
            person = replace(person, history=before.history)
        self._memory[user_id] = person
        self._memory.move_to_end(user_id)
        if len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)

    def _recall(self, user_id: str) -> Person:
        known = self._memory.get(user_id)
        if known is None or known.read is None:
            return Person(user_id, late=True)
        age = self.clock() - known.read
        expired = age > self.time_to_live
        return replace(known, age=age, expired=expired, late=True, features={} if expired else known.features)
