"""tastemaker train: what it prints, what it leaves behind, and its exit codes."""

import sys
from pathlib import Path

import pytest

from tastemaker.cli import main
from tastemaker.models.bundle import load_all, versions
from tastemaker.service.demo import fill
from tastemaker.service.store import Store


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASTEMAKER_DB", raising=False)
    with Store.open("sqlite:///shop.db") as store:
        fill(store, tmp_path / "models", users=60, items=80)
    return tmp_path / "models"


def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str]:
    command = ["tastemaker", "train", "--from", "sqlite:///shop.db", "--models", "models", *arguments]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out + printed.err


def test_training_again_promotes(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, "--dry-run")
    assert (code, versions(shop)) == (0, ["v0001", "v0002"])
    assert "ndcg@10" in said
    assert "not worse" in said
    code, said = run(capsys, monkeypatch)
    assert (code, versions(shop)) == (0, ["v0001", "v0002", "v0003"])
    assert "promoted v0003" in said
    assert "policy" in load_all(shop)


def test_what_is_worse_is_not_promoted_unless_forced(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = ("--model", "als", "--set", "regularization=1000000", "--hold-out", "0.3")
    code, said = run(capsys, monkeypatch, *bad)
    assert (code, versions(shop)) == (3, ["v0001", "v0002"])
    assert "new minus serving" in said
    assert "what serves stays" in said
    code, said = run(capsys, monkeypatch, *bad, "--force")
    assert (code, len(versions(shop))) == (0, 3)


def test_settings_without_a_model_and_a_wrong_folder_are_errors(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(capsys, monkeypatch, "--set", "factors=8")
    assert code == 1
    assert "--set needs --model" in said
    (shop / "diary").touch()
    code, said = run(capsys, monkeypatch)
    assert code == 1
    assert "not a bundle" in said
