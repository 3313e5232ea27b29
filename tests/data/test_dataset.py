"""Any table in; the caller's own ids and column names; one clear error for what cannot be used."""

import sqlite3
from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.table import COLUMNS, NAMES, rows
from tastemaker.data import Dataset, build, duplicates
from tastemaker.errors import DataError

EXPECTED = list(zip(*COLUMNS.values(), strict=True))


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    pl.DataFrame(COLUMNS).write_csv(path)
    return path


def relation() -> object:
    frame = pl.DataFrame(COLUMNS)
    return duckdb.sql("select * from frame") if frame.height else None


@pytest.mark.parametrize(
    "source",
    [COLUMNS, pl.DataFrame(COLUMNS), pl.LazyFrame(COLUMNS), pd.DataFrame(COLUMNS), pa.table(COLUMNS)],
    ids=["mapping", "polars", "lazy", "pandas", "arrow"],
)
def test_any_dataframe(source: object) -> None:
    assert rows(Dataset.from_interactions(source, **NAMES)) == EXPECTED


def test_duckdb_relation() -> None:
    assert rows(Dataset.from_interactions(relation(), **NAMES)) == EXPECTED


def test_csv_tsv_parquet_and_odd_separators(csv: Path, tmp_path: Path) -> None:
    frame = pl.DataFrame(COLUMNS)
    frame.write_csv(tmp_path / "r.tsv", separator="\t")
    frame.write_parquet(tmp_path / "r.parquet")
    frame.write_csv(tmp_path / "semi.csv", separator=";")
    (tmp_path / "r.dat").write_text("".join("::".join(map(str, row)) + "\n" for row in EXPECTED))
    for path, options in (
        (csv, {}),
        (str(csv), {}),
        (tmp_path / "r.tsv", {}),
        (tmp_path / "r.parquet", {}),
        (tmp_path / "semi.csv", {"separator": ";"}),
        (tmp_path / "r.dat", {"separator": "::", "columns": list(COLUMNS)}),
    ):
        assert rows(Dataset.from_interactions(path, **NAMES, **options)) == EXPECTED


