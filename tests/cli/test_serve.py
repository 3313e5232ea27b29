"""``tastemaker serve``: what it refuses before it listens. That it serves is tested in a browser."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tastemaker import Dataset, ItemKNN
from tastemaker.models.bundle import save


@pytest.fixture
def models(tmp_path: Path) -> Path:
    data = Dataset.from_interactions(
        {"user": list("aabbcc"), "item": ["tea", "jam", "tea", "ham", "jam", "egg"]}
    )
    return save({"item_knn": ItemKNN().fit(data)}, tmp_path / "models")


def refused(folder: Path, *options: str) -> str:
    command = [sys.executable, "-c", "from tastemaker.cli import main; main()", "serve", *options]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    return run.stderr


def test_it_does_not_listen_to_others_without_a_key(models: Path, tmp_path: Path) -> None:
    options = ("--db", "sqlite:///shop.db", "--models", str(models))
    assert "tastemaker keys create" in refused(tmp_path, *options, "--host", "0.0.0.0")


def test_a_port_that_is_taken_is_told(models: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--db", "sqlite:///shop.db", "--models", str(models))
        assert "--port" in refused(tmp_path, *options, "--port", port)


def test_a_store_without_models_is_refused(tmp_path: Path) -> None:
    assert "both --db and --models" in refused(tmp_path, "--db", "sqlite:///shop.db")
    assert "no file CURRENT" in refused(tmp_path, "--db", "sqlite:///shop.db", "--models", "nothing")
