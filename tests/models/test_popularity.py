"""Popularity by hand."""

from typing import Any

import numpy as np
import pytest

from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.models.popularity import Popularity

DAY = 86_400


def ratings(**options: object) -> Dataset:
    """a: 5, 4, 3 of weights 1, 2, 1; b: one 5; c: in the item table only."""
    table = {
        "user": ["u1", "u2", "u3", "u1"],
        "item": ["a", "a", "a", "b"],
        "stars": [5.0, 4.0, 3.0, 5.0],
        "weight": [1.0, 2.0, 1.0, 1.0],
        "time": [0, 20 * DAY, 10 * DAY, 30 * DAY],
    }
    features = {"item": ["a", "b", "c"], "genre": ["x", "y", "x"]}
    return Dataset.from_interactions(table, item_features=features, **options)


FULL = {"rating": "stars", "weight": "weight", "timestamp": "time"}


def scores(model: Popularity, data: Dataset) -> list[float]:
    return model.fit(data).predict(["u1"] * 3, ["a", "b", "c"]).tolist()


def test_count_sums_the_weights_and_an_item_nobody_took_counts_0() -> None:
    assert scores(Popularity(), ratings()) == [3, 1, 0]
    assert scores(Popularity(), ratings(**FULL)) == [4, 1, 0]


def test_bayesian_mean_by_hand() -> None:
    """Σ w r = 16 for a and 5 for b, so m = 21/5; two items have ratings, so C = 5/2."""
    expected = [(2.5 * 4.2 + 16) / 6.5, (2.5 * 4.2 + 5) / 3.5, 4.2]
    assert scores(Popularity(by="bayesian"), ratings(**FULL)) == pytest.approx(expected)


def test_bayesian_mean_of_given_strength() -> None:
    """Without a prior it is the plain weighted mean; with an overwhelming one everything is average."""
    plain = scores(Popularity(by="bayesian", prior_strength=0), ratings(**FULL))
    assert plain == pytest.approx([4, 5, 4.2])
    drawn = scores(Popularity(by="bayesian", prior_strength=1e9), ratings(**FULL))
    assert drawn == pytest.approx([4.2] * 3)


def test_one_enthusiast_does_not_make_a_best_seller() -> None:
    table = {
        "user": [f"u{i}" for i in range(30)] + ["u0", "u1"],
        "item": ["loved"] * 30 + ["obscure", "hated"],
        "stars": [5.0] * 28 + [4.0] * 2 + [5.0, 1.0],
    }
    data = Dataset.from_interactions(table, rating="stars")
    found = Popularity(by="bayesian").fit(data).recommend(users=["new"], k=3)
    assert found.lists() == [["loved", "obscure", "hated"]]


def test_trending_halves_with_every_half_life_before_the_newest() -> None:
    """Ages in days: a 30, 10 (weight 2), 20; b 0."""
    expected = [2**-3 + 2 * 2**-1 + 2**-2, 1, 0]
    assert scores(Popularity(by="trending", half_life_days=10), ratings(**FULL)) == pytest.approx(expected)


def test_a_new_trend_overtakes_an_old_favourite() -> None:
    data = ratings(**FULL)
    first = {
        half_life: Popularity(by="trending", half_life_days=half_life)
        .fit(data)
        .recommend(users=["new"], k=1)
        .lists()
        for half_life in (1, 1000)
    }
    assert first == {1: [["b"]], 1000: [["a"]]}


def test_everybody_gets_the_same_but_for_what_they_have_seen() -> None:
    found = Popularity().fit(ratings()).recommend(users=["new", "u2"], history=[["c"], []], k=3)
    assert found.lists() == [["a", "b"], ["b", "c"]]
    assert list(found.sources) == ["popularity", "popularity"]


@pytest.mark.parametrize(("by", "kind"), [("count", "count"), ("bayesian", "rating"), ("trending", "score")])
def test_says_what_its_score_is(by: str, kind: str) -> None:
    assert Popularity(by=by).score_kind == kind


def test_missing_columns_and_wrong_parameters() -> None:
    with pytest.raises(DataError, match="needs ratings; name the column in rating="):
        Popularity(by="bayesian").fit(ratings())
    with pytest.raises(DataError, match="needs times; name the column in timestamp="):
        Popularity(by="trending").fit(ratings(rating="stars"))
    with pytest.raises(ValueError, match=r"by must be one of 'count', 'bayesian', 'trending', got 'fame'"):
        Popularity(by="fame")
    with pytest.raises(ValueError, match="half_life_days must be a number above 0"):
        Popularity(half_life_days=0)
    with pytest.raises(ValueError, match="prior_strength"):
        Popularity(prior_strength=-1)


def test_scores_are_finite_whatever_the_weights() -> None:
    table = {"user": ["u", "v"], "item": ["a", "b"], "stars": [1.0, 5.0], "weight": [1.0, 1e-30]}
    data = Dataset.from_interactions(table, rating="stars", weight="weight")
    model = Popularity(by="bayesian", prior_strength=0).fit(data)
    assert np.isfinite(model.predict(["u", "u"], ["a", "b"])).all()


@pytest.mark.parametrize("by", ["count", "trending"])
def test_nothing_seen_yet_counts_0(by: Any) -> None:
    table = {"user": ["u", "v"], "item": ["a", "b"], "at": [1, 2]}
    data = Dataset.from_interactions(table, timestamp="at")
    model = Popularity(by=by).fit(data.select(np.zeros(2, np.bool_)))
    assert model.predict(["u", "u"], ["a", "b"]).tolist() == [0, 0]
    assert model.update(data).predict(["u", "u"], ["a", "b"])[1] == 1
