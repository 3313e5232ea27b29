"""Conditions fail closed, whatever is wrong with them; lists of codes become rows."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.ranking.filters import code_rows, condition_mask, join_rows
from tastemaker.ranking.sql import FUNCTIONS

FEATURES = pl.DataFrame(
    {
        "price": [5.0, 20.0, None, float("nan")],
        "genre": ["drama", None, "crime", "drama"],
        "tags": [["new", "hot"], [], None, ["hot"]],
        "in_stock": [True, False, None, True],
    }
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("price > 10", [False, True, False, False]),
        ("NOT price > 10", [True, False, False, False]),
        ("price < 10 OR genre = 'crime'", [True, False, True, False]),
        ("in_stock", [True, False, False, True]),
        (pl.col("price") > 10, [False, True, False, False]),
        (~(pl.col("genre") == "drama"), [False, False, True, False]),
        (pl.col("tags").list.contains("hot"), [True, False, False, True]),
        (pl.col("genre").is_null(), [False, True, False, False]),
        (pl.col("price") > pl.col("price").mean(), [False, True, False, False]),
    ],
)
def test_nulls_and_nans_never_meet_a_condition(condition, expected):
    mask = condition_mask(condition, FEATURES)
    assert mask.dtype == np.bool_
    assert mask.tolist() == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("cost > 10", "no feature .*cost.*; there are: 'price', 'genre', 'tags', 'in_stock'"),
        (pl.col("cost") > 10, "no feature .*cost.*; there are: 'price', 'genre', 'tags', 'in_stock'"),
        ("price >", "is not a SQL condition"),
        ("genre > 10", "cannot be evaluated"),
        ("price + 1", r"expected one boolean for each of the 4 items, got 4 x \(Float64\)"),
        (pl.col("price", "in_stock") == 1, "cannot be evaluated|expected one boolean"),
        (pl.col("price").max() > 3, r"expected one boolean for each of the 4 items, got 1 x \(Boolean\)"),
        (pl.lit(None), "expected one boolean"),
        (lambda item: True, "expected a Polars expression or SQL text, got function"),
        (True, "expected a Polars expression or SQL text, got bool True"),
    ],
)
def test_a_condition_that_cannot_decide_is_an_error(condition, message):
    with pytest.raises(DataError, match=message):
        condition_mask(condition, FEATURES)


@pytest.mark.parametrize(
    "condition",
    [
        "price IN (SELECT price FROM read_csv('{file}'))",
        "price = (SELECT max(price) FROM read_csv('{file}'))",
        "price IN (WITH a AS (SELECT 1) SELECT * FROM a)",
        "price IN (FROM read_csv('{file}'))",
        "EXISTS (TABLE x)",
        "lpad(genre, 2000000000, 'x') > 'a'",
        "LPAD  (genre, 2000000000, 'x') > 'a'",
        "\"lpad\"(genre, 2000000000, 'x') > 'a'",
        "`lpad`(genre, 2000000000, 'x') > 'a'",
        '"in"(genre)',
        "'it''s' = genre OR lpad(genre, 2000000000, 'x') > 'a'",
        "genre = $$'$$ OR lpad(genre, 2000000000, $$'$$) > 'a'",
        "genre = E'\\' OR lpad(genre, 2000000000, ' = 'b') > 'a'",
        "price > 1lpad(genre, 2000000000, 'x')",
        "genre -- ' = 'a'\n = lpad(genre, 2000000000, 'x') --'",
        "genre /* ' */ = lpad(genre, 2000000000, 'x') /* ' */",
        "replace(replace(genre, 'd', 'dddddddddd'), 'd', 'dddddddddd') = 'x'",
        "genre = 'drama",
        "genre = 'drama'; price > 1",
    ],
)
def test_text_that_is_more_than_a_condition_is_refused_before_anything_reads_it(
    condition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret.csv"
    file.write_text("the first line\n1\n")
    monkeypatch.setattr(pl, "sql_expr", lambda text: pytest.fail(f"read {text}"))
    with pytest.raises(DataError) as refused:
        condition_mask(condition.replace("{file}", str(file)), FEATURES)
    assert "the first line" not in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("genre = 'it''s -- SELECT lpad(' OR price < 1e1", [True, False, False, False]),
        ("array_contains(tags, 'hot') AND NOT (price > 10)", [True, False, False, False]),
        ("lower(genre) LIKE 'DR%' OR upper (genre) LIKE 'DR%'", [True, False, False, True]),
        ("CASE WHEN (price > 10) THEN TRUE ELSE (genre IN ('crime')) END", [False, True, True, False]),
        ("CAST(price AS VARCHAR(10)) = '5.0'", [True, False, False, False]),
        ("coalesce(price, 1.5) BETWEEN (1) AND (2)", [False, False, True, True]),
    ],
)
def test_conditions_may_call_what_is_harmless(condition: str, expected: list[bool]) -> None:
    assert condition_mask(condition, FEATURES).tolist() == expected


def test_what_may_be_called_is_there() -> None:
    unknown = set()
    own_grammar = {"cast", "char", "decimal", "extract", "numeric", "position", "try_cast", "varchar"}
    for name in FUNCTIONS - own_grammar:
        try:
            pl.sql_expr(f"{name}(price)")
        except pl.exceptions.PolarsError as error:
            unknown |= {name} if "unsupported function" in str(error) else set()
    assert unknown == set()


def test_a_condition_on_items_without_features():
    with pytest.raises(DataError, match="the items have no features"):
        condition_mask("price > 10", pl.DataFrame())


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(row, np.int32) for row in lists]


def test_one_list_is_shared_by_all_queries():
    rows = code_rows(np.array([4, -1], np.int32), 7)
    assert rows.indptr.tolist() == [0, 2]
    assert rows.indices.tolist() == [4, -1]


def test_as_many_lists_as_queries():
    with pytest.raises(ValueError, match="one list for each of the 3 queries, got 2"):
        code_rows(arrays([[1], [2]]), 3)
    assert code_rows([], 0).indptr.tolist() == [0]


@given(st.lists(st.tuples(*[st.lists(st.integers(-1, 50), max_size=4)] * 2), max_size=6))
def test_joined_rows_hold_both(pairs):
    first = code_rows(arrays([a for a, _ in pairs]), len(pairs))
    second = code_rows(arrays([b for _, b in pairs]), len(pairs))
    both = join_rows(first, second)
    got = [both.indices[both.indptr[q] : both.indptr[q + 1]].tolist() for q in range(len(pairs))]
    assert got == [a + b for a, b in pairs]


def test_only_the_same_number_of_rows_can_be_joined():
    with pytest.raises(ValueError, match="as many lists on both sides, got 1 and 2"):
        join_rows(code_rows(arrays([[1]]), 1), code_rows(arrays([[1], [2]]), 2))
