"""Saved Datasets come back as they were, mapped from disk; what is damaged or foreign is refused."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from data.table import COLUMNS, NAMES, rows
from tastemaker.data import Dataset
from tastemaker.errors import DataError


def test_save_and_load(tmp_path: Path) -> None:
    uuids = [uuid4() for _ in range(4)]
    data = Dataset.from_interactions(
        COLUMNS | {"customer": uuids, "hour": [1, 2, 3, 4]}, **NAMES, context=["hour"], scale=(1, 5)
    )
    back = Dataset.load(data.save(tmp_path / "saved"))
    assert rows(back) == rows(data)
    assert back.schema == data.schema
    assert back.context.equals(data.context)
    data.select(np.array([0])).save(tmp_path / "saved")
    assert len(Dataset.load(tmp_path / "saved")) == 1


def test_loaded_interactions_are_mapped(tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list what is mapped")
    n = 200_000
    table = {"user": np.arange(n), "item": np.arange(n) % 7, "weight": np.arange(n)}
    path = Dataset.from_interactions(table, weight="weight").save(tmp_path / "saved")
    data = Dataset.load(path)
    lines = [line.split() for line in maps.read_text().splitlines() if "interactions.arrow" in line]
    spans = [[int(end, 16) for end in line[0].split("-")] for line in lines]
    for column in (data.user, data.item, data.weight):
        assert any(low <= column.ctypes.data < high for low, high in spans)
    assert data.timestamp.strides == data.value.strides == (0,)
    assert (path / "interactions.arrow").stat().st_size < 13 * n


def test_damaged_or_foreign_folders_are_refused(tmp_path: Path) -> None:
    data = Dataset.from_interactions(COLUMNS, **NAMES)
    path = data.save(tmp_path / "saved")
    content = bytearray((path / "interactions.arrow").read_bytes())
    place = bytes(content).index(np.float32(5.0).tobytes() + np.float32(3.0).tobytes())
    content[place : place + 4] = np.float32(4.5).tobytes()
    (path / "interactions.arrow").write_bytes(content)
    with pytest.raises(DataError, match="does not match its fingerprint"):
        Dataset.load(path)
    (path / "interactions.arrow").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="missing or damaged"):
        Dataset.load(path)
    with pytest.raises(DataError, match="not a saved Dataset"):
        Dataset.load(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="is not a saved Dataset; choose another folder"):
        data.save(tmp_path / "mine")


def test_a_changed_feature_is_noticed(tmp_path: Path) -> None:
    films = {"product": [10, 20], "genre": ["drama", "comedy"]}
    path = Dataset.from_interactions(COLUMNS, **NAMES, item_features=films).save(tmp_path / "saved")
    file = path / "items.arrow"
    file.write_bytes(file.read_bytes().replace(b"drama", b"crime"))
    with pytest.raises(DataError, match=r"items.arrow is missing or damaged"):
        Dataset.load(path)


@pytest.mark.parametrize("meta", ["[]", '{"format": "tastemaker-dataset", "version": 1}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, meta: str) -> None:
    path = Dataset.from_interactions(COLUMNS, **NAMES).save(tmp_path / "saved")
    (path / "dataset.json").write_text(meta)
    with pytest.raises(DataError, match=r"is not a saved Dataset|damaged"):
        Dataset.load(path)


def test_a_feature_may_have_any_name(tmp_path: Path) -> None:
    data = Dataset.from_interactions(COLUMNS, **NAMES, item_features={"product": [10], "__id__": ["x"]})
    assert Dataset.load(data.save(tmp_path / "saved")).item_features["__id__"].to_list() == ["x", None, None]
