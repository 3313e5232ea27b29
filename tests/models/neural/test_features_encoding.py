"""Encoding: worked numbers, the same bits in any batch and after saving, and errors that name the column."""

import math
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tastemaker.models.bundle
from models.neural.feature_data import BIG, SPEC, Toy, data
from tastemaker.data import Dataset
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.queries import context_of, queries_from_ids
from tastemaker.errors import DataError
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FittedFeatures, fit_features
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Feature,
    FeatureSpec,
    HistoryBag,
    Id,
    Numeric,
    Time,
    Vector,
)

FITTED = fit_features(SPEC, data())


def same(a: Encoded, b: Encoded) -> None:
    """Bit for bit."""
    assert (a.ids.dtype, a.dense.dtype) == (np.int32, np.float32)
    assert a.ids.tobytes() == b.ids.tobytes()
    assert a.dense.tobytes() == b.dense.tobytes()
    for mine, other in zip(a.bags, b.bags, strict=True):
        assert mine.indptr.tolist() == other.indptr.tolist()
        assert mine.ids.tolist() == other.ids.tolist()
        assert (mine.ids.dtype, mine.pooling) == (np.int32, other.pooling)


def of_items(features: FittedFeatures, values: Any, column: str = "x") -> Encoded:
    return features.item(pl.DataFrame({column: values}, strict=False))


def fit_item(feature: Feature, values: list[Any], times: list[int] | None = None) -> FittedFeatures:
    """A feature of items, ``times`` how many interactions each has (one unless given)."""
    n = len(values)
    items = pl.DataFrame({"item": range(n), "x": pl.Series(values, strict=False)})
    what = np.repeat(np.arange(n), times or [1] * n)
    rows = {"user": np.arange(len(what)), "item": what}
    return fit_features(FeatureSpec(item=(feature,)), Dataset.from_interactions(rows, item_features=items))


def test_rows_of_one_table_by_hand() -> None:
    features = FITTED
    starts = {name: (rows.start, len(rows)) for name, rows in features.ranges.items()}
    assert starts == {
        "user.id": (0, 5),
        "user.gender": (5, 3),
        "user.age": (8, 3),
        "user.installed": (11, 4),
        "user.history": (15, 4),
        "item.id": (19, 4),  # no one had "new": it shares row 0 with unknown items
        "item.genres": (23, 4),  # nor does Western have a row
        "item.studio": (27, 4),
        "context.device": (31, 9),
        "context.at.hour": (40, 25),
        "context.at.weekday": (65, 8),
    }
    assert features.n_rows == 73
    user = features.user(data().user_features, np.arange(4), data().by_user)
    assert user.ids.tolist() == [[1, 6, 9], [2, 7, 10], [3, 5, 10], [4, 6, 8]]
    assert [user.bags[0].ids[a:b].tolist() for a, b in pairwise(user.bags[0].indptr)] == [
        [12, 13, 14],
        [12],
        [],
        [13, 14],
    ]
    assert user.bags[1].ids.tolist() == [17, 18, 16, 18, 17, 18, 16, 17]  # the last two of each
    assert (user.bags[0].pooling, user.bags[1].pooling) == ("sum", "mean")
    item = features.item(data().item_features, np.arange(4))
    assert item.ids.tolist() == [[20, 28], [21, 29], [22, 30], [19, 28]]
    assert item.bags[0].ids.tolist() == [24, 26, 24, 25, 23]
    assert item.dense.tolist() == [[0.5, -1], [0.25, 2], [0, 0], [1, 1]]
    assert features.layout("item").dense == ("item.cover[0]", "item.cover[1]")
    assert features.layout("user").bags == ("user.installed", "user.history")


def test_ids_that_floats_would_merge_keep_their_own_rows() -> None:
    ids = [2**24, 2**24 + 1, BIG, BIG + 1, -(2**63), 2**63 - 1]
    features = fit_item(Categorical("x"), ids)
    assert sorted(of_items(features, ids).ids[:, 0].tolist()) == [1, 2, 3, 4, 5, 6]
    assert of_items(features, [BIG + 2, 2**24 + 2, 2**63 - 2]).ids[:, 0].tolist() == [0, 0, 0]
    many = ids * 20  # another way through: above 64 values Polars looks them up
    assert of_items(features, many).ids[:6].tolist() == of_items(features, ids).ids.tolist()
    hashed = fit_item(Categorical("x", buckets=2**30), ids)
    assert len(set(of_items(hashed, ids).ids[:, 0].tolist())) == 6
    catalogue = Catalogue.of(data())
    queries = queries_from_ids(catalogue, users=[BIG + 1, BIG, 2**24 + 1])
    assert FITTED.queries(queries, catalogue)[0].ids[:, 0].tolist() == [2, 1, 4]
    unsigned = pl.Series("x", [2**64 - 1, 2**63, 5], dtype=pl.UInt64)
    assert sorted(of_items(fit_item(Categorical("x"), unsigned.to_list()), unsigned).ids[:, 0]) == [1, 2, 3]


