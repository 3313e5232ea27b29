"""The example of planted effects: each model sees what it can see, and nothing else."""

import importlib.util
import sys
from pathlib import Path

import polars as pl
import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "orders_of_interaction"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    spec = importlib.util.spec_from_file_location("orders_of_interaction", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = run
    spec.loader.exec_module(run)
    picture = tmp_path_factory.mktemp("orders") / "orders.png"
    table: pl.DataFrame = run.main(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    return {
        model: dict(rows.select("effect", "recovered").rows())
        for (model,), rows in table.group_by("model", maintain_order=True)
    }


def test_order_1_is_seen_by_all_that_see_the_hour(found: dict[str, dict[str, float]]) -> None:
    assert abs(found["matrix factorization"]["night"]) < 0.1
    assert all(
        0.7 < effects["night"] < 1.3 for model, effects in found.items() if model != "matrix factorization"
    )


def test_order_2_is_seen_with_features(found: dict[str, dict[str, float]]) -> None:
    assert abs(found["matrix factorization"]["meal × food"]) < 0.1
    for model in ("factorization machine", "wide only", "Wide & Deep", "DeepFM"):
        assert 0.6 < found[model]["meal × food"] < 1.4, model


def test_order_3_is_seen_by_the_deep_ones(found: dict[str, dict[str, float]]) -> None:
    assert abs(found["factorization machine"]["male × teen × shooter"]) < 0.05
    assert abs(found["matrix factorization"]["male × teen × shooter"]) < 0.05
    for model in ("deep only", "Wide & Deep", "DeepFM"):
        assert found[model]["male × teen × shooter"] > 0.6, model


def test_the_wide_part_remembers_the_niche(found: dict[str, dict[str, float]]) -> None:
    for model in ("wide only", "Wide & Deep"):
        assert found[model]["niche"] > found["deep only"]["niche"] + 0.1, model
