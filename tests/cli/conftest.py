"""The command line as a function."""

import sys

import pytest

from cli.running import Cli, Run
from tastemaker.cli import main


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["tastemaker", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Run(code, said.out, said.err)

    return run
