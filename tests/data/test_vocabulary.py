"""Ids of any type to codes and back, however many are asked for at once."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.data import Vocabulary
from tastemaker.data.vocabulary import id_series
from tastemaker.errors import DataError

NOON = datetime(2024, 1, 2, 12)
ids = st.one_of(
    st.lists(st.text(), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.uuids(), min_size=1),
    st.lists(st.dates(), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), min_size=1),
)


@given(ids)
def test_codes_are_a_bijection_in_order_of_first_appearance(values: list[Any]) -> None:
    vocabulary = Vocabulary.from_values(values)
    distinct = list(dict.fromkeys(values))
    codes = vocabulary.encode(values)
    assert codes.dtype == np.int32
    assert codes.tolist() == [distinct.index(v) for v in values]
    assert vocabulary.decode_list(codes) == values
    assert vocabulary.encode(distinct).tolist() == list(range(len(vocabulary)))


VOCABULARIES = {
    "text": Vocabulary.from_values(["a", "7"]),
    "integer": Vocabulary.from_values([7, 1, 2**53 + 1]),
    "unsigned": Vocabulary.from_values(pl.Series([7, 2**63 + 1], dtype=pl.UInt64)),
    "uuid": Vocabulary.from_values([UUID(int=7)]),
    "boolean": Vocabulary.from_values([True, False]),
    "date": Vocabulary.from_values([NOON.date()]),
    "microseconds": Vocabulary.from_values([NOON]),
    "nanoseconds": Vocabulary.from_values(pl.Series([NOON], dtype=pl.Datetime("ns"))),
    "zoned": Vocabulary.from_values([NOON.replace(tzinfo=UTC)]),
    "category": Vocabulary.from_values(pl.Series(["a", "7"], dtype=pl.Categorical)),
}
asked = st.sampled_from(
    [
        "a",
        "7",
        "",
        7,
        7.0,
        7.5,
        1,
        0,
        True,
        False,
        2**53,
        2**53 + 1,
        2**63 + 1,
        None,
        float("nan"),
        UUID(int=7),
        NOON,
        NOON.date(),
        NOON.replace(tzinfo=UTC),
        date(2024, 1, 3),
        np.int32(7),
        np.str_("a"),
        np.bool_(True),
        pd.NA,
        [7],
    ]
)


@pytest.mark.parametrize("vocabulary", VOCABULARIES.values(), ids=VOCABULARIES)
@settings(max_examples=60, deadline=None)
@given(values=st.one_of(st.lists(asked, min_size=1, max_size=4), asked.map(lambda v: [v])))
def test_many_ids_are_found_as_few_are(vocabulary: Vocabulary, values: list[Any]) -> None:
    few = vocabulary.encode(values).tolist()
    assert vocabulary.encode(values * 80).tolist() == few * 80


@pytest.mark.parametrize(
    ("kind", "known", "unknown"),
    [
        ("text", ["a", np.str_("7")], [7, None, "b", UUID(int=7)]),
        ("integer", [7, np.uint8(7), 7.0], ["7", True, 7.5, None, pd.NA, float("nan"), 2**53]),
        ("unsigned", [7, 2**63 + 1], [-7, "7"]),
        ("uuid", [UUID(int=7), str(UUID(int=7))], [UUID(int=8), 7]),
        ("boolean", [True, np.bool_(False)], [1, 0, "True"]),
        ("date", [NOON.date()], [NOON, "2024-01-02"]),
        ("nanoseconds", [NOON, pd.Timestamp(NOON)], [NOON.replace(tzinfo=UTC), NOON.date()]),
    ],
)
def test_what_is_known(kind: str, known: list[Any], unknown: list[Any]) -> None:
    vocabulary = VOCABULARIES[kind]
    for repeat in (1, 80):
        for value in known:
            assert set(vocabulary.encode([value] * repeat).tolist()) <= set(range(len(vocabulary))), value
        for value in unknown:
            assert set(vocabulary.encode([value] * repeat).tolist()) == {-1}, value


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint16, np.int64, np.uint64])
def test_integers_of_any_width_are_one_type(dtype: Any) -> None:
    vocabulary = Vocabulary.from_values(pl.Series([5, 6]), pl.Series(np.array([6, 9], dtype)))
    assert vocabulary.ids.to_list() == [5, 6, 9]
    assert vocabulary.encode(np.array([9, 5, 1], dtype)).tolist() == [2, 0, -1]


def test_nothing_in_nothing_out() -> None:
    vocabulary = Vocabulary.from_values(["a"])
    assert vocabulary.encode([]).tolist() == []
    assert vocabulary.decode_list([]) == []
    assert vocabulary.decode_list([-1, 0]) == [None, "a"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("inf")], "column 'who': ids must be whole numbers or text, got inf"),
        ([1e300], r"column 'who': ids must be whole numbers or text, got 1e\+300"),
        ([1.5], r"column 'who': ids must be whole numbers or text, got 1.5"),
        ([b"raw"], "column 'who': ids must be text, integers, UUIDs or dates, got Binary"),
        (["a", 1], "column 'who': ids must be of one type"),
        ([UUID(int=1), 1.5], "column 'who': ids must be of one type; got UUID, float|column 'who'"),
        ([1, True], "column 'who': ids must be of one type.*got bool, int"),
        ([[1]], "column 'who': ids must be text, integers, UUIDs or dates"),
    ],
)
def test_what_is_no_id(values: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        id_series(values, "who")


def test_whole_floats_are_integers_and_nan_is_missing() -> None:
    assert id_series(np.array([1.0, np.nan])).to_list() == [1, None]


def test_integers_too_large_to_share_a_type_are_refused() -> None:
    with pytest.raises(DataError, match=r"column 'who': .* different tables"):
        Vocabulary.from_values(pl.Series([2**63 + 1], dtype=pl.UInt64), pl.Series([1]), column="who")


@given(st.lists(st.text()), st.lists(st.text()))
def test_extending_is_like_starting_with_all(old: list[str], new: list[str]) -> None:
    known, more = (Vocabulary.from_values(pl.Series(v, dtype=pl.String)) for v in (old, new))
    larger, codes = known.extended(more)
    assert larger.ids.to_list() == list(dict.fromkeys(old + new))
    assert larger.decode_list(codes) == more.ids.to_list()
    assert known.ids.to_list() == list(dict.fromkeys(old))


def test_extending_keeps_what_ids_are() -> None:
    known = Vocabulary.from_values([UUID(int=1)])
    larger, _ = known.extended(Vocabulary.from_values([UUID(int=2)]))
    assert larger.decode_list([1]) == [UUID(int=2)]
    assert known.extended(known)[0] is known
    narrow = Vocabulary.from_values(pl.Series([1, 2], dtype=pl.Int8))
    larger, codes = narrow.extended(Vocabulary.from_values([1000, 2]))
    assert (larger.ids.to_list(), codes.tolist()) == ([1, 2, 1000], [2, 1])
    with pytest.raises(DataError, match=r"column 'who': ids are Int8 and String in different tables"):
        narrow.extended(Vocabulary.from_values(["a"]), "who")


def test_uuids_and_their_text_are_one_type_and_other_text_is_not() -> None:
    known = Vocabulary.from_values([UUID(int=1)])
    larger, _ = known.extended(Vocabulary.from_values([str(UUID(int=2))]))
    assert larger.decode_list([0, 1]) == [UUID(int=1), UUID(int=2)]
    for odd in ("bob", str(UUID(int=0xAB)).upper()):  # the latter would be another id on its way out
        with pytest.raises(DataError, match=f"column 'who': ids are UUIDs and other text, e.g. '{odd}'"):
            known.extended(Vocabulary.from_values([odd]), "who")
        with pytest.raises(DataError, match="column 'who': ids are UUIDs and other text"):
            Vocabulary.from_values([UUID(int=1)], [odd], column="who")
