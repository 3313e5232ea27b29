"""A disk that is full, a file that cannot be written, a server that is gone: nothing acknowledged, nothing half, and then on."""

import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.store.made import decision, event
from tastemaker.errors import StoreUnavailable
from tastemaker.service.store import Event, Item, Store, database
from tastemaker.service.store import writer as module
from tastemaker.service.store.tables import events


def thick(name: str, count: int = 50) -> list[Event]:
    return [event(f"{name}-{n}", context={"padding": "x" * 2000}) for n in range(count)]


def ids(store: Store) -> set[str]:
    return {e.event_id for _, e in store.since(0, limit=100_000)}


def fill(store: Store) -> set[str]:
    """Post until it fails; the ids of what was acknowledged."""
    kept: set[str] = set()
    for n in range(1000):
        batch = thick(f"b{n}")
        try:
            assert store.post(batch).result().accepted == len(batch)
        except StoreUnavailable:
            return kept
        kept |= {e.event_id for e in batch}
    raise AssertionError("the disk never became full")


def test_a_full_database_acknowledges_nothing_and_recovers(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        with store._database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 200")
        kept = fill(store)
        assert ids(store) == kept  # a batch is there whole or not at all
        for job in (store.log(decision("r")), store.put_items([Item("x", {"t": "y" * 60_000})] * 20)):
            job.exception()
        with pytest.raises(StoreUnavailable, match="full"):
            store.post(thick("again")).result()
        with store._database.writing() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert store.post(thick("again")).result().accepted == 50
        assert len(ids(store)) == len(kept) + 50


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 2 MB: a write that would fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_fails_acknowledges_nothing(sqlite_url: str, request: pytest.FixtureRequest) -> None:
    with Store.open(sqlite_url) as store:
        request.getfixturevalue("small_files")
        kept = fill(store)
        assert kept
        assert ids(store) == kept
    with Store.open(sqlite_url) as store:
        assert ids(store) == kept


def test_a_read_only_database_is_read_and_not_written(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        store.post([event("e1")]).result()
        key, text = store.keys.create("shop", ["events"])
        read_only = sqlite_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
        with Store.open(read_only) as other:
            assert ids(other) == {"e1"}
            assert other.keys.verify(text) == key
            for future in (other.post([event("e2")]), other.log(decision("r")), other.put_items([Item("x")])):
                with pytest.raises(StoreUnavailable, match="readonly"):
                    future.result()
            with pytest.raises(StoreUnavailable, match="readonly"):
                other.check()
        assert ids(store) == {"e1"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only files")
def test_a_file_without_leave_to_write_is_read_and_not_written(tmp_path: Path, sqlite_url: str) -> None:
    Store.open(sqlite_url).close()
    (tmp_path / "store.db").chmod(0o444)
    with Store.open(sqlite_url) as store, pytest.raises(StoreUnavailable):
        store.post([event("e1")]).result()


def test_while_another_process_holds_the_lock_nothing_is_acknowledged(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(sqlite_url) as store:
        monkeypatch.setattr(database, "_BUSY", 0.05)
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.post([event("e1")]).result()
        assert store.since(0) == []  # reads go on
        other.execute("ROLLBACK")
        other.close()
        assert store.post([event("e1")]).result().accepted == 1


def test_errors_tell_no_values(store: Store) -> None:
    row = {"event_id": "e1", "user_id": "a-secret-name", "item_id": "tea", "kind": "like", "time": 1}
    with pytest.raises(sa.exc.IntegrityError) as error, store._database.writing() as connection:
        connection.execute(events.insert().values([row, row]))
    assert "INSERT INTO events" in str(error.value)
    assert "a-secret-name" not in str(error.value)


def test_a_postgres_server_that_hangs_up_is_found_again(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        store.post([event("e1")]).result()
        hang_up = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with store._database.reading() as connection:
            connection.execute(hang_up)
        assert store.post([event("e2")]).result().accepted == 1
        assert ids(store) == {"e1", "e2"}


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="unavailable"):
        Store.open("postgresql://nobody@/nothing?host=/nowhere")


def test_a_closed_store_takes_nothing(sqlite_url: str) -> None:
    store = Store.open(sqlite_url)
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.post([event("e1")]).result()


def test_a_writer_too_far_behind_takes_no_more(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROWS_WAITING", 10)
    monkeypatch.setattr(database, "_BUSY", 60.0)
    with Store.open(sqlite_url) as store:
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # so that what comes has to wait
        futures = [store.post([event(f"e{n}")]) for n in range(20)]
        with pytest.raises(StoreUnavailable, match="rows wait to be written"):
            futures[-1].result()
        other.execute("ROLLBACK")
        other.close()
        assert [f.exception() is None for f in futures] == [True] * 11 + [False] * 9
        assert store.post([event("later")]).result().accepted == 1


def test_a_future_cannot_be_called_back(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store:
        future = store.post([event("e1")])
        assert future.cancel() is False
        assert future.result().accepted == 1
        assert store.post([event("e2")]).result().accepted == 1
