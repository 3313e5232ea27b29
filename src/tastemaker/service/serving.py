"""A version of the models in service, with all that happened since it was fitted; swapped whole."""

import logging
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.errors import BundleError
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import load_all
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.stock import NewItem
from tastemaker.service.store import Event, Item, Store
from tastemaker.service.store.features import WINDOW, moment

__all__ = ["Serving", "new_item"]

_log = logging.getLogger("tastemaker.service")
_CHUNK = 5000
_NEVER = (2**62, 0)  # where a window begins or ends whose time cannot be read: it never opens


@dataclass
class _Own:
    """An event that this process posts: it counts when it is known to be kept, or has been read and nobody else counts it.

    Attributes:
        posts: how many of it are under way.
        counted: whether it has been.
        read: the event as the store has it, if it has been read.
    """

    posts: int = 0
    counted: bool = False
    read: Event | None = None


@dataclass(eq=False)
class Serving:
    """One version of the models at work.

    Attributes:
        version: of the bundle.
        models: by name; one of them is a policy, or one is made of the first.
        policy: what chooses lists.
        live: the policy with what happened since.
        learned: the time of the newest event that the models were fitted on, microseconds since 1970.
        sequence: of the last event that has been counted from the store.
    """

    version: str
    models: Mapping[str, Recommender[Any]]
    policy: Policy
    live: LiveCatalogue
    learned: int
    sequence: int = 0
    _own: dict[str, _Own] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _following: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def load(cls, bundle: Path, version: str, store: Store) -> "Serving":
        """A saved version, brought up to date from the store.

        Raises:
            BundleError: if it is damaged or cannot serve.
        """
        models = load_all(bundle, version=version)
        policy = _policy_of(models)
        for ids in (policy.catalogue.items.ids, policy.catalogue.users.ids):
            if ids.dtype != pl.String:
                raise BundleError(
                    f"the models know {ids.name} as {ids.dtype}, the service names all things by text: fit on Store.dataset()"
                )
        serving = cls(version, models, policy, LiveCatalogue(policy), _learned(policy, bundle / version))
        serving._take_items(store)
        while serving.catch_up(store, since_fit=True):
            pass
        serving.live.refresh()
        policy.choose(serving.live.request(k=1))  # what is made on first use is made now
        return serving

    def _take_items(self, store: Store) -> None:
        """Items that the models do not know, or that have changed since."""
        items = store.items()
        codes = self.policy.catalogue.items.encode([item.item_id for item in items])
        fresh = [
            new_item(item)
            for item, code in zip(items, codes.tolist(), strict=True)
            if code < 0 or item.updated > self.learned or any(name in item.features for name in WINDOW)
        ]
        self.live.put_items(fresh)
        self.live.withdraw(store.hidden())

    @cached_property
    def _names(self) -> list[str]:
        """The ids of the items that the models know, by code: as a list they are read fastest."""
        return [str(name) for name in self.policy.catalogue.items.ids.to_list()]

    def ids(self, codes: NDArray[np.int32]) -> list[str]:
        """The ids of item codes."""
        names, first = self._names, self.live.shelf.arrivals.first
        return [names[code] if code < first else self._late_id(code) for code in codes.tolist()]

    def _late_id(self, code: int) -> str:
        return self.live.ids(np.array([code], np.int32))[0]

    def catch_up(self, store: Store, *, since_fit: bool = False) -> int:
        """Count the events that the store has kept since; how many there were.

        With ``since_fit`` those of a time that the models have learned of count no second time; but what was dismissed stays so.
        """
        with self._following:
            rows = store.since(self.sequence, _CHUNK)
            if rows:
                with self._lock:
                    new = [event for _, event in rows if not self._is_own(event)]
                    self.sequence = rows[-1][0]
                    self._count(
                        e for e in new if not since_fit or e.time > self.learned or e.kind == "dismiss"
                    )
            return len(rows)

    def expect(self, events: Sequence[Event]) -> None:
        """These are about to be kept and counted by the caller: :meth:`catch_up` passes them over."""
        with self._lock:
            for event in events:
                self._own.setdefault(event.event_id, _Own()).posts += 1

    def settle(self, events: Sequence[Event], kept: Container[int]) -> None:
        """Count those of the expected events that have been kept, by their places, and those that another process had kept."""
        with self._lock:
            self._count(
                [
                    found
                    for place, event in enumerate(events)
                    if (found := self._settled(event, place in kept))
                ]
            )

    def _settled(self, event: Event, kept: bool) -> Event | None:
        """What counts now that a post of an event has ended."""
        own = self._own[event.event_id]
        own.posts -= 1
        found = event if kept else own.read if own.posts == 0 and not own.counted else None
        own.counted |= found is not None
        if own.posts == 0 and (own.read is not None or not own.counted):
            del self._own[event.event_id]
        return found

    def _is_own(self, event: Event) -> bool:
        """Whether an event that has been read is counted, or will be, by who posts it."""
        own = self._own.get(event.event_id)
        if own is None:
            return False
        own.read = event
        if own.posts == 0:
            del self._own[event.event_id]
        return True

    def forget(self, user_id: str) -> None:
        """Remove what a user did who was erased, also what was read from the store before."""
        with self._following:
            self.live.forget(user_id)

    def _count(self, events: Iterable[Event]) -> None:
        self.live.observe(Observed(e.user_id, e.item_id, e.kind, e.time, e.value) for e in events)


def new_item(item: Item) -> NewItem:
    """An item of the store, as a live catalogue takes it: two features of these names say when it may be shown."""
    start, end = (
        _microseconds(item.features.get(name), never) for name, never in zip(WINDOW, _NEVER, strict=True)
    )
    features = {name: value for name, value in item.features.items() if name not in WINDOW}
    return NewItem(item.item_id, features, item.updated or None, start, end)


def _microseconds(value: Any, never: int) -> int | None:
    """Since 1970; None for no time, ``never`` for what is none."""
    if value is None:
        return None
    found = moment(value) if isinstance(value, str) else None
    return never if found is None else int(found.replace(tzinfo=UTC).timestamp() * 1e6)


def _learned(policy: Policy, folder: Path) -> int:
    """The time of the newest event of a fit, but not after the models were saved: the clock of a caller may be ahead."""
    times = policy.catalogue.history.timestamp
    return min(int(times.max()), int(folder.stat().st_mtime * 1e6)) if len(times) else 0


def _policy_of(models: Mapping[str, Recommender[Any]]) -> Policy:
    """The policy among the models; else one of the first and of what compares items."""
    for model in models.values():
        if isinstance(model, Policy):
            return model
    parts = {model.name: model for model in models.values()}
    first = next(iter(models.values()))
    if first.catalogue.n_items == 0:
        raise BundleError("a model without items cannot serve")
    return Policy.of(first, also_bought=parts.get("item_knn"))
