"""A version of the models in service, with all that happened since it was fitted; swapped whole."""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.errors import BundleError, DataError
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import load_all, notes_of
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.stock import NewItem
from tastemaker.service.store import Change, Event, Item, Store
from tastemaker.service.store.features import WINDOW, moment

__all__ = ["Serving", "new_item", "policy_of"]

_log = logging.getLogger("tastemaker.service")
_CHUNK = 5000
_FOREVER = 2**63 - 1
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
        fitted: what they were fitted on.
        sequence: of the last event that has been counted from the store.
        change: the number of the last change of an item that has been taken in.
    """

    version: str
    models: Mapping[str, Recommender[Any]]
    policy: Policy
    live: LiveCatalogue
    fitted: "_Fit"
    sequence: int = 0
    change: int = 0
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
        policy = policy_of(models)
        for ids in (policy.catalogue.items.ids, policy.catalogue.users.ids):
            if ids.dtype != pl.String:
                raise BundleError(
                    f"the models know {ids.name} as {ids.dtype}, the service names all things by text: fit on Store.dataset()"
                )
        fitted = _Fit.of(notes_of(bundle, version), policy, bundle / version)
        serving = cls(version, models, policy, LiveCatalogue(policy), fitted)
        serving.take_items(store, serving._differs)
        serving._begin(store)
        serving.live.refresh()
        try:
            policy.choose(serving.live.request(k=1))  # what is made on first use is made now
        except DataError as error:
            raise BundleError(f"{version} cannot serve: {error}") from error
        return serving

    def take_items(self, store: Store, wanted: Callable[[Change], bool] = lambda change: True) -> None:
        """Take in the items that were put or deleted since the last look, whoever did it; of those put the wanted ones."""
        with self._following:
            while changes := store.changes(self.change, _CHUNK):
                self.live.put_items(new_item(c.item) for c in changes if not c.deleted and wanted(c))
                if gone := [c.item.item_id for c in changes if c.deleted]:
                    self.live.withdraw(gone)
                self.change = changes[-1].number

    def _differs(self, change: Change) -> bool:
        """Whether the models do not know the item as it is now, or it must be looked at when it is asked for."""
        late = change.number > self.fitted.change or change.item.updated > self.fitted.time
        return (
            late or self.live.code(change.item.item_id) < 0 or bool(change.item.features.keys() & set(WINDOW))
        )

    def _begin(self, store: Store) -> None:
        """Count what happened since the fit; of what was before, what was dismissed stays so."""
        noted = self.fitted.sequence
        self.sequence = store.after_time(self.fitted.time) if noted is None else noted
        gone = store.dismissed(self.sequence)
        self.live.observe(Observed(user, item, "dismiss", 0) for user, item in gone)
        while self.catch_up(store, after=self.fitted.time if noted is None else -1):
            pass

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

    def catch_up(self, store: Store, *, after: int = -1) -> int:
        """Count the events that the store has kept since; how many there were.

        Of a time up to ``after`` only dismissals count.
        """
        with self._following:
            rows = store.since(self.sequence, _CHUNK)
            if rows:
                with self._lock:
                    late = [event for number, event in rows if number > self.sequence]
                    new = [event for event in late if not self._is_own(event)]
                    self.sequence = max(self.sequence, rows[-1][0])
                    self._count(e for e in new if e.time > after or e.kind == "dismiss")
            return len(rows)

    def expect(self, events: Sequence[Event]) -> None:
        """These are about to be kept and counted by the caller: :meth:`catch_up` passes them over."""
        with self._lock:
            for event in events:
                self._own.setdefault(event.event_id, _Own()).posts += 1

    def settle(self, events: Sequence[Event], kept: Collection[int], last: int = 0) -> None:
        """Count those of the expected events that have been kept, by their places, and those that another process had kept.

        ``last`` is the sequence number of the last one kept. If they follow what has been counted, they need not be read.
        """
        with self._lock:
            follow = bool(kept) and self.sequence == last - len(kept)
            self.sequence = last if follow else self.sequence
            settled = [
                self._settled(event, place in kept, read=follow and place in kept)
                for place, event in enumerate(events)
            ]
            self._count(event for event in settled if event is not None)

    def _settled(self, event: Event, kept: bool, read: bool) -> Event | None:
        """What counts now that a post of an event has ended; ``read``: it will not be read any more."""
        own = self._own[event.event_id]
        own.posts -= 1
        own.read = event if read else own.read
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


class _Fit(NamedTuple):
    """What models were fitted on.

    Attributes:
        sequence: of the last event; None if nobody noted it.
        change: the number of the last change of an item.
        time: where no numbers were noted, the time of the newest event, microseconds since 1970.
    """

    sequence: int | None
    change: int
    time: int

    @classmethod
    def of(cls, notes: Mapping[str, Any], policy: Policy, folder: Path) -> "_Fit":
        if "sequence" in notes and "change" in notes:
            return cls(int(notes["sequence"]), int(notes["change"]), _FOREVER)
        times = policy.catalogue.history.timestamp
        saved = int(folder.stat().st_mtime * 1e6)  # the clock of a caller may be ahead
        return cls(None, _FOREVER, min(int(times.max()), saved) if len(times) else 0)


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


def policy_of(models: Mapping[str, Recommender[Any]]) -> Policy:
    """The policy among the models; else one of the first and of what compares items."""
    for model in models.values():
        if isinstance(model, Policy):
            return model
    parts = {model.name: model for model in models.values()}
    first = next(iter(models.values()))
    if first.catalogue.n_items == 0:
        raise BundleError("a model without items cannot serve")
    return Policy.of(first, also_bought=parts.get("item_knn"))
