"""The shape of the package: imports point one way, the import is light, every floor says what it is."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tastemaker

ROOT = Path(tastemaker.__file__).parent
# A module may import from its own floor and from those before it.
FLOORS = [
    "errors",
    "progress",
    "_native",
    "data",
    "datasets",
    "metrics",
    "ranking",
    "models",
    "evaluation",
    "policy",
]
FLOORS += ["service", "cli"]
HEAVY = [
    "torch",
    "fastapi",
    "sqlalchemy",
    "sklearn",
    "altair",
    "pandas",
    "optuna",
    "jinja2",
    "prometheus_client",
    "faiss",
]


def floor(module: str) -> int | None:
    """The number of the floor of ``tastemaker.FLOOR.…``; None for the package itself."""
    parts = module.split(".")
    return FLOORS.index(parts[1]) if len(parts) > 1 and parts[1] in FLOORS else None


def imports(file: Path) -> set[str]:
    """Modules of this package that a file imports when it runs, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("tastemaker")}


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    mine = floor(".".join(("tastemaker", *file.relative_to(ROOT).with_suffix("").parts)))
    if mine is None:  # the package's own __init__ opens every door
        return
    higher = {name for name in imports(file) if (floor(name) or 0) > mine}
    assert not higher, f"{file.name} is on floor {FLOORS[mine]} and imports {higher}"


def test_every_module_is_on_a_floor() -> None:
    tops = {p.stem for p in ROOT.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert tops - {"__init__"} <= set(FLOORS)


def loaded_after(code: str) -> list[str]:
    script = f"import sys; {code}; print(','.join(m for m in {HEAVY} if m in sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    return [m for m in run.stdout.strip().split(",") if m]


def test_the_import_is_light() -> None:
    assert loaded_after("import tastemaker") == []


def test_fitting_and_recommending_is_light_too() -> None:
    code = (
        "import tastemaker as tm; d = tm.Dataset.from_interactions({'user': [1, 1, 2], 'item': [1, 2, 2]}); "
        "tm.Popularity().fit(d).recommend([2])"
    )
    assert loaded_after(code) == []


def test_every_public_name_is_there() -> None:
    for name in tastemaker.__all__:
        assert getattr(tastemaker, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tastemaker.nonsense  # type: ignore[attr-defined]
