from pathlib import Path

import polars as pl
import pytest

from service.store.made import MOMENT, decision, event
from tastemaker.errors import DataError
from tastemaker.service.store import Item, Store, User


def test_everything_but_keys_is_in_the_files(store: Store, tmp_path: Path) -> None:
    made = decision("r1", history=("x",))
    store.log(made)
    store.keys.create("shop", ["admin"])
    store.put_items([Item("tea", {"price": 3.5, "tags": ["hot"]}), Item("jam")])
    store.put_users([User("alice", {"age": 33})])
    store.post([event(f"e{n}", recommendation_id="r1", time=MOMENT + n) for n in range(3)]).result()
    folder = tmp_path / "new" / "folder"
    assert store.export(folder) == {"events": 3, "decisions": 1, "items": 2, "users": 1}
    assert sorted(p.name for p in folder.iterdir()) == [
        f"{n}.parquet" for n in ("decisions", "events", "items", "users")
    ]
    assert [p.name for p in folder.parent.iterdir()] == ["folder"]
    events = pl.read_parquet(folder / "events.parquet")
    assert events["event_id"].to_list() == ["e0", "e1", "e2"]
    assert events["time"].to_list() == [MOMENT, MOMENT + 1, MOMENT + 2]
    (row,) = pl.read_parquet(folder / "decisions.parquet").to_dicts()
    assert row["candidates"] == list(made.candidates)
    assert row["utilities"] == made.utilities.tolist()
    assert row["slot_item_id"] == [slot.item_id for slot in made.slots]
    assert row["slot_propensity"] == [slot.propensity for slot in made.slots]
    assert row["history"] == ["x"]
    assert pl.read_parquet(folder / "items.parquet").rows() == [("jam", None, None), ("tea", 3.5, ["hot"])]
    assert pl.read_parquet(folder / "users.parquet").rows() == [("alice", 33)]


def test_an_empty_store_gives_empty_files(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert set(store.export(tmp_path / "there").values()) == {0}
    assert pl.read_parquet(tmp_path / "there" / "events.parquet").height == 0


def test_nothing_is_overwritten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    with pytest.raises(DataError, match="is there already"):
        store.export(tmp_path / "there")
    assert [p.name for p in (tmp_path / "there").iterdir()] == ["mine"]
