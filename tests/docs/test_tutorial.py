"""What the tutorial says can be done as it stands, from an empty folder to a page."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tastemaker.cli import main
from tastemaker.service.app import Settings, create_app
from tastemaker.service.engine import Engine
from tastemaker.service.store import Store

DOCS = Path(__file__).parents[2] / "docs"


def test_from_a_csv_to_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "tutorial.md").read_text()
    (make_files,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(make_files, "tutorial.md", "exec"), {})
    commands = re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL)
    assert [command.split()[1] for command in commands] == ["import", "train"]
    for command in [*commands, commands[0]]:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code in (0, None)
    with Store.open("sqlite:///shop.db") as store:
        assert store.last_sequence() == len((tmp_path / "ratings.csv").read_text().splitlines()) - 1
        engine = Engine.open(store, tmp_path / "models")
        assert create_app(engine, Settings())
        assert engine.features(["squid-game"])[0]["title"] == "Squid Game"
        assert set(engine.model_names) == {"item_knn", "content", "popularity"}


def test_links_and_files_that_the_pages_name_are_there() -> None:
    for page in ("tutorial.md", "operations.md", "service.md"):
        for link in re.findall(r"\]\(([\w./-]+)\)", (DOCS / page).read_text()):
            assert (DOCS / link).exists(), f"{page}: {link}"
