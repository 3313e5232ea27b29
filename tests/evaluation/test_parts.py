"""The parts of an evaluation against brute force: areas, pooling, candidates, vectors, protocols, tables."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from evaluation.known import tiny
from tastemaker.data import Dataset, History
from tastemaker.data.splits import leave_last_out
from tastemaker.errors import DataError
from tastemaker.evaluation import make_splits
from tastemaker.evaluation.area import area_curve, miss_rates
from tastemaker.evaluation.plan import Plan
from tastemaker.evaluation.pool import pool
from tastemaker.evaluation.tables import lay_out
from tastemaker.evaluation.trial import Trial
from tastemaker.evaluation.vectors import item_vectors
from tastemaker.metrics import RelevantItems, confidence_interval
from tastemaker.metrics.measurement import mean_over_users, ratio_over_users


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), levels=st.integers(1, 6))
def test_catalogue_area_is_that_of_sklearn(seed: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    q, n = 4, 12
    scores = random.integers(0, levels, (q, n)).astype(np.float32)
    scores[random.random((q, n)) < 0.2] = np.nan
    kind = random.choice(3, (q, n), p=[0.6, 0.2, 0.2])  # 0 other, 1 seen, 2 relevant
    seen = History.of_lengths((kind == 1).sum(axis=1), np.nonzero(kind == 1)[1].astype(np.int32))
    relevant = RelevantItems.from_pairs(*np.nonzero(kind == 2), q)
    before = scores.copy()
    misses = miss_rates(scores, seen, relevant)
    assert np.array_equal(scores, before, equal_nan=True)
    areas = []
    for u in range(q):
        mine = 1 - misses[relevant.indptr[u] : relevant.indptr[u + 1]]
        use = kind[u] != 1
        if {0, 2} <= set(kind[u]):
            known = np.where(np.isnan(scores[u]), -1, scores[u])
            areas.append(roc_auc_score(kind[u][use] == 2, known[use]))
            assert mine.mean() == pytest.approx(areas[-1])
    if areas and all({0, 2} <= set(row) for row in kind):
        assert area_curve(misses, relevant).area == pytest.approx(np.mean(areas))


def test_one_fold_is_left_as_it_is() -> None:
    measured = mean_over_users(np.array([1.0, np.nan]))
    assert pool([np.array([0, 1], np.int32)], [measured])[1] is measured


def test_the_same_fold_twice_is_as_sure_as_once() -> None:
    users, random = np.arange(40, dtype=np.int32), np.random.default_rng(3)
    sums, counts = random.random(40), random.integers(1, 5, 40).astype(float)
    for measured in (mean_over_users(sums), ratio_over_users(sums, counts, "sqrt")):
        _, twice = pool([users, users], [measured, measured])
        one, two = confidence_interval(measured), confidence_interval(twice)
        assert twice.value == pytest.approx(measured.value)
        assert (two.low, two.high) == pytest.approx((one.low, one.high))


def test_folds_of_different_users_are_pooled_like_one_sample() -> None:
    values = np.random.default_rng(4).random(60)
    everyone = np.arange(60, dtype=np.int32)
    halves = [everyone[:30], everyone[30:]]
    _, pooled = pool(halves, [mean_over_users(values[half]) for half in halves])
    assert pooled.value == pytest.approx(values.mean())
    assert pooled.per_user == pytest.approx(values)
    # the same standard error but for the spread between the two means, which is not error
    within = np.concatenate([values[half] - values[half].mean() for half in halves])
    assert pooled.influence == pytest.approx(within)


def test_a_fold_without_a_value_is_left_out() -> None:
    users = [np.array([0], np.int32), np.array([1], np.int32)]
    everyone, pooled = pool(users, [mean_over_users(np.array([np.nan])), mean_over_users(np.array([0.5]))])
    assert everyone.tolist() == [0, 1]
    assert pooled.value == 0.5
    assert pooled.n_users == 1


def test_drawn_candidates_were_never_had() -> None:
    random = np.random.default_rng(6)
    user, item = np.nonzero(random.random((25, 40)) < 0.3)
    split = leave_last_out(Dataset.from_interactions({"user": user, "item": item}), n=2)
    trial = Trial(split, Plan.of(split.train.schema, metrics="ndcg", sampled=7, seed=3))
    rows = trial.candidates
    assert rows is not None
    for q, code in enumerate(trial.users):
        mine = set(rows.indices[rows.indptr[q] : rows.indptr[q + 1]].tolist())
        held_out = set(split.test.item[split.test.user == code].tolist())
        assert held_out < mine
        assert len(mine) == 7 + 2
        assert (mine - held_out).isdisjoint(split.train.item[split.train.user == code].tolist())


def test_candidates_stop_where_the_catalogue_does() -> None:
    split = tiny(explicit=False)
    rows = Trial(split, Plan.of(split.train.schema, metrics="ndcg", sampled=50)).candidates
    assert rows is not None
    assert np.diff(rows.indptr).tolist() == [3, 3, 2]


def test_a_trial_leaves_no_caches_with_the_split() -> None:
    split = tiny()
    trial = Trial.of(split, Plan.of(split.train.schema, metrics="ndcg"))
    assert len(trial.seen) == 3
    assert "by_user" in vars(trial.split.train)
    assert "by_user" not in vars(split.train)


def test_vectors_come_from_features_that_have_values_in_common() -> None:
    films = pl.DataFrame(
        {
            "item": ["a", "b", "c", "d"],
            "title": ["The Long Way", "Home Again", "Far From Here", "Nowhere"],
            "genre": ["drama", "drama", "crime", "crime"],
            "cast": [["x"], ["x", "y"], [], ["y"]],
            "price": [1.5, 2.5, 3.5, 9.5],
        }
    )
    data = Dataset.from_interactions({"user": [1, 1], "item": ["a", "b"]}, item_features=films)
    vectors, source = item_vectors(data)
    assert source == "genre, cast"
    cosines = (vectors @ vectors.T).toarray()
    assert cosines[0, 1] == pytest.approx(1 + 1 / np.sqrt(2))
    assert cosines[0, 2] == 0


def test_vectors_of_many_users_are_drawn_and_bounded() -> None:
    users = np.arange(5000)
    data = Dataset.from_interactions({"user": users, "item": users % 3})
    vectors, source = item_vectors(data)
    assert vectors.shape == (3, 2000)
    assert "2,000" in source
    assert np.array_equal(vectors.toarray(), item_vectors(data)[0].toarray())


def test_protocols() -> None:
    random = np.random.default_rng(9)
    user, item = np.nonzero(random.random((20, 15)) < 0.5)
    at = random.permutation(len(user))
    data = Dataset.from_interactions({"user": user, "item": item, "at": at}, timestamp="at")
    [held] = make_splits(data, "holdout", ratings=0.5, users=0.5, seed=2)
    assert 0 < len(held.test) < len(data) / 2
    assert [s.name for s in make_splits(data, "kfold", folds=3)] == ["fold 1", "fold 2", "fold 3"]
    [last] = make_splits(data, "leave-last")
    assert len(last.test) == 20
    [future] = make_splits(data, "time", ratings=0.25)
    assert future.train.timestamp.max() < future.test.timestamp.min()
    assert len(future.test) == round(0.25 * len(data))
    with pytest.raises(DataError, match="interactions has no published split"):
        make_splits(data, "predefined")


def test_lay_out_repeats_the_names_when_it_needs_two_parts() -> None:
    rows = [["model", *(f"metric {i:02}" for i in range(12))], ["mf", *("0.1234" for _ in range(12))]]
    text = lay_out(rows)
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("mf") == 2
    assert all(f"metric {i:02}" in text for i in range(12))


@pytest.mark.real_data
def test_published_folds(real_data: object) -> None:
    import tastemaker as tm

    data = tm.datasets.load("ml-100k")
    assert [split.name for split in make_splits(data, "predefined")] == ["u1", "u2", "u3", "u4", "u5"]
    with pytest.raises(DataError, match="this has been changed"):
        make_splits(data.implicit(), "predefined")
