"""What the README shows runs as it stands."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tastemaker as tm

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def in_a_folder_with_ratings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the README's example reads, made from a generated world."""
    world = tm.datasets.world(users=80, items=60)
    world.interactions.select(
        customer_id="user", film="item", stars="rating", rated_at=pl.col("timestamp").dt.epoch("s")
    ).write_csv(tmp_path / "ratings.csv")
    world.items.select(
        film="item", title="title", genre=pl.col("genres").list.first(), price="price", year="year"
    ).write_csv(tmp_path / "films.csv")
    _write_impressions(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write_impressions(folder: Path) -> None:
    """What was shown to twenty people, what is known of them, and of the ads."""
    random = np.random.default_rng(1)
    people = ["ann", *(f"person {i}" for i in range(19))]
    ads = ["concert", "car", "jam", "phone"]
    apps = ["maps|radio", "radio", "", "maps|chat"] * 5
    pl.DataFrame(
        {"person": people, "gender": ["f", "m"] * 10, "age": range(20, 60, 2), "apps": apps}
    ).write_csv(folder / "people.csv")
    pl.DataFrame(
        {"ad": ads, "kind": ["event", "thing", "thing", "thing"], "price": [80, 30_000, 4, 600]}
    ).write_csv(folder / "ads.csv")
    shown = {
        "person": random.choice(people, 400),
        "ad": random.choice(ads, 400),
        "device": random.choice(["phone", "tv"], 400),
        "at": 1_700_000_000 + 5_000 * np.arange(400),
        "clicked": random.integers(0, 2, 400),
    }
    pl.DataFrame(shown).write_csv(folder / "shown.csv")


def test_the_python_examples_run(in_a_folder_with_ratings: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert isinstance(names["model"], tm.MatrixFactorization)
    assert (in_a_folder_with_ratings / "calibration.html").exists()
    assert (in_a_folder_with_ratings / "films-model" / "CURRENT").exists()


def test_the_table_of_models_is_complete() -> None:
    from tastemaker.models import model_class, names

    text = README.read_text()
    for name in names():
        assert f"| `{name}` | `{model_class(name).__name__}` |" in text


def test_every_make_target_and_link_exists() -> None:
    root = README.parent
    text = README.read_text() + (root / "CONTRIBUTING.md").read_text()
    makefile = (root / "Makefile").read_text()
    for target in set(re.findall(r"make (\w+)", text)) - {"sets", "does"}:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (root / link).exists(), link