def test_rare_values_share_the_row_of_the_unknown() -> None:
    features = fit_item(Categorical("x", min_count=3), ["a", "b", "a", "c"], times=[1, 3, 2, 2])
    assert of_items(features, ["a", "b", "c", "z", None]).ids[:, 0].tolist() == [1, 2, 0, 0, 0]
    bags = fit_item(Bag("x", min_count=2), [["a", "b", "b"], ["a"], ["c"]])
    found = of_items(bags, [["b", "c", "a"], ["b"], [], None, ["a", "a"]]).bags[0]
    assert (found.indptr.tolist(), found.ids.tolist()) == ([0, 2, 3, 3, 3, 4], [0, 1, 0, 1])


def test_hashing_is_written_down() -> None:
    """Saved models depend on it: SplitMix64 of whole numbers, BLAKE2b of text before it."""
    numbers = fit_item(Categorical("x", buckets=1000), [1])
    state, expected = 0, []  # the published generator: its n-th number is the mix of n steps from the seed 0
    for _ in range(3):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        expected.append((z ^ (z >> 31)) % 1000 + 1)
    seeds = [0, -0x61C8864680B583EB, 2 * 0x9E3779B97F4A7C15 % 2**64]
    signed = [s - 2**64 if s >= 2**63 else s for s in seeds]
    assert of_items(numbers, signed).ids[:, 0].tolist() == expected
    text = fit_item(Categorical("x", buckets=7), ["é"])
    found = of_items(text, ["a", "b", None, "a"]).ids[:, 0]
    assert found[0] == found[3] > 0
    assert found[2] == 0
    assert found.max() <= 7


def test_numbers_are_standardised_over_the_trained_items() -> None:
    features = fit_item(Numeric("x"), [1.0, 3.0, None, 100.0], times=[1, 1, 1, 0])
    assert of_items(features, [1.0, 2.0, None, float("nan"), 4.0]).dense[:, 0].tolist() == [-1, 0, 0, 0, 2]
    logs = fit_item(Numeric("x", "log"), [0.0, math.e**2 - 1])  # log(1 + x): 0 and 2
    assert of_items(logs, [0.0, math.e - 1, -(math.e - 1)]).dense[:, 0] == pytest.approx([-1, 0, -2])
    constant = fit_item(Numeric("x"), [5, 5])
    assert of_items(constant, [5, 6]).dense[:, 0].tolist() == [0, 1]
    nothing = fit_item(Numeric("x"), [None, None])
    assert of_items(nothing, [3.5]).dense[:, 0].tolist() == [3.5]


def test_numbers_in_buckets() -> None:
    features = fit_item(Numeric("x", "buckets", buckets=3), [1, 2, 3, 4, 5, 6])
    assert features.fields[0].numbers == (3.0, 5.0)
    assert of_items(features, [-9, 2.9, 3, 4, 5, 99, None]).ids[:, 0].tolist() == [1, 1, 2, 2, 3, 3, 0]


def test_times_by_hand() -> None:
    spec = FeatureSpec(context=(Time("at"),))
    day = 86_400
    rows = {"user": [1, 2], "item": [1, 1], "at": [0, 3 * day + 3600 * 5]}  # a Thursday; Sunday, 5 o'clock
    features = fit_features(spec, Dataset.from_interactions(rows, timestamp="at"))
    encoded = features.context(pl.DataFrame({"at": [0, 3 * day + 3600 * 5, None]}))
    assert (encoded.ids - [0, 25]).tolist() == [[1, 4], [6, 7], [0, 0]]
    assert encoded.dense[:, 0].tolist() == [1, -1, 0]
    dates = pl.DataFrame({"at": [datetime(1970, 1, 1), datetime(1970, 1, 4, 5), None]})
    same(features.context(dates), encoded)
    zone = dates.with_columns(pl.col("at").dt.replace_time_zone("Asia/Tokyo"))
    assert (features.context(zone).ids == encoded.ids).all()  # as the clocks there show it


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_units_of_time(unit: Any) -> None:
    moments = [datetime(2024, 2, 29, 13), datetime(2031, 7, 1)]
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    numbers = [int(m.timestamp()) * per_second for m in pl.Series(moments).dt.replace_time_zone("UTC")]
    features = fit_item(Time("x", unit=unit), numbers)
    same(of_items(features, numbers), of_items(features, moments))


