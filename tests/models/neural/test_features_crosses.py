"""Crosses against an oracle that goes through all combinations one by one."""

from itertools import combinations, product
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.neural.feature_data import SPEC, data
from tastemaker.data import Dataset
from tastemaker.data.queries import context_of
from tastemaker.errors import DataError
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FittedFeatures, fit_features
from tastemaker.models.neural.specs import Bag, Categorical, Cross, FeatureSpec, Id
from tastemaker.models.neural.wide import CrossScorer


def sides(features: FittedFeatures, known: Dataset) -> tuple[Encoded, Encoded, Encoded]:
    """All users, all items, all contexts."""
    users = features.user(known.user_features, np.arange(known.n_users), known.by_user)
    items = features.item(known.item_features, np.arange(known.n_items))
    return users, items, features.context(context_of(known), len(known))


def test_and_within_a_multi_valued_feature() -> None:
    """AND(installed Spotify, installed Shazam): a weight of its own, the same in either order, for those who have both."""
    people = pl.DataFrame(
        {"user": [1, 2, 3], "apps": [["spotify", "shazam"], ["shazam", "spotify", "waze"], ["waze"]]}
    )
    known = Dataset.from_interactions({"user": [1, 2, 3], "item": ["pandora"] * 3}, user_features=people)
    spec = FeatureSpec(user=(Bag("apps"),), crosses=(Cross("user.apps", "user.apps", min_count=2),))
    features = fit_features(spec, known)
    assert features.n_cross_rows == 1
    apps = [["shazam", "spotify"], ["spotify"], ["waze", "shazam"], ["spotify", "waze", "shazam"], None, []]
    users = features.user(pl.DataFrame({"apps": apps}))
    nothing = features.item(None, np.full(6, -1))
    found = features.cross_ids(users, nothing, features.context(None, 6))
    assert found.lengths.tolist() == [1, 0, 0, 1, 0, 0]


VALUES = st.lists(st.sampled_from("abcde"), max_size=4)
ONE = st.one_of(st.none(), st.sampled_from("xyz"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(VALUES, min_size=3, max_size=3),
    st.lists(ONE, min_size=3, max_size=3),
    st.lists(VALUES, min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), ONE), min_size=1, max_size=12),
    st.integers(1, 2),
)
def test_learned_crosses_equal_the_oracle(
    apps: list[list[str]], gender: list[str], tags: list[list[str]], rows: list[Any], least: int
) -> None:
    known = Dataset.from_interactions(
        {
            "user": [u for u, _, _ in rows],
            "item": [i for _, i, _ in rows],
            "device": pl.Series([d for *_, d in rows], dtype=pl.String),
        },
        context=["device"],
        user_features=pl.DataFrame(
            {"user": [0, 1, 2], "apps": apps, "gender": gender},
            schema_overrides={"gender": pl.String, "apps": pl.List(pl.String)},
        ),
        item_features=pl.DataFrame(
            {"item": [0, 1, 2, 3], "tags": tags}, schema_overrides={"tags": pl.List(pl.String)}
        ),
    )
    cross = Cross("item.tags", "user.apps", "context.device", "user.apps", min_count=least)
    spec = FeatureSpec(
        user=(Bag("apps"), Categorical("gender")),
        item=(Bag("tags"),),
        context=(Categorical("device"),),
        crosses=(cross, Cross("user.gender", "item.tags")),
    )
    features = fit_features(spec, known)
    users, items, contexts = sides(features, known)

    def of_row(j: int) -> set[Any]:
        mine = known.users.decode_list([known.user[j]])[0], known.items.decode_list([known.item[j]])[0]
        device = known.context["device"][j]
        pairs = combinations(sorted(set(apps[mine[0]])), 2)
        return {(a, t, device) for a, t in product(pairs, set(tags[mine[1]])) if device is not None}

    expected = [of_row(j) for j in range(len(known))]
    counts = {c: sum(c in row for row in expected) for row in expected for c in row}
    learned = {c for c, n in counts.items() if n >= least}
    assert features.crosses[0].size == len(learned)
    own = features.crosses[0].ids(users.take(known.user), items.take(known.item), contexts)
    meaning: dict[int, set[Any]] = {}
    for j, row in enumerate(expected):
        ids = own.ids[own.indptr[j] : own.indptr[j + 1]].tolist()
        assert len(ids) == len(set(ids)) == len(row & learned)
        for one in ids:
            meaning[one] = meaning.get(one, row & learned) & row
    assert all(meaning.values())  # what shares a weight shares a combination


@pytest.mark.parametrize("zeros", [False, True])
def test_scores_of_all_items_equal_those_of_pairs(zeros: bool) -> None:
    known = data()
    features = fit_features(SPEC, known)
    users, items, contexts = sides(features, known)
    rng = np.random.default_rng(3)
    weights = rng.normal(size=features.n_cross_rows).astype(np.float32)
    if zeros:
        weights[rng.random(len(weights)) < 0.7] = 0
    queries = users.take(known.user)
    scorer = CrossScorer(features.crosses, weights, items)
    scores = scorer.scores(queries, contexts)
    assert scores.shape == (9, 4)
    q, i = (a.ravel() for a in np.meshgrid(np.arange(9), np.arange(4), indexing="ij"))
    pairs = features.cross_ids(queries.take(q), items.take(i), contexts.take(q))
    sums = np.bincount(pairs.rows(), weights[pairs.ids].astype(np.float64), len(q))
    np.testing.assert_allclose(scores.ravel(), sums, rtol=1e-12, atol=1e-12)
    assert np.abs(sums).sum() > 0
    for row in range(9):
        one = np.array([row])
        alone = scorer.scores(queries.take(one), contexts.take(one))
        assert alone.tobytes() == scores[row].tobytes()


def test_hashed_crosses_do_not_depend_on_the_data() -> None:
    cross = Cross("user.gender", "item.genres", buckets=1000)
    spec = FeatureSpec(user=SPEC.user, item=SPEC.item, crosses=(cross,))
    features = fit_features(spec, data())
    users, items, contexts = sides(features, data())
    found = features.cross_ids(users, items, contexts.take(np.arange(4)))
    assert found.lengths.tolist() == [2, 2, 0, 0]  # no gender; a genre that was not learned
    assert found.ids.max() < 1000
    assert len(set(found.ids.tolist())) == 4


def test_more_combinations_than_numbers_are_refused() -> None:
    names = ("user.id", "user.gender", "user.installed", "context.device", "item.studio")
    spec = FeatureSpec(
        user=(Id("user"), Categorical("gender"), Bag("installed")),
        item=(Categorical("studio", buckets=2**29),),
        context=(Categorical("device", buckets=2**30),),
        crosses=(Cross(*names),),
    )
    with pytest.raises(DataError, match="has 2⁶³ or more possible combinations"):
        fit_features(spec, data())


def test_no_crosses_are_empty_rows() -> None:
    features = fit_features(FeatureSpec(user=(Id("user"),)), data())
    users, items, contexts = sides(features, data())
    nine = np.zeros(9, np.int64)
    found = features.cross_ids(users.take(nine), items.take(nine), contexts)
    assert (found.lengths.tolist(), features.n_cross_rows) == ([0] * 9, 0)
    assert CrossScorer((), np.empty(0, np.float32), items).scores(users, contexts).tolist() == [[0.0] * 4] * 4