def test_sql_query(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute("create table r (customer text, product integer, stars real, 'when' integer)")
    connection.executemany("insert into r values (?, ?, ?, ?)", EXPECTED)
    connection.commit()
    for source in (connection, f"sqlite:///{tmp_path / 'shop.db'}"):
        assert rows(Dataset.from_interactions("select * from r", connection=source, **NAMES)) == EXPECTED
    with pytest.raises(DataError, match="the query failed"):
        Dataset.from_interactions("select * from nothing", connection=connection, **NAMES)


def test_ids_keep_their_type() -> None:
    uuids = [uuid4() for _ in range(3)]
    for ids in (uuids, ["a", "b", "c"], [7, 8, 9], [datetime(2024, 1, d) for d in (1, 2, 3)]):
        data = Dataset.from_interactions({"user": ids, "item": [1, 2, 3]})
        assert data.users.decode_list(data.user) == ids
        assert data.users.encode(ids).tolist() == [0, 1, 2]
    frame = pd.DataFrame({"user": uuids, "item": [1, 2, 3]})
    assert Dataset.from_interactions(frame).users.decode_list([0, 1, 2]) == uuids


def test_text_ids_in_files_keep_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("user,item\n007,1\n7,2\n")
    data = Dataset.from_interactions(path)
    assert data.users.decode_list([0, 1]) == ["007", "7"]
    assert data.items.decode_list([0, 1]) == [1, 2]


def test_large_integer_ids_stay_apart() -> None:
    data = Dataset.from_interactions({"user": [2**53, 2**53 + 1], "item": [2**24, 2**24 + 1]})
    assert data.n_users == data.n_items == 2


def test_features_are_aligned_and_bring_cold_items() -> None:
    films = pd.DataFrame({"product": [30, 99, 10], "genre": ["noir", "sci-fi", "drama"]})
    data = Dataset.from_interactions(COLUMNS, **NAMES, item_features=films)
    assert data.items.decode_list(range(4)) == [10, 20, 30, 99]
    assert data.item_features["genre"].to_list() == ["drama", None, "noir", "sci-fi"]
    assert data.user_features.width == 0


@pytest.mark.parametrize(
    ("rule", "value"), [("last", 1.0), ("auto", 1.0), ("sum", 9.0), ("max", 5.0), ("mean", 3.0)]
)
def test_duplicate_ratings(rule: str, value: float) -> None:
    table = {"user": ["a"] * 4, "item": [1, 2, 1, 1], "r": [5, 2, 1, 3], "t": [0, 0, 9, 5]}
    data = Dataset.from_interactions(table, rating="r", timestamp="t", duplicates=rule)
    assert dict(zip(data.items.decode_list(data.item), data.value, strict=True)) == {1: value, 2: 2.0}


def test_summed_ratings_outgrow_the_scale_of_single_ones() -> None:
    table = {"user": ["a", "a", "b"], "item": [1, 1, 1], "r": [5, 1, 2]}
    assert Dataset.from_interactions(table, rating="r", duplicates="sum").schema.scale == (2, 6)
    assert Dataset.from_interactions(table, rating="r", duplicates="last").schema.scale == (1, 5)
    with pytest.raises(DataError, match=r"sums of ratings go from 2 to 6, outside the declared scale 1–5"):
        Dataset.from_interactions(table, rating="r", scale=(1, 5), duplicates="sum")


def test_duplicate_clicks_add_up_and_can_be_refused() -> None:
    table = {"user": ["a", "a", "b"], "item": [1, 1, 1]}
    assert Dataset.from_interactions(table).weight.tolist() == [2, 1]
    with pytest.raises(DataError, match=r"1 interactions repeat a user and item; the first is row 2: 'a', 1"):
        Dataset.from_interactions(table, duplicates="error")


def test_histories_are_oldest_first_and_stable() -> None:
    table = {"user": ["a"] * 4, "item": [1, 2, 3, 4], "t": [5, 3, 3, 1]}
    data = Dataset.from_interactions(table, timestamp="t")
    assert data.items.decode_list(data.by_user.indices) == [4, 2, 3, 1]
    assert data.by_item.indices.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_become_microseconds(unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    data = Dataset.from_interactions(
        {"user": [1], "item": [1], "t": [978300760 * per_second]}, timestamp="t", timestamp_unit=unit
    )
    assert data.timestamp[0] == 978300760_000_000
    dated = Dataset.from_interactions({"user": [1], "item": [1], "t": ["2000-12-31T22:12:40"]}, timestamp="t")
    assert dated.timestamp[0] == 978300760_000_000


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.float64])
def test_times_of_any_width(dtype: type) -> None:
    data = Dataset.from_interactions(
        {"user": [1], "item": [1], "t": np.array([978300760], dtype)}, timestamp="t"
    )
    assert data.timestamp[0] == 978300760_000_000


@pytest.mark.parametrize(
    "text", ["2000-12-31T22:12:40Z", "2000-12-31T23:12:40+01:00", "2000-12-31 22:12:40", "978300760"]
)
def test_times_in_text(text: str) -> None:
    data = Dataset.from_interactions({"user": [1], "item": [1], "t": [text]}, timestamp="t")
    assert data.timestamp[0] == 978300760_000_000


def test_times_with_a_zone_are_moments() -> None:
    when = pl.Series([datetime(2000, 12, 31, 23, 12, 40)]).dt.replace_time_zone("Europe/Amsterdam")
    data = Dataset.from_interactions({"user": [1], "item": [1], "t": when}, timestamp="t")
    assert data.timestamp[0] == 978300760_000_000


