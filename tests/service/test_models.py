"""Which models can serve."""

from pathlib import Path

import pytest

from service.conftest import Shop
from tastemaker import Dataset, ItemKNN
from tastemaker.errors import BundleError
from tastemaker.models.bundle import save
from tastemaker.service.engine import Engine
from tastemaker.service.store import Store


def test_one_model_alone_becomes_a_policy(tmp_path: Path) -> None:
    data = Dataset.from_interactions(
        {"user": list("aabbcc"), "item": ["tea", "jam", "tea", "ham", "jam", "egg"]}
    )
    save({"item_knn": ItemKNN().fit(data)}, tmp_path / "models")
    with Store.open(f"sqlite:///{tmp_path}/t.db") as store:
        engine = Engine.open(store, tmp_path / "models")
        assert (engine.version, engine.n_items) == ("v0001", 4)


def test_models_on_numbers_are_refused(tmp_path: Path) -> None:
    data = Dataset.from_interactions({"user": [1, 1, 2], "item": [1, 2, 2]})
    save({"item_knn": ItemKNN().fit(data)}, tmp_path / "models")
    with Store.open(f"sqlite:///{tmp_path}/t.db") as store, pytest.raises(BundleError, match="by text"):
        Engine.open(store, tmp_path / "models")


def test_a_missing_bundle_is_told(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no file CURRENT"):
        Engine.open(shop.store, tmp_path / "nothing")