def test_history_can_be_taken_out() -> None:
    known = data()
    features = fit_features(FeatureSpec(user=(HistoryBag(),)), known)
    users = features.user(None, np.arange(4), known.by_user)
    assert users.bags[0].ids.tolist() == [1, 2, 3, 1, 3, 2, 3, 1, 2]
    examples = users.take(known.user).without(0, features.history_rows(known.item))
    mine = examples.bags[0]
    assert mine.lengths.tolist() == [2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert mine.ids.tolist() == [2, 3, 1, 3, 1, 2, 3, 1, 3, 2, 2, 1]


def test_nothing_known_is_row_0_and_zeros() -> None:
    nobody = FITTED.user(None, np.array([-1, -1]))
    assert nobody.ids.tolist() == [[0, 5, 8]] * 2
    assert [bag.lengths.tolist() for bag in nobody.bags] == [[0, 0]] * 2
    assert nobody.dense.tolist() == [[0, 0]] * 2
    nulls = FITTED.user(data().user_features.clear(2), np.array([-1, -1]))
    same(nulls, nobody)
    typeless = pl.DataFrame({name: [None, None] for name in data().user_features.columns})
    same(FITTED.user(typeless, np.array([-1, -1])), nobody)
    assert FITTED.context(None, 3).ids.tolist() == [[31, 40, 65]] * 3


def test_queries_take_given_features_before_stored_ones() -> None:
    catalogue = Catalogue.of(data())
    row = {"gender": ["m"], "age": [18], "installed": [["shazam"]], "income": [None], "born": [None]}
    given = queries_from_ids(catalogue, features=row)
    stored = queries_from_ids(catalogue, users=[BIG + 1])
    new, known = (FITTED.queries(q, catalogue)[0] for q in (given, stored))
    assert new.ids[0, 1:].tolist() == known.ids[0, 1:].tolist()
    assert (new.ids[0, 0], known.ids[0, 0]) == (0, 2)
    assert new.bags[0].ids.tolist() == known.bags[0].ids.tolist() == [12]
    replaced = queries_from_ids(catalogue, users=[BIG], features=row)
    assert FITTED.queries(replaced, catalogue)[0].ids.tolist() == [[1, 7, 10]]
    unknown = queries_from_ids(catalogue, users=["nobody"])
    assert FITTED.queries(unknown, catalogue)[0].ids.tolist() == [[0, 5, 8]]


def test_a_given_history_leaves_what_is_stored_of_a_user() -> None:
    catalogue = Catalogue.of(data())
    stored, given = (
        FITTED.queries(queries_from_ids(catalogue, users=[BIG + 1], **more), catalogue)[0]
        for more in ({}, {"history": [[]]})
    )
    assert (stored.ids[0, 0], given.ids[0, 0]) == (2, 0)
    assert given.ids[0, 1:].tolist() == stored.ids[0, 1:].tolist()
    assert given.bags[0].ids.tolist() == stored.bags[0].ids.tolist()
    assert given.dense.tolist() == stored.dense.tolist()


VALUES = st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ß"]))
ROWS = st.fixed_dictionaries(
    {
        "c": VALUES,
        "h": VALUES,
        "b": st.one_of(st.none(), st.lists(VALUES, max_size=4)),
        "n": st.one_of(st.none(), st.floats(-1e12, 1e12)),
        "l": st.one_of(st.none(), st.floats(-1e12, 1e12)),
        "k": st.one_of(st.none(), st.integers(-(2**62), 2**62)),
        "v": st.one_of(st.none(), st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=2)),
        "t": st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))),
    }
)
TYPES = {
    "c": pl.String,
    "h": pl.String,
    "b": pl.List(pl.String),
    "n": pl.Float64,
    "l": pl.Float64,
    "k": pl.Int64,
    "v": pl.List(pl.Float32),
    "t": pl.Datetime("us"),
}
EVERYTHING = (
    Id("item"),
    Categorical("c", min_count=2),
    Categorical("h", buckets=5),
    Bag("b"),
    Numeric("n"),
    Numeric("l", "log"),
    Numeric("k", "buckets", buckets=3),
    Vector("v"),
    Time("t"),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=90), st.data())