@pytest.mark.parametrize(
    ("time", "message"),
    [
        (978300760 * 10**9, r"column 't': 1 times are .*timestamp_unit='s'.*row 1"),
        (1e300, r"column 't': 1 times are .*timestamp_unit='s'.*row 1"),
        (time(3), "column 't': expected times, got Time"),
        (timedelta(3), "column 't': expected times, got Duration"),
    ],
)
def test_what_is_no_time(time: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_interactions({"user": [1], "item": [1], "t": [time]}, timestamp="t")


def test_columns_cannot_be_written() -> None:
    data = Dataset.from_interactions(COLUMNS, **NAMES)
    with pytest.raises(ValueError, match="read-only"):
        data.value[0] = 1
    part = data.select(data.value > 3)
    assert len(part) == 2
    assert part.n_users == data.n_users


def test_matrix_is_the_rating_matrix() -> None:
    data = Dataset.from_interactions(COLUMNS, **NAMES)
    assert data.matrix().toarray().tolist() == [[5, 4, 0], [3, 0, 0], [0, 0, 1]]
    assert data.implicit().matrix().toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_long_columns_are_encoded_in_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    table = {"user": rng.integers(0, 30, 500), "item": rng.permutation(500).astype(str)}
    pl.DataFrame(table).write_parquet(tmp_path / "long.parquet", row_group_size=90)
    films = {"item": ["7", "new"], "year": [1999, 2001]}
    whole = Dataset.from_interactions(table, item_features=films)
    for module in (build, duplicates):
        monkeypatch.setattr(module, "_AT_ONCE", 64)
    parts = Dataset.from_interactions(tmp_path / "long.parquet", item_features=films)
    assert parts.fingerprint == whole.fingerprint
    assert parts.item_features.equals(whole.item_features)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_path_is_one_file_whatever_is_in_its_name(tmp_path: Path, kind: str) -> None:
    for number, name in enumerate(("sales[1]", "sales1", "s*", "sales")):
        table = pl.DataFrame({"user": [number], "item": [1]})
        (table.write_csv if kind == "csv" else table.write_parquet)(tmp_path / f"{name}.{kind}")
    for number, name in enumerate(("sales[1]", "sales1", "s*", "sales")):
        data = Dataset.from_interactions(tmp_path / f"{name}.{kind}")
        assert data.users.ids.to_list() == [number]


def test_only_the_columns_asked_for_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pl.DataFrame(COLUMNS | {"note": ["x"] * 4}).write_parquet(tmp_path / "r.parquet")
    read: list[str] = []
    inner = pl.read_parquet
    monkeypatch.setattr(
        pl,
        "read_parquet",
        lambda path, columns, **o: read.extend(columns) or inner(path, columns=columns, **o),
    )
    assert rows(Dataset.from_interactions(tmp_path / "r.parquet", **NAMES)) == EXPECTED
    assert set(read) == set(COLUMNS)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(1, 5)), min_size=1
    ),
    st.sampled_from(["last", "sum", "max", "mean"]),
)
def test_duplicates_as_a_dictionary_would_merge_them(table: list[tuple[int, ...]], rule: str) -> None:
    columns = dict(zip(("user", "item", "t", "r"), map(list, zip(*table, strict=True)), strict=True))
    data = Dataset.from_interactions(columns, rating="r", timestamp="t", duplicates=rule)
    groups: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(range(len(table)), key=lambda row: table[row][2]):
        groups.setdefault(table[row][:2], []).append(row)
    put = {"last": lambda r: r[-1], "sum": sum, "max": max, "mean": lambda r: sum(r) / len(r)}[rule]
    merged = sorted((g[-1], *pair, put([table[row][3] for row in g])) for pair, g in groups.items())
    expected = [(user, item, np.float32(value)) for _, user, item, value in merged]
    assert [row[:3] for row in rows(data)] == expected


