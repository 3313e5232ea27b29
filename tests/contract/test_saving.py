"""Every model survives a save, and a damaged, foreign or newer bundle is refused with its reason."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tastemaker
from contract.conftest import as_uuid, small_data
from tastemaker.errors import BundleError, MissingExtraError, NotFittedError
from tastemaker.models import model_class, names
from tastemaker.models.base import Recommender
from tastemaker.models.bundle import current_version, load, load_all, promote, save, versions

Get = Callable[[str], Recommender[Any]]


def test_save_load_identical(name: str, fitted: Get, tmp_path: Path) -> None:
    model = fitted(name)
    model.save(tmp_path / "saved")
    back = tastemaker.load(tmp_path / "saved")
    assert type(back) is type(model)
    assert back.parameters() == model.parameters()
    for question in ({}, {"history": [["i1", "i2"], []]}, {"users": ["u1"], "filter": "price < 4"}):
        a, b = model.recommend(k=10, **question), back.recommend(k=10, **question)
        assert a.lists() == b.lists()
        assert a.scores.tobytes() == b.scores.tobytes()


def test_uuid_ids_survive(name: str, tmp_path: Path) -> None:
    model = model_class(name)().fit(small_data(user=as_uuid, item=as_uuid))
    back = load(model.save(tmp_path / "saved"))
    assert back.recommend([as_uuid(1)], k=3).lists() == model.recommend([as_uuid(1)], k=3).lists()


def files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())


def test_truncated_and_tampered_files_are_refused(name: str, fitted: Get, tmp_path: Path) -> None:
    folder = fitted(name).save(tmp_path / "saved")
    for file in files(folder):
        content = file.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 0xFF
        for damaged in (content[: len(content) // 2], bytes(changed)):
            file.write_bytes(damaged)
            with pytest.raises(BundleError, match=r"damaged|not a bundle"):
                load(folder)
        file.write_bytes(content)
    load(folder)


def test_a_missing_file_is_refused(fitted: Get, tmp_path: Path) -> None:
    folder = fitted("popularity").save(tmp_path / "saved")
    for file in files(folder):
        moved = tmp_path / "moved"
        file.rename(moved)
        with pytest.raises(BundleError):
            load(folder)
        moved.rename(file)


def rewrite(folder: Path, **changes: Any) -> None:
    """Change bundle.json and make the pointer agree, as a foreign or newer program would have written it."""
    file = folder / "v0001" / "bundle.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (folder / "CURRENT").write_text(json.dumps({"version": "v0001", "sha256": digest}))


def test_foreign_and_newer_bundles_are_refused(fitted: Get, tmp_path: Path) -> None:
    folder = fitted("popularity").save(tmp_path / "saved")
    rewrite(folder, version=99)
    with pytest.raises(BundleError, match="has format version 99, this package reads 1; upgrade"):
        load(folder)
    rewrite(folder, files={"bundle.json": {}})
    with pytest.raises(BundleError, match="version 99"):
        load(folder)
    rewrite(folder, version=1)
    with pytest.raises(BundleError, match="is damaged"):
        load(folder)
    rewrite(folder, format="pickle")
    with pytest.raises(BundleError, match="its format is 'pickle'"):
        load(folder)
    with pytest.raises(BundleError, match="is not a saved model: it has no file CURRENT"):
        load(tmp_path)
    (folder / "CURRENT").write_text(json.dumps({"version": "../v0001", "sha256": ""}))
    with pytest.raises(BundleError, match="CURRENT names"):
        load(folder)


def test_each_save_is_a_new_version_and_keeps_the_old(fitted: Get, tmp_path: Path) -> None:
    folder = fitted("popularity").save(tmp_path / "saved")
    fitted("random").save(folder)
    assert load(folder).name == "random"
    assert {p.name for p in folder.iterdir()} == {"CURRENT", "v0001", "v0002"}


def test_a_save_that_fails_leaves_the_current_version(
    fitted: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fitted("popularity").save(tmp_path / "saved")

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("tastemaker.models.bundle.save_file", broken)
    with pytest.raises(OSError, match="disk full"):
        fitted("random").save(folder)
    assert load(folder).name == "popularity"
    assert {p.name for p in folder.iterdir()} == {"CURRENT", "v0001"}


def test_a_save_cut_off_before_the_pointer_leaves_a_usable_folder(
    fitted: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("tastemaker.models.bundle._point", killed)
        with pytest.raises(OSError, match="killed"):
            fitted("popularity").save(tmp_path / "saved")
    with pytest.raises(BundleError, match="has no file CURRENT"):
        load(tmp_path / "saved")
    assert load(fitted("random").save(tmp_path / "saved")).name == "random"


def test_saves_at_the_same_time_become_versions_of_their_own(fitted: Get, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    models = [fitted(name) for name in ("popularity", "random", "item_knn", "user_knn")]
    with ThreadPoolExecutor(len(models)) as pool:
        list(pool.map(lambda model: model.save(folder), models))
    versions = sorted(p.name for p in folder.iterdir())
    assert versions == ["CURRENT", "v0001", "v0002", "v0003", "v0004"]
    assert load(folder).name in {model.name for model in models}
    kept = {json.loads((folder / v / "bundle.json").read_text())["models"][0] for v in versions[1:]}
    assert kept == {model.name for model in models}


def test_models_with_other_features_do_not_share_a_bundle(fitted: Get, tmp_path: Path) -> None:
    data = small_data()
    other = model_class("popularity")().fit(
        replace(data, item_features=data.item_features.with_columns(title=pl.lit("another")))
    )
    with pytest.raises(BundleError, match="fitted on the same data"):
        save({"a": fitted("popularity"), "b": other}, tmp_path / "saved")


def test_one_bundle_of_several_models_shares_one_catalogue(fitted: Get, tmp_path: Path) -> None:
    both = {"first": fitted("popularity"), "second": fitted("item_knn")}
    folder = save(both, tmp_path / "saved")
    back = load_all(folder)
    assert list(back) == ["first", "second"]
    assert back["first"].catalogue is back["second"].catalogue
    assert load(folder, name="second").name == "item_knn"
    with pytest.raises(BundleError, match="has no model 'third'; it has: first, second"):
        load(folder, name="third")


def test_what_cannot_be_saved(fitted: Get, tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        model_class("popularity")().save(tmp_path / "a")
    other = model_class("popularity")().fit(small_data(users=5))
    with pytest.raises(BundleError, match="fitted on the same data"):
        save({"a": fitted("popularity"), "b": other}, tmp_path / "a")
    with pytest.raises(BundleError, match="is not a name for a model"):
        save({"../a": other}, tmp_path / "a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BundleError, match="is not a bundle of saved models"):
        other.save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_without_verification_sizes_and_headers_are_still_checked(fitted: Get, tmp_path: Path) -> None:
    model = fitted("popularity")
    folder = model.save(tmp_path / "saved")
    assert load(folder, verify=False).recommend(k=3).lists() == model.recommend(k=3).lists()
    seen = folder / "v0001" / "catalogue" / "seen.arrow"
    content = seen.read_bytes()
    seen.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=r"has \d+ bytes instead of"):
        load(folder, verify=False)
    assert np.isfinite(model.recommend(k=3).scores).all()


def neural() -> list[str]:
    return [name for name in names() if model_class(name).__module__.startswith("tastemaker.models.neural")]


def test_saved_neural_models_answer_without_torch(fitted: Get, tmp_path: Path) -> None:
    """All of them in one process that cannot import torch, to the last bit."""
    assert len(neural()) >= 9
    for name in neural():
        fitted(name).save(tmp_path / name)
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import tastemaker\n"
        f"for name in {neural()}:\n"
        f"    found = tastemaker.load({str(tmp_path)!r} + '/' + name).recommend(k=10)\n"
        "    print(name, found.items.tobytes().hex(), found.scores.tobytes().hex())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert not run.returncode, run.stderr
    expected = [fitted(name).recommend(k=10) for name in neural()]
    assert run.stdout.splitlines() == [
        f"{name} {found.items.tobytes().hex()} {found.scores.tobytes().hex()}"
        for name, found in zip(neural(), expected, strict=True)
    ]


def test_without_torch_a_neural_fit_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in neural():
        with pytest.raises(MissingExtraError, match=r"pip install 'tastemaker\[neural\]'"):
            model_class(name)().fit(small_data())


def test_versions_can_be_promoted_and_a_damaged_one_cannot(fitted: Get, tmp_path: Path) -> None:
    for k in (3, 5):
        replace(fitted("item_knn"), neighbors=k).fit(small_data()).save(tmp_path)
    assert versions(tmp_path) == ["v0001", "v0002"]
    assert (current_version(tmp_path), load(tmp_path).parameters()["neighbors"]) == ("v0002", 5)
    promote(tmp_path, "v0001")
    assert (current_version(tmp_path), load(tmp_path).parameters()["neighbors"]) == ("v0001", 3)
    for file in files(tmp_path / "v0002"):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(BundleError, match=r"damaged|not a bundle"):
            promote(tmp_path, "v0002")
        assert current_version(tmp_path) == "v0001"
        file.write_bytes(content)
    promote(tmp_path, "v0002")
    for name in ("v0009", "../v0001", "v1/../v0002", "CURRENT"):
        with pytest.raises(BundleError):
            promote(tmp_path, name)
