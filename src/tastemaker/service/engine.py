"""The engine: the store and the models in service, joined; questions go in, decisions come out and into the log."""

import asyncio
import contextlib
import itertools
import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker.errors import BundleError, DataError, StoreUnavailable
from tastemaker.models.bundle import current_version, promote
from tastemaker.policy.replay import Record, replay
from tastemaker.service.api.telemetry import Telemetry
from tastemaker.service.asks import Answer, Ask
from tastemaker.service.decided import decided, unknown
from tastemaker.service.lists import choose
from tastemaker.service.people import People, Person
from tastemaker.service.serving import Serving
from tastemaker.service.store import Decision, Erased, Event, Item, Posted, Store, User
from tastemaker.service.versions import Version, versions

__all__ = ["Engine"]

_log = logging.getLogger("tastemaker.service")
_POLL = 0.25  # seconds between looks at what other processes wrote
_REFRESH = 4  # looks between updates of trends
_AT_ONCE = 50  # users of a batch between which others get their turn


@dataclass(eq=False)
class Engine:
    """The service without HTTP. Make one with :meth:`open`; all that it serves from is swapped whole.

    Attributes:
        store: of events, items, users and decisions.
        bundle: the folder of saved models.
        people: users, read live.
        telemetry: what it counts of itself.
        deadline: seconds after which a list does without what can be left out.
        served_before: the version that was in service before this one.
    """

    store: Store
    bundle: Path
    people: People
    telemetry: Telemetry = field(default_factory=Telemetry)
    deadline: float = 0.2
    served_before: str | None = None
    _serving: Serving = field(init=False)
    _swap: threading.Lock = field(default_factory=threading.Lock)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _missed: list[Callable[[Serving], None]] | None = None  # by the version that is being loaded, if one is
    _poller: asyncio.Task[None] | None = None
    _log_failed: bool = False
    _refused: str | None = None

    @classmethod
    def open(cls, store: Store, bundle: str | Path) -> "Engine":
        """An engine that serves the current version of a bundle.

        Raises:
            BundleError: if that cannot be loaded.
        """
        engine = cls(store, Path(bundle), People(store))
        engine._serving = Serving.load(engine.bundle, current_version(engine.bundle), store)
        return engine

    def start(self) -> None:
        """Begin to follow the store; from within a running event loop."""
        self._poller = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop following it."""
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        self.people.close()

    # Lists.

    async def recommend(self, ask: Ask, person: Person | None = None, model: str | None = None) -> Answer:
        """The list for a question, logged unless it says otherwise.

        Args:
            ask: the question.
            person: the user, if they have been read already.
            model: the one model to ask, in place of the policy.

        Raises:
            DataError: for a filter or a cap that cannot be applied.
        """
        if person is None:
            person = await self.people.features(ask.user_id)
        start = time.perf_counter()
        serving, seed = self._serving, secrets.randbits(62)
        choice = choose(serving, ask, sorted(person.dismissed), seed, self.deadline, model, person.live)
        decision = decided(serving, ask, choice, model)
        degraded = [*choice.degraded, *(["features"] if person.late else [])]
        if ask.log:
            degraded += self._keep(decision)
        seconds = time.perf_counter() - start
        slots = [(slot.item_id, slot.source, slot.role) for slot in decision.slots]
        if ask.log:
            self.telemetry.listed(slots, degraded, bool(choice.shortfall), seconds)
        meta = {
            "shortfall": choice.shortfall or None,
            "degraded": degraded,
            "feature_age": person.age,
            "feature_expired": person.expired,
            "unknown": unknown(serving, ask),
            "took_ms": round(1000 * seconds, 3),
        }
        titles = tuple(serving.live.shelf.titles(choice.items))
        return Answer(decision=decision, titles=titles, meta=meta, explain=ask.explain, logged=ask.log)

    async def replay(self, recommendation_id: str) -> Answer | None:
        """A logged list, drawn again from what the log holds; None if there is none with this id.

        Raises:
            DataError: if it does not come out as it was.
        """
        decision = await asyncio.to_thread(self._logged, recommendation_id)
        if decision is None:
            return None
        if decision.record is None:
            raise DataError(f"what the list {recommendation_id!r} was drawn from is not in the log")
        kept = Record.from_bytes(decision.record)
        drawn = replay(kept)
        again = [kept.ids[position] for position in drawn.positions]
        if again != [slot.item_id for slot in decision.slots]:
            raise DataError(f"the list {recommendation_id!r} does not come out of its record as it was")
        titles = tuple(str(f.get("title") or f.get("name") or "") for f in self.features(again))
        return Answer(decision=decision, titles=titles, meta=dict(decision.meta), explain=True)

    def _logged(self, recommendation_id: str) -> Decision | None:
        """The decision from the log; of one that is not there yet, after what waits to be written."""
        found = self.store.decision(recommendation_id)
        if found is None:
            self.store.check()
            found = self.store.decision(recommendation_id)
        return found

    async def batch(
        self, user_ids: Sequence[str], k: int, condition: str | None
    ) -> AsyncIterator[dict[str, Any]]:
        """Lists for many users, without exploring and without the log."""
        for start in range(0, len(user_ids), _AT_ONCE):
            part = user_ids[start : start + _AT_ONCE]
            for found in await asyncio.to_thread(self._lists, part, k, condition):
                yield found

    def _lists(self, user_ids: Sequence[str], k: int, condition: str | None) -> list[dict[str, Any]]:
        serving, made = self._serving, []
        rows = self.people.rows(user_ids)
        for user in user_ids:
            ask = Ask(user_id=user, k=k, filter=condition, explore=False)
            choice = choose(serving, ask, (), 0, None, features=rows.get(user))
            made.append(
                {
                    "user_id": user,
                    "items": serving.ids(choice.items),
                    "shortfall": choice.shortfall or None,
                }
            )
        return made

    async def check_filter(self, condition: str | None) -> None:
        """Raises DataError for a filter that cannot be applied."""
        if condition is not None:
            self._serving.live.shelf.mask(condition)

    def _keep(self, decision: Decision) -> list[str]:
        """Log a decision; what to say if the last could not be."""

        def done(kept: Future[None]) -> None:
            self._log_failed = kept.exception() is not None

        self.store.log(decision).add_done_callback(done)
        return ["log"] if self._log_failed else []

    # What happens.

    async def post(self, events: Sequence[Event]) -> Posted:
        """Keep events and let them count; what is accepted is on disk."""
        serving = self._serving
        serving.expect(events)
        kept: set[int] = set()
        last = 0
        try:
            posted = await asyncio.wrap_future(self.store.post(events))
            kept.update(range(len(events)))
            kept.difference_update(posted.duplicates, (place for place, _ in posted.rejected))
            last = posted.sequence
        finally:
            serving.settle(events, kept, last)
        if serving is not self._serving:  # models were swapped meanwhile: they read it from the store
            await asyncio.to_thread(self.catch_up)
        return posted

    async def put_items(self, items: Sequence[Item]) -> int:
        """Keep items; they can be recommended when this returns."""
        written = await asyncio.wrap_future(self.store.put_items(items))
        await asyncio.to_thread(self._change, lambda serving: serving.take_items(self.store))
        return written

    async def delete_item(self, item_id: str) -> bool:
        """Delete an item; it is shown no more when this returns."""
        there = await asyncio.wrap_future(self.store.delete_item(item_id))
        await asyncio.to_thread(self._change, lambda serving: serving.take_items(self.store))
        return there

    async def put_users(self, users: Sequence[User]) -> int:
        """Keep users."""
        return await asyncio.wrap_future(self.store.put_users(users))

    async def erase_user(self, user_id: str) -> Erased:
        """Remove every trace of a user but what the fitted models hold."""
        erased = await asyncio.to_thread(self.store.erase_user, user_id)
        await asyncio.to_thread(self._change, lambda serving: serving.forget(user_id))
        self.people.forget(user_id)
        return erased

    def _change(self, change: Callable[[Serving], None]) -> None:
        """Change what is in service, and what is being loaded, which may have read the store before."""
        with self._changing:
            if self._missed is not None:
                self._missed.append(change)
            serving = self._serving
        change(serving)

    async def _follow(self) -> None:
        """Count what other processes wrote, keep trends up to date, and serve the version that the bundle names."""
        for look in itertools.count():
            await asyncio.sleep(_POLL)
            try:
                await asyncio.to_thread(self.catch_up)
                if look % _REFRESH == 0:
                    await asyncio.to_thread(self._serving.live.refresh)
                    await asyncio.to_thread(self.follow_bundle)
            except StoreUnavailable:
                _log.warning("the store cannot be read; what other processes write is not seen")
            except Exception:
                _log.exception("following the store failed")

    def catch_up(self) -> None:
        """Take in what has been written since the last look."""
        serving = self._serving
        serving.take_items(self.store)
        while serving.catch_up(self.store):
            pass

    # What is known.

    async def person(self, user_id: str | None) -> Person:
        """A user with their history."""
        return await self.people.get(user_id)

    async def item(self, item_id: str) -> Item | None:
        """An item as it is kept."""
        return await asyncio.to_thread(self.store.item, item_id)

    async def user(self, user_id: str) -> User | None:
        """A user's row as it is kept."""
        return await asyncio.to_thread(self.store.user, user_id)

    async def knows(self, item_id: str) -> bool:
        """Whether the item can be shown or has been."""
        return self._serving.live.code(item_id) >= 0

    def features(self, item_ids: Sequence[str]) -> list[dict[str, Any]]:
        """What is known of items, from memory; nothing for those that are not known."""
        live = self._serving.live
        shelf = live.shelf
        codes = np.array([live.code(item, shelf) for item in item_ids], np.int32)
        table = shelf.features
        if not table.width or not len(codes):
            return [{} for _ in item_ids]
        rows = table[np.maximum(codes, 0)].to_dicts()
        return [row if code >= 0 else {} for row, code in zip(rows, codes.tolist(), strict=True)]

    async def search(self, text: str, limit: int) -> list[tuple[str, Mapping[str, Any]]]:
        """Items with these words."""
        found = await asyncio.to_thread(self.store.search, text, limit)
        return [(item.item_id, item.features) for item in found]

    @property
    def n_items(self) -> int:
        """How many items may be shown."""
        shelf = self._serving.live.shelf
        return shelf.n_items - len(shelf.withdrawn)

    @property
    def model_names(self) -> list[str]:
        """The models of the version in service."""
        return [name for name in self._serving.models if name != self._serving.policy.name]

    def popularity_tenths(self, parts: int) -> tuple[dict[str, int], NDArray[np.float64]]:
        """For each item in which tenth by popularity it stands, and the share of all interactions of each tenth."""
        catalogue = self._serving.policy.catalogue
        order = np.argsort(-catalogue.popularity, kind="stable")
        tenth = np.empty(len(order), np.int64)
        tenth[order] = np.arange(len(order)) * parts // max(1, len(order))
        shares = np.bincount(tenth, catalogue.popularity, parts)
        ids = catalogue.items.decode_list(np.arange(len(order)))
        return dict(zip(ids, tenth.tolist(), strict=True)), shares / max(1e-9, shares.sum())

    async def degraded(self) -> list[str]:
        """What the service does without at the moment."""
        found = ["features"] if self.people.cut_off else []
        return [*found, *(["log"] if self._log_failed else [])]

    # Models.

    @property
    def version(self) -> str:
        """The version in service."""
        return self._serving.version

    def versions(self) -> list[Version]:
        """The saved versions, newest first."""
        return versions(self.bundle, self.version)

    def promote(self, version: str) -> None:
        """Put a saved version into service; requests under way end on the one before.

        Raises:
            BundleError: if it is damaged or cannot serve; nothing changes then.
        """
        with self._swap:
            if version == self.version:
                return
            self._missed = []
            try:
                serving = Serving.load(self.bundle, version, self.store)
                promote(self.bundle, version)
                while not self._replaced(serving):
                    pass
            finally:
                self._missed = None
        self.catch_up()

    def _replaced(self, serving: Serving) -> bool:
        """Put a version into service if it has missed no change since it began to be loaded; else make up for those."""
        with self._changing:
            missed, self._missed = self._missed, []
            if not missed:
                self.served_before, self._serving = self.version, serving
        for change in missed or ():
            change(serving)
        return not missed

    def follow_bundle(self) -> None:
        """Put the version into service that another process made the current one; one that cannot be loaded is left alone."""
        named = current_version(self.bundle)
        if named in (self.version, self._refused):
            return
        try:
            self.promote(named)
            self.telemetry.swaps.inc()
        except BundleError as error:
            self._refused = named
            _log.error("the version that another process promoted is refused: %s", error)
