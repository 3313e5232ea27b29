"""Columns of an item table as features: what is inferred, and what each kind becomes."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.errors import DataError
from tastemaker.models.content.features import FeatureKind, feature_block, infer_kinds, quantile_edges

PROSE = "Hundreds of players in debt accept a strange invitation to compete."


def features(
    column: pl.Series, kind: FeatureKind, buckets: int = 3, edges: list[float] | None = None
) -> list[set[str]]:
    """The labels that each row has."""
    block = feature_block(column, kind, buckets=buckets, edges=edges)
    return [{block.labels[j] for j in np.flatnonzero(row)} for row in block.rows.toarray()]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pl.Series([True, False, None]), "flag"),
        (pl.Series([0, 1, 1]), "flag"),
        (pl.Series([0.0, 1.0, None]), "flag"),
        (pl.Series([0, 1, 2], dtype=pl.UInt8), "number"),
        (pl.Series([9.99, 4.5, None]), "number"),
        (pl.Series([date(2021, 9, 17), None]), "number"),
        (pl.Series([["Drama"], [], None], dtype=pl.List(pl.String)), "multi"),
        (pl.Series([[3, 4], [4]]), "multi"),
        (pl.Series(["Drama|War", "Drama"]), "multi"),
        (pl.Series([[0.1, 0.2], None]), "vector"),
        (pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)), "vector"),
        (pl.Series(["Korean", "English", "Korean", "English", None]), "categorical"),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "categorical"),
        (pl.Series(["Squid Game", "The Crown", "Dark"]), "text"),
        (pl.Series([PROSE, PROSE, PROSE]), "text"),
        (pl.Series(["https://a.example/1", "http://a.example/2"]), "ignore"),
        (pl.Series([None, None], dtype=pl.String), "ignore"),
        (pl.Series([{"a": 1}]), "ignore"),
    ],
)
def test_kinds_are_inferred_from_types_and_values(values: pl.Series, kind: str) -> None:
    assert infer_kinds(values.rename("x").to_frame(), {}) == {"x": kind}


def test_the_callers_word_wins() -> None:
    table = pl.DataFrame({"director": ["Hwang", "Morgan", "Hwang"], "year": [2021, 2016, 2022]})
    assert infer_kinds(table, {"director": "text", "year": "ignore"}) == {
        "director": "text",
        "year": "ignore",
    }


def test_categories_lists_and_flags() -> None:
    assert features(pl.Series(["ko", None, "en"]), "categorical") == [{"ko"}, set(), {"en"}]
    lists = pl.Series([["War", "Drama", "War"], [], None, [None, "Drama"]])
    assert features(lists, "multi") == [{"War", "Drama"}, set(), set(), {"Drama"}]
    assert features(pl.Series([True, False, None]), "flag") == [{""}, set(), set()]


@pytest.mark.parametrize("mark", ["|", ";", ", "])
def test_lists_written_as_text(mark: str) -> None:
    column = pl.Series([f"Drama{mark}War", "War", "", None])
    assert features(column, "multi") == [{"Drama", "War"}, {"War"}, set(), set()]


def test_numbers_fall_into_the_given_buckets_low_edge_included() -> None:
    prices = pl.Series([99.0, 100.0, 149.0, 150.0, None, float("nan")])
    expected = [{"below 100"}, {"100 to 150"}, {"100 to 150"}, {"from 150"}, set(), set()]
    assert features(prices, "number", edges=[100, 150]) == expected


def test_dates_count_by_their_year() -> None:
    found = features(pl.Series([date(1999, 12, 31), date(2000, 1, 1)]), "number", edges=[2000])
    assert found == [{"below 2000"}, {"from 2000"}]


def test_one_number_for_all_is_one_bucket() -> None:
    assert features(pl.Series([5, 5, None]), "number") == [{"any"}, {"any"}, set()]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(2, 12))
def test_quantile_buckets_are_never_empty_and_at_most_as_many_as_asked(
    numbers: list[float], buckets: int
) -> None:
    edges = quantile_edges(np.array(numbers), buckets)
    sizes = np.bincount(np.searchsorted(edges, numbers, side="right"), minlength=len(edges) + 1)
    assert len(sizes) <= buckets
    assert (sizes > 0).all()


def test_quantile_buckets_of_distinct_numbers_are_alike_in_size() -> None:
    numbers = np.random.default_rng(0).permutation(1000).astype(float)
    sizes = np.bincount(np.searchsorted(quantile_edges(numbers, 7), numbers, side="right"))
    assert sizes.min() >= 1000 // 7 - 1
    assert sizes.max() <= 1000 // 7 + 2


@given(
    st.lists(st.one_of(st.none(), st.lists(st.sampled_from("abcdef"), max_size=5)), min_size=1, max_size=20)
)
def test_the_product_of_two_rows_is_the_cosine_of_their_sets(lists: list[list[str] | None]) -> None:
    column = pl.Series("x", lists, dtype=pl.List(pl.String))
    rows = feature_block(column, "multi", buckets=2, edges=None).rows.toarray()
    for i, a in enumerate(map(set, (x or [] for x in lists))):
        for j, b in enumerate(map(set, (x or [] for x in lists))):
            expected = len(a & b) / (len(a) * len(b)) ** 0.5 if a and b else 0
            assert rows[i] @ rows[j] == pytest.approx(expected, abs=1e-6)


def test_a_column_that_does_not_suit_its_kind() -> None:
    with pytest.raises(
        DataError, match="'genres' of type String cannot be read as 'number'; in kinds=, name another of"
    ):
        feature_block(pl.Series("genres", ["Drama"]), "number", buckets=3, edges=None)
