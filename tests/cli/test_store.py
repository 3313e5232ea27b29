"""The commands about the service's database."""

import hashlib
import sqlite3
import sys
from pathlib import Path

import polars as pl
import pytest

from tastemaker.cli import main
from tastemaker.service.store import Event, Store


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["tastemaker", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out + printed.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASTEMAKER_DB", raising=False)
    return tmp_path


def test_a_key_from_its_making_to_its_end(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(
        capsys, monkeypatch, "keys", "create", "shop", "--scope", "recommend", "--scope", "events"
    )
    text = said.strip()
    assert code == 0
    with Store.open() as store:
        key = store.keys.verify(text)
        assert key is not None
        assert key.scopes == {"recommend", "events"}
    with sqlite3.connect(folder / "tastemaker.db") as database:
        assert database.execute("SELECT hash FROM keys").fetchall() == [
            (hashlib.sha256(text.encode()).hexdigest(),)
        ]
    code, said = run(capsys, monkeypatch, "keys", "list")
    assert (code, key.key_id in said, "events, recommend" in said, text in said) == (0, True, True, False)
    assert run(capsys, monkeypatch, "keys", "revoke", key.key_id)[0] == 0
    with Store.open() as store:
        assert store.keys.verify(text) is None
    code, said = run(capsys, monkeypatch, "keys", "revoke", key.key_id)
    assert (code, "there is no key" in said) == (1, True)


def test_wrong_scopes_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, "keys", "create", "shop", "--scope", "root")
    assert (code, said.count("\n"), "expected some of recommend" in said) == (1, 1, True)


def test_tables_are_made_by_upgrade_and_by_nothing_that_reads(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (("keys", "list"), ("export", "files")):
        code, said = run(capsys, monkeypatch, *arguments)
        assert (code, "there is no database tastemaker.db" in said) == (1, True)
    assert list(folder.iterdir()) == []
    code, said = run(capsys, monkeypatch, "db", "upgrade", "--db", "sqlite:///other.db")
    assert (code, "version 0002" in said) == (0, True)
    assert run(capsys, monkeypatch, "keys", "list", "--db", "sqlite:///other.db")[0] == 0
    assert run(capsys, monkeypatch, "db", "vacuum", "--db", "sqlite:///other.db")[0] == 0
    monkeypatch.setenv("TASTEMAKER_DB", "sqlite:///other.db")
    assert run(capsys, monkeypatch, "keys", "list")[0] == 0


def test_export_writes_parquet(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open() as store:
        store.post([Event(event_id="e", user_id="alice", item_id="tea", kind="like", time=1)]).result()
    code, said = run(capsys, monkeypatch, "export", "files")
    assert (code, "1 events, 0 decisions, 0 items, 0 users in files" in said) == (0, True)
    assert pl.read_parquet("files/events.parquet")["user_id"].to_list() == ["alice"]
    code, said = run(capsys, monkeypatch, "export", "files")
    assert (code, "is there already" in said) == (1, True)


@pytest.mark.parametrize(
    "arguments", [("keys", "create"), ("keys", "list"), ("keys", "revoke"), ("db", "upgrade"), ("export",)]
)
def test_help_has_an_example(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, *arguments, "--help")
    assert (code, "Example" in said) == (0, True)
