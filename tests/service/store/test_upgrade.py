import json
import sqlite3
import threading
from base64 import b64encode
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from service.store.made import decision, event
from tastemaker.errors import StoreError
from tastemaker.service.store import Item, Store
from tastemaker.service.store import database as database_module
from tastemaker.service.store.database import Database
from tastemaker.service.store.tables import metadata
from tastemaker.service.store.upgrade import newest_version, upgrade, version


def test_the_migrations_make_the_tables_that_the_code_means(url: str) -> None:
    database = Database(url)
    assert version(database) is None
    assert upgrade(database) is True
    assert upgrade(database) is False
    assert version(database) == newest_version()
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_tables_of_the_first_version_keep_what_they_hold(url: str) -> None:
    with Store.open(url) as store:
        store.log(decision("r1", record=None)).result()
        store.put_items([Item("tea", {"price": 3}), Item("jam")]).result()
        store.delete_item("jam").result()
    _to_the_first_version(url)
    with Store.open(url) as store:
        found = store.decision("r1")
        assert found is not None
        assert (found.record, found.request) == (b"drawn from", {"k": 2})
        there = {change.item.item_id: change.deleted for change in store.changes(0)}
        assert there == {"tea": False, "jam": True}
        store.put_items([Item("jam")]).result()
        assert [c.item.item_id for c in store.changes(1)] == ["jam"]


def _to_the_first_version(url: str) -> None:
    """As the first version had them, with a record inside the request."""
    database = Database(url)
    request = json.dumps({"k": 2, "record": b64encode(b"drawn from").decode()})
    with database.writing() as connection:
        for name in ("items_by_change", "events_dismissed"):
            connection.execute(sa.text(f"DROP INDEX {name}"))
        connection.execute(sa.text("ALTER TABLE items DROP COLUMN change"))
        connection.execute(sa.text("ALTER TABLE decisions DROP COLUMN record"))
        for name in ("candidates", "utilities"):
            kind = "BLOB" if database.sqlite else "BYTEA"
            connection.execute(
                sa.text(f"ALTER TABLE decisions ADD COLUMN {name} {kind} NOT NULL DEFAULT 'x'")
            )
        connection.execute(sa.text("UPDATE decisions SET request = :r"), {"r": request})
        connection.execute(sa.text("DELETE FROM settings WHERE name = 'changes'"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    database.close()


def test_a_newer_database_is_refused_and_left_alone(url: str) -> None:
    with Store.open(url) as store:
        store.post([event("e1")]).result()
        with store._database.writing() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    for wish in (True, False):
        with pytest.raises(StoreError, match="from-the-future, which a newer tastemaker made"):
            Store.open(url, upgrade=wish)


def test_without_leave_nothing_is_upgraded(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="tastemaker db upgrade"):
        Store.open(url, upgrade=False)
    assert not (tmp_path / "store.db").exists()
    Store.open(url).close()
    Store.open(url, upgrade=False).close()


def test_many_open_a_new_database_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_BUSY", 60.0)  # six take their turns, on a machine that may be busy
    failures: list[BaseException] = []

    def client(n: int) -> None:
        try:
            with Store.open(url) as store:
                store.post([event(f"e{n}")]).result()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Store.open(url) as store:
        assert len(store.since(0)) == 6


def test_a_new_file_that_another_process_writes_is_waited_for(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_BUSY", 60.0)
    refused = threading.Event()
    keep_a_log = database_module._keep_a_log

    def watched(connection: sqlite3.Connection) -> None:
        try:
            keep_a_log(connection)
        except sqlite3.OperationalError:
            refused.set()
            raise

    monkeypatch.setattr(database_module, "_keep_a_log", watched)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opened: list[Store] = []
    opening = threading.Thread(target=lambda: opened.append(Store.open(sqlite_url)))
    opening.start()
    assert refused.wait(60)
    other.execute("COMMIT")
    opening.join()
    with opened[0]:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_a_migration_that_fails_leaves_nothing_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(*args: object) -> None:
        raise RuntimeError("in the middle")

    database = Database(url)
    with monkeypatch.context() as patch:
        patch.setattr(op, "bulk_insert", fail)
        with pytest.raises(RuntimeError, match="in the middle"):
            upgrade(database)
    with database.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    assert upgrade(database) is True
    database.close()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("no url", "expected a database URL"),
        ("mysql://root@localhost/x", "works on sqlite:// and postgresql://"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_other_urls_are_refused(wrong: str, reason: str) -> None:
    with pytest.raises(StoreError, match=reason):
        Store.open(wrong)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a diary, not a database" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store.open(f"sqlite:///{tmp_path / 'x.db'}")
    assert (tmp_path / "x.db").read_text().startswith("this is a diary")
