"""The store: what is known about items and users, what they did, and what was decided; one object over one database."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl
import sqlalchemy as sa

from tastemaker.data.dataset import Dataset
from tastemaker.errors import StoreError
from tastemaker.service.store import catalogue, training
from tastemaker.service.store import decisions as log
from tastemaker.service.store import events as deeds
from tastemaker.service.store import features as typed
from tastemaker.service.store.catalogue import Change, Item, User
from tastemaker.service.store.database import Database
from tastemaker.service.store.decisions import Decision
from tastemaker.service.store.erasure import Erased, erase
from tastemaker.service.store.events import KINDS, Event, Interaction, Posted
from tastemaker.service.store.export import export
from tastemaker.service.store.features import FeatureType, Table
from tastemaker.service.store.keys import Keys
from tastemaker.service.store.tables import events, items
from tastemaker.service.store.upgrade import require_newest
from tastemaker.service.store.upgrade import upgrade as upgrade_tables
from tastemaker.service.store.values import from_json
from tastemaker.service.store.writer import Writer

__all__ = ["Store"]

_AT_ONCE = 1000
_HISTORY = tuple(kind for kind in KINDS if kind != "impression")


class Store:
    """Events, decisions, items, users and keys in SQLite or PostgreSQL.

    Methods that write return futures, which are resolved when what they wrote is on disk, by one thread that commits together
    what many callers bring. While the database cannot be written they raise :class:`~tastemaker.errors.StoreUnavailable`,
    and nothing of theirs has been written; later ones are tried anew. Methods that read may be called from any thread.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Store.open(f"sqlite:///{folder.name}/tastemaker.db") as store:
    ...     event = Event(event_id="e1", user_id="alice", item_id="squid-game", kind="like", time=1_700_000_000_000_000)
    ...     print(store.post([event, event]).result())
    Posted(accepted=1, duplicates=(1,), rejected=())
    >>> folder.cleanup()
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = Writer(database)
        self.keys = Keys(database, self._writer)

    @classmethod
    def open(cls, url: str = "sqlite:///tastemaker.db", *, upgrade: bool = True) -> "Store":
        """Open the store in a database.

        Args:
            url: ``sqlite:///FILE`` (made if it is not there) or ``postgresql://USER@HOST/NAME``.
            upgrade: bring the tables to the newest version; else tables of another version are an error.

        Raises:
            StoreError: for a URL of another kind, tables of a newer version, or tables that need an upgrade.
            StoreUnavailable: if the database cannot be opened.
        """
        database = Database(url)
        try:
            if upgrade:
                upgrade_tables(database)
            else:
                _require_file(database)
                require_newest(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Write what is waiting, then close the connections."""
        self._writer.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check(self) -> None:
        """See that the database can be read, and written by the writer that is not stuck.

        Raises:
            StoreUnavailable: if either fails.
        """
        self.last_sequence()
        nothing = events.delete().where(sa.false())  # refused by a read-only database, and no cost to another
        self._writer.run(lambda connection: connection.execute(nothing).rowcount).result()

    # Events and decisions.

    def post(self, batch: Sequence[Event]) -> Future[Posted]:
        """Keep events. One whose id is there already counts as a duplicate, and one that cannot be kept is rejected.

        An event that cites a recommendation is kept if the decision is logged, or was given to :meth:`log` before.
        """
        return self._writer.submit(deeds.post_job(batch))

    def log(self, decision: Decision) -> Future[None]:
        """Keep a decision; one whose id is there already changes nothing, and of an erased user nothing is kept.

        Raises:
            DataError: for a decision that could not be read back as it is.
        """
        return self._writer.submit(log.log_job(decision))

    def decision(self, recommendation_id: str) -> Decision | None:
        """The logged decision; None if there is none with this id."""
        with self._database.reading() as connection:
            return log.decision(connection, recommendation_id)

    def prune(self, before: int) -> int:
        """Delete the decisions from before a time (microseconds since 1970); how many there were. Events that cite them stay.

        A thousand at a time, so that others can write in between.
        """
        deleted = 0
        while some := self._writer.run(lambda connection: log.prune(connection, before, _AT_ONCE)).result():
            deleted += some
        return deleted

    def history(
        self, user_ids: Sequence[str], *, kinds: Sequence[str] = _HISTORY, limit: int | None = None
    ) -> dict[str, list[Interaction]]:
        """What each of these users did, oldest first.

        Args:
            user_ids: any ids; without events their lists are empty.
            kinds: of which kinds; by default all but impressions.
            limit: only the newest of each user. What must never be shown again (``kinds=("dismiss",)``) has no limit.
        """
        with self._database.reading() as connection:
            return deeds.histories(connection, user_ids, kinds, limit)

    def since(self, sequence: int, limit: int = 1000) -> list[tuple[int, Event]]:
        """Events after a sequence number (0: all), each with its own, in the order in which they were kept."""
        with self._database.reading() as connection:
            return deeds.since(connection, sequence, limit)

    def dismissed(self, until: int) -> list[tuple[str, str]]:
        """User and item of each dismissal up to a sequence number that was not taken back up to there."""
        with self._database.reading() as connection:
            return deeds.dismissed(connection, until)

    def after_time(self, time: int) -> int:
        """The sequence number before the first event of a later time; that of the newest if there is none."""
        with self._database.reading() as connection:
            first = connection.scalar(sa.select(sa.func.min(events.c.sequence)).where(events.c.time > time))
        return self.last_sequence() if first is None else first - 1

    def last_sequence(self) -> int:
        """The sequence number of the newest event; 0 if there is none."""
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.max(events.c.sequence))) or 0

    # Items and users.

    def put_items(self, rows: Sequence[Item]) -> Future[int]:
        """Put items, each in place of one with its id; how many. ``updated`` is set by the store.

        The future raises RejectedRows, with the reason for each, if some cannot be taken; then none is. A feature has the type of
        its first value (or of :meth:`declare`): int, float, bool, str, list[str], datetime (ISO 8601 text). An int may become
        a float. Null is of every type.
        """
        return self._writer.run(catalogue.putting("items", rows), len(rows))

    def put_users(self, rows: Sequence[User]) -> Future[int]:
        """Put users, as :meth:`put_items`. Of one who was erased, events from now on are taken again."""
        return self._writer.run(catalogue.putting("users", rows), len(rows))

    def declare(self, table: Table, types: Mapping[str, FeatureType]) -> Future[None]:
        """Set the types of features before their first values come; DataError if those there are of other types."""
        return self._writer.run(lambda connection: typed.declare(connection, table, types))

    def schema(self, table: Table) -> dict[str, FeatureType]:
        """The type of each feature of ``items`` or ``users``."""
        with self._database.reading() as connection:
            return typed.schema(connection, table)

    def delete_item(self, item_id: str) -> Future[bool]:
        """Delete an item; whether it was there. Its events stay, and :meth:`hidden` names it until it is put again."""
        return self._writer.run(lambda connection: catalogue.delete_item(connection, item_id))

    def item(self, item_id: str) -> Item | None:
        """The item with this id; None if there is none."""
        return next(iter(self.items([item_id])), None)

    def items(self, item_ids: Sequence[str] | None = None) -> list[Item]:
        """The items with these ids, in this order, without those that are not there; all, by id, if none are named."""
        with self._database.reading() as connection:
            return catalogue.read_items(connection, item_ids)

    def hidden(self) -> list[str]:
        """The ids of items that were deleted, which a fitted model may still know."""
        with self._database.reading() as connection:
            return catalogue.hidden(connection)

    def changes(self, after: int, limit: int = 5000) -> list[Change]:
        """The items that changed after a change (0: all), in the order of their last ones, each with the number of its own.

        About ``limit`` at a time; with the number of the last, the next are had.
        """
        with self._database.reading() as connection:
            return catalogue.changes(connection, after, limit)

    def last_change(self) -> int:
        """The number of the last change of an item; 0 if there is none."""
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.max(items.c.change))) or 0

    @property
    def at_hand(self) -> bool:
        """Whether a row is read sooner than another thread would be asked for it: from SQLite's file."""
        return self._database.sqlite

    def user(self, user_id: str, *, wait: bool = True) -> User | None:
        """The user with this id; None if there is no row.

        Args:
            user_id: any id.
            wait: for other processes, where one keeps SQLite's file to itself; else that is a StoreUnavailable.
        """
        if wait or not self.at_hand:
            return next(iter(self.users([user_id])), None)
        row = self._database.glance(catalogue.GLANCE, user_id)
        return None if row is None else User(user_id, from_json(row[0]), row[1])

    def users(self, user_ids: Sequence[str]) -> list[User]:
        """The users with these ids, in this order, without those that have no row."""
        with self._database.reading() as connection:
            return catalogue.read_users(connection, user_ids)

    def search(self, text: str, limit: int = 20) -> list[Item]:
        """Items in whose title, id and text features all words of ``text`` occur, whatever their case and accents."""
        with self._database.reading() as connection:
            return catalogue.find_items(connection, text, limit)

    def search_users(self, text: str, limit: int = 20) -> list[User]:
        """Users, found as items are in :meth:`search`; no text finds all."""
        with self._database.reading() as connection:
            return catalogue.find_users(connection, text, limit)

    def erase_user(self, user_id: str) -> Erased:
        """Remove every trace of a user, from events, decisions and users.

        What comes later for this id is refused, retries of old events above all, until the user's row is put again. A model
        that was fitted before keeps what it learned until it is fitted anew. No query finds what was erased; of its bytes some
        may lie in unused parts of the database's files until :meth:`vacuum`.
        """
        gone = self._writer.run(lambda connection: erase(connection, user_id)).result()
        self._database.forget_log()
        return gone

    def vacuum(self) -> None:
        """Write the database's files anew, so that no byte of what was erased remains. Writes wait, or are refused, meanwhile."""
        self._database.vacuum()

    # Training and export.

    def dataset(self, weights: Mapping[str, float] | None = None, *, until: int | None = None) -> Dataset:
        """All that everybody did, as implicit feedback to learn from.

        Of several events of a user with an item the weightiest counts. A view counts by the share completed, a rating by its
        part of the highest one, a dwell by how the user's stays compare (:func:`tastemaker.data.quality.dwell_weight`). A pair
        that was dismissed, and not liked, bought or put into the cart since, is left out.

        Args:
            weights: of the kinds of events that count; by default :data:`~tastemaker.service.store.WEIGHTS`.
            until: the sequence number of the last event to look at; by default of the newest.

        Raises:
            DataError: for an unknown kind, or if there is nothing to learn from.
        """
        with self._database.snapshot() as connection:
            return training.dataset(connection, weights, until)

    def impressions(self, answers: Sequence[str] = training.ANSWERS) -> pl.DataFrame:
        """Each item that was seen (an ``impression`` event) in a logged list, and whether anything came of it.

        Args:
            answers: the kinds of events that make an impression a success, if they cite the same recommendation.

        Returns:
            Columns ``user_id``, ``item_id``, ``time`` (microseconds), ``recommendation_id``, ``context`` (JSON), ``surface``,
            ``policy``, ``policy_version``, ``model``, ``propensity``, ``slot`` (from 0), ``label`` (1 or 0); one row a list and
            item.
        """
        with self._database.snapshot() as connection:
            return training.impressions(connection, answers)

    def export(self, folder: str | Path) -> dict[str, int]:
        """Write everything but keys into Parquet files in a new folder, all of one moment; the number of rows of each.

        Raises:
            DataError: if the folder is there and not empty.
        """
        with self._database.snapshot() as connection:
            return export(connection, Path(folder))


def _require_file(database: Database) -> None:
    """SQLite would make the file."""
    name = database.url.database
    if database.sqlite and name and not name.startswith("file:") and not Path(name).exists():
        raise StoreError(
            f"there is no database {name}; it is made by: tastemaker db upgrade --db {database.url}"
        )
