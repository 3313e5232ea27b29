from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from service.store.made import MOMENT, decision, event
from tastemaker.errors import DataError
from tastemaker.policy.pool import Labels, Pool, RecordedLikeness
from tastemaker.policy.replay import Record
from tastemaker.policy.slots import Rules, draw
from tastemaker.service.store import Item, Store, User


def recorded(ids: tuple[str, ...], utilities: NDArray[np.float64]) -> bytes:
    pool = Pool(utilities, np.zeros(len(ids), np.bool_), RecordedLikeness({}), Labels.none())
    rules = Rules(k=1)
    return Record(ids, np.zeros(len(ids), np.int8), pool, rules, 7, draw(pool, rules, 7)).to_bytes()


def test_everything_but_keys_is_in_the_files(store: Store, tmp_path: Path) -> None:
    record = recorded(("squid-game", "naïve ☕"), np.array([np.pi, -0.0]))
    made = decision("r1", history=("x",), record=record)
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
    assert row["candidates"] == ["squid-game", "naïve ☕"]
    assert row["utilities"] == [np.pi, -0.0]
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