def test_the_same_bits_in_any_batch_and_after_saving(rows: list[dict[str, Any]], draw: st.DataObject) -> None:
    rows[0]["v"] = [1.0, 2.0]
    table = pl.DataFrame({name: [row[name] for row in rows] for name in TYPES}, schema=TYPES)
    n = len(table)
    items = table.with_columns(pl.Series("item", np.arange(n)))
    known = Dataset.from_interactions({"user": np.arange(n), "item": np.arange(n)}, item_features=items)
    features = fit_features(FeatureSpec(item=EVERYTHING), known)
    whole = features.item(table, np.arange(n))
    some = draw.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n))
    which = np.array(some)
    again = FittedFeatures.from_state(**features.to_state())
    same(features.item(table[some], which), whole.take(which))
    same(again.item(table[some], which), whole.take(which))
    for row in some[:3]:
        same(again.item(table[row : row + 1], np.array([row])), whole.take(np.array([row])))


def test_a_saved_model_computes_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tastemaker.models.bundle, "model_class", lambda name: Toy)
    model = Toy().fit(data())
    model.save(tmp_path / "toy")
    loaded = tastemaker.models.bundle.load(tmp_path / "toy")
    mine, other = model._fitted.state.pipeline, loaded._fitted.state.pipeline
    known = data()
    same(
        other.user(known.user_features, np.arange(4), known.by_user),
        FITTED.user(known.user_features, np.arange(4), known.by_user),
    )
    same(other.item(known.item_features, np.arange(4)), mine.item(known.item_features, np.arange(4)))
    same(other.context(context_of(known)), mine.context(context_of(known)))
    assert [c.learned.tolist() for c in other.crosses] == [c.learned.tolist() for c in FITTED.crosses]
    when = {"device": ["tv"], "at": [datetime(2024, 3, 2, 9)], "battery": [0.5]}
    assert (
        loaded.predict([BIG], ["heat"], context=when).tobytes()
        == model.predict([BIG], ["heat"], context=when).tobytes()
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"gender": ["f"]}, "user features: no column 'age'; there are: 'gender'. Give nulls"),
        ({"gender": [1]}, "feature 'user.gender': the training data have text, but this is whole numbers"),
        ({"gender": [["f"]]}, r"feature 'user.gender': expected text, whole numbers.* got List\(String\)"),
        ({"age": ["old"]}, "feature 'user.age': expected numbers, got String"),
        ({"age": [float("inf")]}, "feature 'user.age': 1 numbers are infinite"),
        (
            {"installed": ["spotify"]},
            "feature 'user.installed': a Bag is of lists, or of text with separator=",
        ),
        ({"installed": [3]}, "feature 'user.installed': a Bag is of lists, got Int64"),
        ({"born": ["1999-01-01"]}, "feature 'user.born': expected dates, or numbers since 1970, got String"),
        ({"born": [1e15]}, "feature 'user.born': times are after the year 9999; is unit='s' right?"),
    ],
)
def test_errors_name_the_column(table: dict[str, Any], message: str) -> None:
    whole = data().user_features[:1]
    wrong = whole.with_columns(**{name: pl.Series(values) for name, values in table.items()})
    with pytest.raises(DataError, match=message):
        FITTED.user(pl.DataFrame(table) if "no column" in message else wrong)


def test_fitting_needs_the_columns() -> None:
    with pytest.raises(DataError, match="user features: no column 'x'; there are: 'gender', 'age'"):
        fit_features(FeatureSpec(user=(Categorical("x"),)), data())
    bare = Dataset.from_interactions({"user": [1], "item": [2]})
    with pytest.raises(DataError, match="item features: no column 'x'; the data have none at all"):
        fit_features(FeatureSpec(item=(Categorical("x"),)), bare)
    with pytest.raises(DataError, match=r"feature 'item\.x': there are no vectors"):
        fit_item(Vector("x"), [None, None])


def test_vectors_of_another_length_are_refused() -> None:
    features = fit_item(Vector("x"), [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(DataError, match="expected vectors of 2 numbers, got one of 3"):
        of_items(features, [[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="some numbers are missing or not finite"):
        of_items(features, [[1.0, None]])
    array = pl.DataFrame({"x": pl.Series([[1.0, 2.0], None], dtype=pl.Array(pl.Float64, 2))})
    assert features.item(array).dense.tolist() == [[1, 2], [0, 0]]


def test_sides_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected one row for each user, got \[2, 4\] of them"):
        FITTED.user(data().user_features, np.array([0, 1]))
