"""What comes out: the same lists as objects, tables, JSON and print, in the caller's own ids."""

import json
from collections.abc import Iterable
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from tastemaker.data import Dataset
from tastemaker.models.popularity import Popularity
from tastemaker.ranking.recommendations import Recommendations

FILMS = {"item": ["a", "b", "c"], "title": ["Alien", None, "Casablanca"]}


def ask(users: Iterable[Any], of: list[Any] | None = None, **options: Any) -> Recommendations:
    """Lists by popularity, c before b before a, for people who have seen nothing but the first (a) and second (b)."""
    first, second, third = of or [1, 2, 3]
    table = {"user": [first, second, third, third, third], "item": list("abbcc"), "w": [1, 1, 1, 1, 4]}
    data = Dataset.from_interactions(table, weight="w", item_features=FILMS)
    return Popularity().fit(data).recommend(users, **options)


@pytest.mark.parametrize(
    "users", [(1, 2), np.array([1, 2]), iter([1, 2]), {1: 0, 2: 0}], ids=lambda u: str(type(u))
)
def test_users_from_anything_come_back_as_they_are(users: Iterable[Any]) -> None:
    found = ask(users)
    assert found.queries == [1, 2]
    assert found.to_polars()["user"].to_list() == [1, 1, 2, 2]
    assert [row["user"] for row in json.loads(found.to_json())] == [1, 2]


def test_all_forms_tell_the_same() -> None:
    found = ask([1, 7], k=2)
    assert found.lists() == [["c", "b"], ["c", "b"]]
    assert [[slot.item for slot in slots] for slots in found] == found.lists()
    assert [slot.title for slot in found[0]] == ["Casablanca", "b"]
    table = found.to_polars()
    assert table.columns == ["query", "user", "item", "rank", "score", "source"]
    assert table["rank"].to_list() == [1, 2, 1, 2]
    assert table.equals(pl.DataFrame(found.to_arrow()))
    assert found.to_pandas()["item"].tolist() == ["c", "b", "c", "b"]
    rows = json.loads(found.to_json())
    assert [[slot["item"] for slot in row["items"]] for row in rows] == found.lists()
    assert str(found).startswith("1 — popularity\n   1  Casablanca")


def test_a_short_list_says_so_everywhere() -> None:
    found = ask([1], k=3)
    assert found.shortfalls == ["2 of 3: 3 items, 1 seen"]
    assert json.loads(found.to_json())[0]["shortfall"] == "2 of 3: 3 items, 1 seen"
    assert "2 of 3" in str(found)
    assert len(found[0]) == found.to_polars().height == 2


def test_no_lists_are_an_empty_table() -> None:
    found = ask([])
    assert (len(found), found.lists(), found.to_polars().height, json.loads(found.to_json())) == (
        0,
        [],
        0,
        [],
    )


def test_more_than_ten_lists_print_short() -> None:
    assert "… and 2 more lists" in str(ask([1] * 12))


def test_unknown_ids_in_histories_are_counted() -> None:
    found = ask(None, history=[["a", "x", "y"]])
    assert found.unknown == 2
    assert "2 ids in the question are unknown" in str(found)
    assert str(found).startswith("anonymous")


U1, U2 = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("of", "asked", "shown"),
    [
        ([date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3)], None, pl.Date),
        ([True, False, True], [True, False], pl.Boolean),
        ([U1, U2, UUID(int=3)], [U1, U2], pl.String),
        (["x", "y", "z"], ["x", 7], pl.String),
        ([1, 2, 3], [1, None], pl.Int64),
        ([1, 2, 3], [None, None], pl.Int64),
        ([1, 2, 3], [], pl.Int64),
        ([1, 2, 3], [1, [2]], pl.String),
    ],
    ids=["dates", "booleans", "uuids", "mixed", "missing", "all missing", "none", "a list"],
)
def test_the_user_column_has_the_type_of_the_ids(of: list[Any], asked: list[Any] | None, shown: Any) -> None:
    asked = of[:2] if asked is None else asked
    table = ask(asked, of=of, k=1, exclude_seen=False).to_polars()
    assert table.schema["user"] == shown
    plain = [a if shown != pl.String or a is None else str(a) for a in asked]
    assert table["user"].to_list() == plain


def test_uuids_are_text_in_pandas() -> None:
    frame = ask([U1], of=[U1, U2, UUID(int=3)], k=1).to_pandas()
    assert frame["user"].tolist() == [str(U1)]
