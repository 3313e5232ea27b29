"""Connections to the database, SQLite or PostgreSQL: what is committed is on disk, and what fails says that it failed."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from tastemaker.errors import DataError, StoreError, StoreUnavailable, require

__all__ = ["Database"]

_BUSY = 5.0  # seconds to wait for another process that writes
_WRITERS = 0x7A57E  # the advisory lock under which PostgreSQL lets one writer in at a time
_ON_CONNECT = (
    f"PRAGMA busy_timeout = {int(_BUSY * 1000)}",
    "PRAGMA synchronous = FULL",  # the log is on disk before a commit returns
    "PRAGMA secure_delete = ON",  # rows that are deleted are overwritten
    "PRAGMA cache_size = -65536",  # KiB
    "PRAGMA wal_autocheckpoint = 8000",  # pages; the longer the log, the more changes of a page are copied back as one
)
_OURS = (
    exc.IntegrityError,
    exc.DataError,
    exc.ProgrammingError,
    exc.NotSupportedError,
)  # wrong, now and later


class Database:
    """One database. Reads may come from any thread; writes are one transaction at a time, over all processes.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.

    Attributes:
        sqlite: whether it is a file that this process reads by itself; else a server is asked.

    Raises:
        StoreError: for a URL of another kind.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"hide_parameters": True}  # errors are logged, and values are somebody's
        if self.sqlite:
            self._reader = sa.create_engine(
                self.url, pool_size=8, max_overflow=24, pool_timeout=_BUSY, **options
            )
            self._writer = sa.create_engine(self.url, pool_size=1, max_overflow=0, **options)
            self._hasty = sa.create_engine(self.url, pool_size=1, pool_timeout=0, **options)
            for engine in (self._reader, self._writer):
                sa.event.listen(engine, "connect", _prepare_sqlite)
            for engine in (self._hasty, self._writer):
                sa.event.listen(engine, "connect", _wait_no_longer)
            sa.event.listen(self._writer, "begin", _begin_immediately)
        else:
            require("psycopg", "postgres")
            patience = {"connect_timeout": int(_BUSY), "tcp_user_timeout": int(_BUSY * 1000)}
            options |= {"pool_pre_ping": True, "connect_args": patience}
            self._reader = sa.create_engine(
                self.url,
                isolation_level="AUTOCOMMIT",
                pool_size=8,
                max_overflow=24,
                pool_timeout=_BUSY,
                **options,
            )
            self._writer = sa.create_engine(self.url, pool_size=1, max_overflow=0, **options)
            sa.event.listen(self._writer, "connect", _prepare_postgres)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees what is committed, statement by statement.

        Raises:
            StoreUnavailable: if the database cannot be read.
        """
        with self._translated(), self._reader.connect() as connection:
            yield connection

    def glance(self, statement: str, value: str) -> tuple[Any, ...] | None:
        """The first row that SQLite finds, asked by nothing but its driver, in a fraction of the time; None if there is none.

        Args:
            statement: with one question mark.
            value: in its place.

        Raises:
            StoreUnavailable: if the database cannot be read, also where that would mean to wait for another process.
        """
        with self._translated(), closing(self._hasty.raw_connection()) as connection:
            try:
                found = connection.driver_connection.execute(statement, (value,)).fetchone()  # type: ignore[union-attr]
            except sqlite3.Error as error:
                raise StoreUnavailable(f"the database {self.url!r} is unavailable: {error}") from error
        row: tuple[Any, ...] | None = found
        return row

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection that sees the state of one moment, however long it reads."""
        with self._translated(), self._reader.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that is on disk when the block ends, or has not been if it raises.

        Raises:
            StoreUnavailable: if the database cannot be written.
        """
        with self._translated(), self._writer.begin() as connection:
            if not self.sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DataError as error:
            raise DataError(f"the database refused a value: {error.orig}") from error
        except exc.TimeoutError as error:
            raise StoreUnavailable(f"no connection to {self.url!r} is free: {error}") from error
        except exc.DBAPIError as error:
            if isinstance(error, _OURS):
                raise
            raise StoreUnavailable(f"the database {self.url!r} is unavailable: {error.orig}") from error

    def forget_log(self) -> None:
        """Move SQLite's write-ahead log into the file and empty it, so that nothing erased remains in it."""
        if self.sqlite:
            with self.reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self) -> None:
        """Write the tables anew without what was deleted."""
        with self.reading() as connection:
            connection.exec_driver_sql("VACUUM")
        self.forget_log()

    def close(self) -> None:
        """Close all connections."""
        for engine in (self._reader, self._writer, *([self._hasty] if self.sqlite else [])):
            engine.dispose()


def _parsed(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except exc.ArgumentError as error:
        raise StoreError(
            f"expected a database URL such as sqlite:///tastemaker.db or postgresql://user@host/name, got {text!r}"
        ) from error
    kind = url.get_backend_name()
    if kind == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise StoreError(f"the store works on sqlite:// and postgresql://, got {kind}://")
    if url.database in (None, "", ":memory:"):
        raise StoreError(
            "the store keeps what it acknowledges, so SQLite needs a file: sqlite:///tastemaker.db"
        )
    return url


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    for pragma in _ON_CONNECT:
        connection.execute(pragma)
    _when_free(lambda: _keep_a_log(connection))


def _keep_a_log(connection: Any) -> None:
    """Have a file that was made just now keep a write-ahead log; it remembers that. Of several who try at once one succeeds."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        connection.execute("PRAGMA journal_mode = WAL")


def _begin_immediately(connection: sa.Connection) -> None:
    """Begin to write when no other process does. SQLite itself would look ever more seldom, and starve beside a busy one."""
    _when_free(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"))


def _when_free(work: Callable[[], object]) -> None:
    """Do what needs the file for itself, as soon as nobody else has it."""
    until = time.monotonic() + _BUSY
    while True:
        try:
            work()
            return
        except (exc.OperationalError, sqlite3.OperationalError) as error:
            cause = error.orig if isinstance(error, exc.OperationalError) else error
            busy = getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.001, 0.005))


def _wait_no_longer(connection: Any, record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 0")


def _prepare_postgres(connection: Any, record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
