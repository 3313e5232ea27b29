from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.service.store import Item, RejectedRows, Store, User
from tastemaker.service.store.features import TYPES, FeatureType, as_column, type_of


def test_an_item_is_put_replaced_and_deleted(store: Store) -> None:
    features = {
        "title": "Squid Game",
        "price": 9.99,
        "genres": ["drama", "thriller"],
        "new": True,
        "parts": 9,
    }
    assert store.put_items([Item("squid-game", features)]).result() == 1
    first = store.item("squid-game")
    assert first is not None
    assert (first.features, first.updated > 0) == (features, True)
    store.put_items([Item("squid-game", {"title": "오징어 게임"})]).result()
    second = store.item("squid-game")
    assert second is not None
    assert (second.features, second.updated >= first.updated) == ({"title": "오징어 게임"}, True)
    assert store.delete_item("squid-game").result() is True
    assert store.delete_item("squid-game").result() is False
    assert (store.item("squid-game"), store.items(), store.hidden()) == (None, [], ["squid-game"])
    assert store.search("squid") == []
    store.put_items([Item("squid-game")]).result()
    assert (store.hidden(), len(store.items())) == ([], 1)


def test_items_come_in_the_order_asked_for(store: Store) -> None:
    assert store.put_items([Item(f"i{n:04}") for n in range(2500)]).result() == 2500
    asked = [f"i{n:04}" for n in range(2499, -1, -1)]
    assert [i.item_id for i in store.items(["no", *asked])] == asked
    assert [i.item_id for i in store.items()] == asked[::-1]


def test_of_an_id_that_comes_twice_the_last_row_stands(store: Store) -> None:
    store.put_users([User("alice", {"age": 1}), User("alice", {"age": 2})]).result()
    alice = store.user("alice")
    assert alice is not None
    assert alice.features == {"age": 2}


def test_the_first_value_declares_the_type(store: Store) -> None:
    first = {
        "i": 1,
        "f": 1.5,
        "b": True,
        "s": "x",
        "l": ["x"],
        "d": "2026-01-31T08:00:00Z",
        "later": None,
        "none": [],
    }
    store.put_items([Item("a", first)]).result()
    types = {"i": "int", "f": "float", "b": "bool", "s": "str", "l": "list[str]", "d": "datetime"}
    assert store.schema("items") == types
    assert store.schema("users") == {}
    store.put_items([Item("b", dict.fromkeys(types)), Item("c", {"l": [], "f": 2, "later": 7})]).result()
    assert store.schema("items") == types | {"later": "int"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("i", "1"),
        ("i", True),
        ("f", "1.5"),
        ("b", 1),
        ("s", 1),
        ("s", ["x"]),
        ("l", "x"),
        ("l", ["x", 1]),
        ("d", "soon"),
    ],
)
def test_a_value_of_another_type_is_rejected_with_its_reason_and_nothing_is_put(
    store: Store, name: str, value: Any
) -> None:
    first = {"i": 1, "f": 1.5, "b": True, "s": "x", "l": ["x"], "d": "2026-01-31T08:00:00Z"}
    store.put_items([Item("a", first)]).result()
    rows = [Item("b", {"fresh": 1}), Item("c", {name: value})]
    with pytest.raises(RejectedRows, match=f"feature '{name}': expected") as refused:
        store.put_items(rows).result()
    assert [place for place, _ in refused.value.rejected] == [1]
    assert (store.item("b"), store.item("c")) == (None, None)
    assert "fresh" not in store.schema("items")


def test_an_int_becomes_a_float_where_a_fraction_comes(store: Store) -> None:
    store.put_items([Item("a", {"price": 10})]).result()
    store.put_items([Item("b", {"price": 9.5})]).result()
    assert store.schema("items") == {"price": "float"}
    with pytest.raises(RejectedRows):
        store.put_items([Item("c", {"price": "cheap"})]).result()


def test_types_can_be_declared_beforehand(store: Store) -> None:
    store.declare("items", {"code": "str", "price": "int"}).result()
    store.put_items([Item("a", {"code": "2026-01-31T08:00:00Z"})]).result()
    assert store.schema("items") == {"code": "str", "price": "int"}
    store.declare("items", {"price": "float"}).result()
    with pytest.raises(DataError, match="'code' is str and cannot become bool"):
        store.declare("items", {"code": "bool"}).result()
    wrong: Any = {"code": "uuid"}
    with pytest.raises(DataError, match="expected one of int, float"):
        store.declare("items", wrong).result()


@pytest.mark.parametrize(
    "row",
    [
        Item("", {}),
        Item("a\x00", {}),
        Item("a", {"": 1}),
        Item("a", {"item_id": "b"}),
        Item("a", {"x": {}}),
        Item("a", {"x": float("nan")}),
        Item("a", {"x": 2**63}),
        Item("a", {"x": "\ud800"}),
        Item("a", {"x": "y" * 70_000}),
        Item("a", [1]),  # type: ignore[arg-type]
    ],
)
def test_rows_that_cannot_be_kept_are_rejected(store: Store, row: Item) -> None:
    with pytest.raises(RejectedRows):
        store.put_items([Item("good", {"fresh": 1}), row]).result()
    assert (store.items(), store.schema("items")) == ([], {})


def test_a_search_finds_words_whatever_their_case_and_accents(store: Store) -> None:
    store.put_items(
        [
            Item("1", {"title": "The Fabulous Amélie", "director": "Jeunet"}),
            Item("2", {"title": "Amelie"}),
            Item("3", {"title": "100% Wolf", "genres": ["Animation", "Amelie-like"]}),
            Item("4", {"title": "1000 Wolves"}),
        ]
    ).result()

    def found(text: str) -> list[str]:
        return [i.item_id for i in store.search(text)]

    assert found("AMÉLIE") == ["2", "1", "3"]  # what begins so comes first, then what is short
    assert found("jeunet amelie") == ["1"]
    assert found("100%") == ["3"]
    assert found("_") == []
    assert found("animation") == ["3"]
    assert [i.item_id for i in store.search("", limit=2)] == ["2", "4"]
    store.put_items([Item("5", {"title": "a\x00b\n\x7fc"})]).result()
    assert found("A B c") == ["5"]
    store.put_users([User("bob", {"name": "Robert"})]).result()
    assert [u.user_id for u in store.search_users("rob")] == ["bob"]


json_values = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), min_size=1, max_size=3),
    st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda d: d.isoformat()),
)


@given(json_values)
def test_a_value_becomes_a_column_of_its_type(value: Any) -> None:
    kind = type_of(value)
    if kind is None:
        return
    column = as_column("x", [value, None], kind)
    assert column.dtype == TYPES[kind]
    assert column[1] is None
    if kind not in ("datetime", "list[str]"):
        assert column[0] == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-01-31T08:00:00+01:00", "datetime"),
        ("2026-01-31 08:00", "datetime"),
        ("2026-02-31T08:00:00Z", "str"),
        ("2026-01-31", "str"),
        ("2026", "str"),
    ],
)
def test_only_a_whole_time_is_a_time(text: str, kind: FeatureType) -> None:
    assert type_of(text) == kind
