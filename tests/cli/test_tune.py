"""`tastemaker tune`: from a file to the best settings, a saved model and the command that fits it again."""

import shlex
import sys
from pathlib import Path

import polars as pl
import pytest

import tastemaker as tm
from tastemaker.cli import main


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["tastemaker", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """A shop's sales under its own column names."""
    world = tm.datasets.world(users=60, items=40, seed=3)
    path = tmp_path / "sales.csv"
    world.interactions.select(
        customer="user", sku="item", stars="rating", day=pl.col("timestamp").dt.epoch("s")
    ).write_csv(path, separator=";")
    return path


def test_tune_prints_the_settings_and_a_command_that_fits_the_same_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sales: Path, tmp_path: Path
) -> None:
    options = ["--user", "customer", "--item", "sku", "--rating", "stars", "--separator", ";"]
    tuning = ["--model", "mf", "--metric", "rmse", "--trials", 3, "--set", "factors=8"]
    files = ["--out", tmp_path / "tuned", "--storage", tmp_path / "search.log"]
    code, out, err = run(monkeypatch, capsys, "tune", sales, *tuning, *files, *options)
    assert (code, err) == (0, "")
    assert "rmse" in out
    command = shlex.split(out.partition("to use them: ")[2])
    assert command[:3] == ["tastemaker", "fit", str(sales)]
    command[command.index("--out") + 1] = str(tmp_path / "again")
    code, out, _ = run(monkeypatch, capsys, *command[1:])
    assert code == 0
    tuned, again = tm.load(tmp_path / "tuned"), tm.load(tmp_path / "again")
    assert tuned.parameters() == again.parameters()
    assert tuned.parameters()["factors"] == 8
    assert tuned.recommend(k=5).lists() == again.recommend(k=5).lists()


def test_tune_by_sessions_prints_a_command_that_learns_from_sessions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sales: Path, tmp_path: Path
) -> None:
    options = ["--user", "customer", "--item", "sku", "--timestamp", "day", "--separator", ";"]
    tuning = ["--model", "item_knn", "--trials", 2, "--validation", "session", "--gap", 7 * 24 * 60]
    code, out, err = run(monkeypatch, capsys, "tune", sales, *tuning, *options, "--out", tmp_path / "tuned")
    assert (code, err) == (0, "")
    command = shlex.split(out.partition("to use them: ")[2])
    command[command.index("--out") + 1] = str(tmp_path / "again")
    code, out, _ = run(monkeypatch, capsys, *command[1:])
    assert code == 0
    tuned, again = tm.load(tmp_path / "tuned"), tm.load(tmp_path / "again")
    assert tuned.catalogue.n_users == again.catalogue.n_users > 60
    assert tuned.recommend(k=5).lists() == again.recommend(k=5).lists()


def test_what_cannot_be_tuned_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sales: Path
) -> None:
    options = ["--user", "customer", "--item", "sku", "--separator", ";"]
    for more, message in (
        (["--model", "random"], "random has no hyper-parameters to tune"),
        (["--model", "bpr", "--metric", "nonsense"], "nonsense"),
    ):
        code, _, err = run(monkeypatch, capsys, "tune", sales, *options, *more)
        assert code == 1
        assert message in err
        assert "Traceback" not in err
