"""Who asks: from the caller's ids to codes, one row a list."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.data import Catalogue, Dataset, Queries
from tastemaker.data.queries import KINDS, as_rows, queries_from_ids
from tastemaker.errors import DataError

DATA = Dataset.from_interactions(
    {"user": [1, 1, 2], "item": ["a", "b", "c"], "stars": [5, 3, 4], "t": [2, 1, 3]},
    rating="stars",
    timestamp="t",
    scale=(1, 5),
    user_features={"user": [9], "age": [30]},
)
CATALOGUE = Catalogue.of(DATA)


def rows(queries: Queries) -> list[list[tuple[str, float]]]:
    """The history of each query as (item, value) in the caller's ids."""
    history, items = queries.history, CATALOGUE.items
    parts = [history[q : q + 1] for q in range(len(queries))]
    return [list(zip(items.decode_list(p.indices), p.value.tolist(), strict=True)) for p in parts]


def test_arrays_lists_and_mappings_are_the_same_histories() -> None:
    data = Dataset.from_interactions({"user": [1, 1, 2], "item": [10, 20, 30]})
    forms = ([10, 99, 20, 10], [30], [])
    expected = queries_from_ids(Catalogue.of(data), history=forms)
    arrays = [np.array(row, np.int64) for row in forms]
    for history in (arrays, [forms[0], *arrays[1:]], [dict.fromkeys([99, 20, 10], 1), *arrays[1:]]):
        queries = queries_from_ids(Catalogue.of(data), history=history)
        assert queries.history.indptr.tolist() == expected.history.indptr.tolist() == [0, 2, 3, 3]
        assert queries.history.indices.tolist() == expected.history.indices.tolist() == [1, 0, 2]
        assert queries.history.value.tolist() == [1, 1, 1]
        assert queries.unknown == expected.unknown == 1


def test_known_users_bring_their_stored_histories() -> None:
    queries = queries_from_ids(CATALOGUE, [2, 7, 1, 9])
    assert queries.users.tolist() == [1, -1, 0, 2]
    assert rows(queries) == [[("c", 4)], [], [("b", 3), ("a", 5)], []]
    assert not queries.given.any()
    assert [KINDS[kind] for kind in queries.kinds()] == ["known", "anonymous", "known", "anonymous"]
    assert len(queries_from_ids(CATALOGUE)) == DATA.n_users


def test_a_given_history_replaces_the_stored_one() -> None:
    queries = queries_from_ids(CATALOGUE, [1, 1], history=[["c"], []])
    assert queries.users.tolist() == [0, 0]
    assert rows(queries) == [[("c", 5)], []]
    assert queries.given.all()
    assert [KINDS[kind] for kind in queries.kinds()] == ["history", "anonymous"]


entry = st.one_of(
    st.lists(st.sampled_from("abcxy"), max_size=6),
    st.dictionaries(st.sampled_from("abcxy"), st.integers(1, 5), max_size=4),
)


@given(st.lists(entry, max_size=6))
def test_histories_keep_each_known_item_once_where_it_was_named_last(history: list[object]) -> None:
    expected, unknown = [], 0
    for row in history:
        pairs = list(row.items()) if isinstance(row, dict) else [(i, 5) for i in row]
        unknown += sum(item not in "abc" for item, _ in pairs)
        last = {item: n for n, (item, _) in enumerate(pairs)}
        expected.append([p for n, p in enumerate(pairs) if p[0] in "abc" and last[p[0]] == n])
    queries = queries_from_ids(CATALOGUE, history=history)
    assert rows(queries) == expected
    assert queries.unknown == unknown


def test_an_unknown_item_takes_nothing_from_the_query_before() -> None:
    assert rows(queries_from_ids(CATALOGUE, history=[["c"], ["unknown"]])) == [[("c", 5)], []]


@given(st.lists(st.integers(0, 4), max_size=6))
def test_taking_queries_is_asking_them(at: list[int]) -> None:
    asked = [1, 7, 2, 9, 1]
    taken = queries_from_ids(CATALOGUE, asked).take(np.array(at, np.int64))
    assert rows(taken) == rows(queries_from_ids(CATALOGUE, [asked[n] for n in at]))


def test_seeds_are_queries_of_their_own() -> None:
    queries = queries_from_ids(CATALOGUE, seeds=[["a", "x"], []])
    assert queries.users.tolist() == [-1, -1]
    assert queries.unknown == 1
    assert [KINDS[kind] for kind in queries.kinds()] == ["seeds", "anonymous"]
    assert queries[1:].seeds is not None
    assert len(queries[1:]) == 1


@pytest.mark.parametrize("make", [list, tuple, iter, np.array, pd.Series, pd.Index, pl.Series, pa.array])
def test_rows_come_as_python_objects_from_anything(make: object) -> None:
    asked = as_rows(make([1, 2]), "users")  # type: ignore[operator]
    assert asked == [1, 2]
    assert {type(a) for a in asked} == {int}


def test_dates_in_arrays_stay_dates() -> None:
    assert as_rows(np.array(["2024-01-02"], "M8[D]"), "users") == [date(2024, 1, 2)]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"users": 1}, r"users: expected a list with one entry a query, got 1; write \[1\]"),
        ({"users": "ann"}, r"write \['ann'\]"),
        ({"history": ["a"]}, "each entry must be a list of item ids"),
        ({"history": [{"a": "five"}]}, "history: ratings must be numbers, got 'five'"),
        ({"history": [{"a": None}]}, "history: ratings must be numbers, got None"),
        ({"history": [{"a": 1j}]}, "history: ratings must be numbers, got 1j"),
        ({"history": [{"a": float("inf")}]}, "history: ratings must be finite, got inf"),
        ({"users": [1], "seeds": [["a"]]}, "give either seeds, or users"),
        ({"users": [1], "history": [[], []]}, "expected one entry for each of 1 users, got 2"),
    ],
)
def test_questions_in_the_wrong_form(question: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        queries_from_ids(CATALOGUE, **question)