def bad(**changes: object) -> dict[str, object]:
    return COLUMNS | changes


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (bad(), {"user": "client"}, r"no column 'client'; there are: 'customer', 'product', 'stars', 'when'"),
        (
            bad(customer=["ann", None, "ann", None]),
            {},
            r"column 'customer': 2 ids are missing; row 2: None, row 4",
        ),
        (bad(product=np.array([1, np.nan, 2, 3])), {}, r"column 'product': 1 ids are missing; row 2: nan"),
        (
            bad(customer=[b"ann", b"bob", b"cid", b"dan"]),
            {},
            r"ids must be text, integers, UUIDs or dates, got Binary",
        ),
        (
            bad(stars=[5, float("nan"), 1, 2]),
            {},
            r"column 'stars': 1 values are missing, NaN or infinite; row 2",
        ),
        (
            bad(stars=[5, float("inf"), 1, 2]),
            {},
            r"column 'stars': 1 values are missing, NaN or infinite; row 2",
        ),
        (bad(stars=["5", "four", "1", "2"]), {}, r"column 'stars': 1 values are not numbers; row 2: 'four'"),
        (bad(), {"scale": (1, 4)}, r"column 'stars': 1 ratings are outside the declared scale 1–4; row 1: 5"),
        (bad(), {"scale": (5, 1)}, r"low end must be below its high end"),
        (bad(when=["now", "then", "1", "2"]), {}, r"column 'when': 4 times are missing or unreadable"),
        (
            bad(),
            {"weight": "stars", "duplicates": "best"},
            r"expected auto, first, last, sum, max, mean or error, got 'best'",
        ),
        ({k: [] for k in COLUMNS}, {}, r"there are no rows"),
        (bad(product=[1.5, 2, 3, 4]), {}, r"column 'product': ids must be whole numbers or text, got 1.5"),
        (bad(product=[[1], [2], [3], [4]]), {}, r"ids must be text, integers, UUIDs or dates"),
        (bad(weight=[1, -1, 1, 1]), {"weight": "weight"}, r"column 'weight': 1 weights are negative; row 2"),
        (42, {}, r"expected a dataframe, a mapping of columns, a file path or a SQL query"),
    ],
)
def test_bad_input_is_one_clear_error(source: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Dataset.from_interactions(source, **{**NAMES, **options})


def test_bad_files_are_one_clear_error(csv: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "semi.csv").write_text(csv.read_text().replace(",", ";"))
    (tmp_path / "fake.parquet").write_text("not parquet")
    (tmp_path / "ragged.csv").write_text("customer,product,stars,when\na,1,5,3\nb,2,4,1,1\n")
    (tmp_path / "latin.csv").write_bytes("customer,product,stars,when\nAndré,1,5,3\n".encode("latin-1"))
    for path, message in (
        (tmp_path / "no.csv", "no such file"),
        (tmp_path / "empty.csv", "is empty"),
        (tmp_path / "semi.csv", "is the separator ';'"),
        (tmp_path / "fake.parquet", "not a readable Parquet file"),
        (tmp_path / "ragged.csv", "line 3 has 5 fields and the first line 4; is ',' the separator"),
        (tmp_path / "latin.csv", "line 2 is not UTF-8 text .byte 0xe9.; save the file as UTF-8"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(DataError, match=message):
            Dataset.from_interactions(path, **NAMES)


def test_feature_tables_are_checked() -> None:
    for table, message in (
        ({"product": [10, 10], "genre": ["a", "b"]}, "1 ids appear more than once; row 2: 10"),
        ({"id": [10], "genre": ["a"]}, "no column 'product'"),
        ({"product": np.array([10, np.nan]), "genre": ["a", "b"]}, "1 ids are missing; row 2: nan"),
        ({"product": ["10"], "genre": ["a"]}, "ids are .* in different tables"),
    ):
        with pytest.raises(DataError, match=message):
            Dataset.from_interactions(COLUMNS, **NAMES, item_features=table)
