"""Evaluations worked by hand; what is fitted on what; users and pairs that the model cannot answer."""

import tracemalloc
from math import log2, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tastemaker as tm
from evaluation.known import SCORES, Known, tiny
from tastemaker.data import Dataset
from tastemaker.data.splits import Split, k_fold, leave_last_out, predefined
from tastemaker.errors import DataError
from tastemaker.evaluation import evaluate, make_splits


def test_ratings_by_hand() -> None:
    report = evaluate(
        Known(scores=SCORES), tiny(), metrics=["rmse", "mae", "precision", "recall", "auc_global"]
    )
    # predicted − actual: 4.5−5, 3−2, 2−4, 5−5, 2−3
    assert report["rmse"] == pytest.approx(sqrt((0.25 + 1 + 4 + 0 + 1) / 5))
    assert report["mae"] == pytest.approx((0.5 + 1 + 2 + 0 + 1) / 5)
    # relevant (≥ 4): ann c, bob a, bob e; chosen (≥ 4): ann c, bob e; cid has nothing of either kind
    assert report["precision"] == pytest.approx(1.0)
    assert report["recall"] == pytest.approx((1 + 1 / 2) / 2)
    # relevant scores 4.5, 2, 5 against others 3, 2: wins 2 + 0.5 + 2 of 6
    assert report["auc_global"] == pytest.approx(4.5 / 6)


def test_lists_by_hand() -> None:
    report = evaluate(
        Known(scores=SCORES), tiny(), metrics="ndcg@2,map@2,precision@2,recall@2,hit_rate@2,mrr@2"
    )
    # ann: [c, d], relevant c; bob: [e, d], relevant a and e; cid: nothing relevant
    assert report["precision@2"] == pytest.approx(1 / 2)
    assert report["recall@2"] == pytest.approx((1 + 1 / 2) / 2)
    assert report["map@2"] == pytest.approx(1 / 2)
    assert report["ndcg@2"] == pytest.approx((1 + 1 / (1 + 1 / log2(3))) / 2)
    assert report["hit_rate@2"] == report["mrr@2"] == 1
    assert report.counts.nothing_relevant == 1
    assert report.measurements["map@2"].n_users == 2
    assert report.per_user.filter(user="bob")["recall@2"].to_list() == [0.5]
    assert report.per_user.filter(user="cid")["recall@2"].to_list() == [None]


def test_catalogue_area_by_hand() -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics=["auc_catalogue"])
    # ann: c above d and e: 1. bob: e above d, a below d: 1/2
    assert report["auc_catalogue"] == pytest.approx(3 / 4)
    assert report.roc is not None
    assert report.roc.area == pytest.approx(3 / 4)


def test_beyond_accuracy_by_hand() -> None:
    metrics = ["coverage@2", "gini@2", "novelty@2", "serendipity@2", "diversity@2", "popularity_lift@2"]
    report = evaluate(Known(scores=SCORES), tiny(), metrics=metrics)
    # shown: ann c d, bob e d, cid a b; training users: a 1, b 2, c 2, d 1, e 1 of 3
    assert report["coverage@2"] == 1
    two, one = -log2(2 / 3), -log2(1 / 3)
    assert report["novelty@2"] == pytest.approx(((two + one) / 2 + one + (one + two) / 2) / 3)
    # the most popular unseen, ties by code: ann c d, bob a d; of the hits (ann c, bob e) only bob's e is not among them
    assert report["serendipity@2"] == pytest.approx((0 + 1 / 2) / 2)
    # had by common training users: c {bob, cid}, d {cid}, e {cid}, a {ann}, b {ann, bob}
    half = 1 - 1 / sqrt(2)
    assert report["diversity@2"] == pytest.approx((half + 0 + half) / 3)
    # shown (1.5 + 1 + 1.5) / 3; had (a b: 1.5, b c: 2, c d e: 4/3) / 3
    assert report["popularity_lift@2"] == pytest.approx((1.5 + 1 + 1.5) / (1.5 + 2 + 4 / 3))


def test_without_ratings_every_held_out_item_is_relevant() -> None:
    report = evaluate(Known(scores=SCORES, kind="score"), tiny(explicit=False), metrics="recall@2")
    # ann: c and d of c and d; bob: e of a and e; cid: b of b
    assert report["recall@2"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert report.plan.relevance == "every held-out interaction"


def test_threshold_moves_what_is_relevant() -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics="recall@2", relevant_from=5)
    assert report["recall@2"] == pytest.approx(1.0)  # ann c, bob e
    assert "5 and more" in str(report)


def test_a_threshold_that_no_rating_reaches() -> None:
    with pytest.raises(DataError, match="ratings of tiny end at 5"):
        evaluate(Known(scores=SCORES), tiny(), relevant_from=6)


def test_graded_gain_is_the_rating_above_the_lowest() -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics="ndcg_graded@2", relevant_from=2)
    # ann: [c 5, d 2] in the ideal order; bob: [e 5, d –] of e 5, a 4; cid: [a –, b 3] of b 3
    second = 1 / log2(3)
    assert report["ndcg_graded@2"] == pytest.approx((1 + 4 / (4 + 3 * second) + second) / 3)
    assert any("ndcg_graded" in note for note in report.notes)


def test_only_the_training_part_is_fitted_and_the_model_stays_as_it_was() -> None:
    split, model = tiny(), Known(scores=SCORES)
    evaluate(model, split)
    [fitted_on] = model.log
    assert len(fitted_on) == 7
    held_out = set(zip(split.test.user.tolist(), split.test.item.tolist(), strict=True))
    assert held_out.isdisjoint(zip(fitted_on.user.tolist(), fitted_on.item.tolist(), strict=True))
    assert not model.fitted


def test_what_a_model_had_learned_before_does_not_help_it() -> None:
    split = tiny()
    everything = Dataset.from_interactions(
        pl.concat([split.train.to_frame(), split.test.to_frame()]), rating="value", scale=(1, 5)
    )
    metrics = "rmse,ndcg@2,auc_catalogue"
    before = evaluate(tm.Popularity(by="bayesian").fit(everything), split, metrics=metrics)
    fresh = evaluate(tm.Popularity(by="bayesian"), split, metrics=metrics)
    assert [before[m.name] for m in before.plan.metrics] == [fresh[m.name] for m in fresh.plan.metrics]


def test_a_test_pair_in_training_is_refused() -> None:
    split = tiny()
    leaky = Split(split.train, split.train.select(np.array([0, 3])), name="leaky")
    with pytest.raises(DataError, match="leaky: 2 of 2 test interactions are also in the training part"):
        evaluate(Known(scores=SCORES), leaky)


def test_parts_of_different_data_are_refused() -> None:
    split = tiny()
    with pytest.raises(DataError, match="must come from one Dataset"):
        evaluate(Known(scores=SCORES), Split(split.train, tiny().test))


def test_missing_predictions_count_with_the_training_mean() -> None:
    scores = np.array(SCORES)
    scores[1, 0] = np.nan  # bob a, rated 4; the training mean is 20/7
    report = evaluate(Known(scores=scores), tiny(), metrics="rmse")
    assert report["rmse"] == pytest.approx(sqrt((0.25 + 1 + (20 / 7 - 4) ** 2 + 0 + 1) / 5))
    assert report.counts.missing == 1
    assert "No prediction for 1 (20.00%) held-out pairs; they count with the training mean" in str(report)


def test_missing_scores_that_are_no_ratings_come_last() -> None:
    scores = np.array(SCORES)
    scores[1, 4] = np.nan  # bob e, rated 5, was his highest
    report = evaluate(Known(scores=scores, kind="score"), tiny(), metrics="auc_global")
    # relevant 4.5, 2, last against 3, 2
    assert report["auc_global"] == pytest.approx(2.5 / 6)


def test_a_score_that_is_no_rating_has_no_rmse() -> None:
    report = evaluate(Known(scores=SCORES, kind="similarity"), tiny(), metrics="rmse,ndcg@2,log_loss")
    assert np.isnan(report["rmse"])
    assert np.isnan(report["log_loss"])
    assert report["ndcg@2"] > 0
    assert "Not measured: rmse, for its scores are of kind 'similarity', not ratings." in report.notes


def test_a_user_only_in_the_test_part_is_tested_with_what_the_model_gives_strangers() -> None:
    data = Dataset.from_interactions({"user": ["ann", "ann", "bob", "eve"], "item": ["a", "b", "b", "b"]})
    report = evaluate(
        Known(scores=np.zeros((3, 2)), kind="score"), predefined(data, [3]), metrics="hit_rate@1"
    )
    assert report.counts.new_users == report.counts.lists == report.counts.fallback == 1
    assert report["hit_rate@1"] == 1  # b is the most popular
    assert "1 lists are of popular items: the model cannot score these users." in report.notes


def test_short_lists_are_counted() -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics="precision@4")
    assert report.counts.short == 3
    assert report["precision@4"] == pytest.approx((1 / 4 + 2 / 4) / 2)


def test_folds_are_averaged_one_by_one() -> None:
    data = _random_ratings()
    splits = k_fold(data, folds=3, seed=1)
    scores = np.random.default_rng(2).normal(3, 1, (data.n_users, data.n_items))
    together = evaluate(Known(scores=scores), splits, metrics="rmse,recall@3,coverage@3")
    alone = [evaluate(Known(scores=scores), split, metrics="rmse,recall@3,coverage@3") for split in splits]
    for metric in ("rmse", "recall@3", "coverage@3"):
        assert together[metric] == pytest.approx(np.mean([report[metric] for report in alone]))
        assert together.fold_values[metric] == tuple(report[metric] for report in alone)
    assert together.counts.folds == 3
    assert together.counts.interactions == len(data)
    user = together.per_user["user"][0]
    values = [v for r in alone for v in r.per_user.filter(user=user)["rmse"].to_list()]
    assert together.per_user["rmse"][0] == pytest.approx(np.mean(values))


def test_a_dataset_is_split_by_the_protocol() -> None:
    data = _random_ratings()
    assert evaluate(tm.Popularity(), data, protocol="kfold", folds=4, metrics="ndcg").counts.folds == 4
    report = evaluate(tm.Popularity(), data, protocol="leave-last", metrics="ndcg")
    assert report.counts.interactions == len(leave_last_out(data).test)


def test_sampled_candidates_are_the_relevant_and_so_many_unseen() -> None:
    data = _random_ratings().implicit()
    split = leave_last_out(data)
    scores = -np.arange(data.n_items, dtype=np.float64) * np.ones((data.n_users, 1))
    report = evaluate(Known(scores=scores, kind="score"), split, metrics="recall@5,mrr@5", sampled=4)
    assert report["recall@5"] == 1  # five candidates, five slots
    assert report["mrr@5"] > evaluate(Known(scores=scores, kind="score"), split, metrics="mrr@5")["mrr@5"]
    again = evaluate(Known(scores=scores, kind="score"), split, metrics="recall@5,mrr@5", sampled=4)
    assert again["mrr@5"] == report["mrr@5"]


def test_published_negatives_are_the_only_rivals() -> None:
    split = tiny(explicit=False)
    rivals = (
        predefined(  # ann c against e, ann d against e, bob a against d, bob e against d, cid b against a
            _whole(split), np.arange(7, 12), negatives=np.array([[4], [4], [3], [3], [0]], np.int32)
        )
    )
    report = evaluate(
        Known(scores=SCORES, kind="score"), rivals, metrics="map_min@2,coverage@3", sampled="published"
    )
    # ann c d (e): 1; bob e d (a): 1/2; cid a b: 1/2
    assert report["map_min@2"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    with pytest.raises(DataError, match="no negatives were published"):
        evaluate(Known(scores=SCORES, kind="score"), split, sampled="published")


def test_memory_does_not_grow_with_users_times_items() -> None:
    n_users, n_items = 600, 100_000  # all scores at once: 240 MB
    data = Dataset.from_interactions(
        {"user": np.repeat(np.arange(n_users), 2), "item": np.arange(2 * n_users)},
        item_features=pl.DataFrame({"item": np.arange(n_items)}),
    )
    split = leave_last_out(data)
    tracemalloc.start()
    report = evaluate(tm.Popularity(), split, metrics="ndcg@10,auc_catalogue,serendipity@10")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.counts.lists == n_users
    assert peak < 4 * n_users * n_items


def test_blocks_do_not_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    data = _random_ratings()
    scores = np.random.default_rng(8).integers(1, 6, (data.n_users, data.n_items)).astype(float)
    scores[::4, ::3] = np.nan
    metrics = "rmse,kendall,ndcg@5,auc_catalogue,serendipity@5,diversity@5"
    for sampled in (None, 3):
        whole = evaluate(Known(scores=scores), data, metrics=metrics, sampled=sampled)
        with monkeypatch.context() as patch:
            patch.setattr("tastemaker.evaluation.observe._USERS", 7)
            patch.setattr("tastemaker.evaluation.observe._PAIRS", 13)
            patch.setattr("tastemaker.evaluation.observe._BYTES", 4 * 3 * data.n_items)
            blocks = evaluate(Known(scores=scores), data, metrics=metrics, sampled=sampled)
        assert whole.per_user.equals(blocks.per_user)
        assert whole.counts == blocks.counts


def test_lists_against_a_loop_over_users() -> None:
    data = _random_ratings()
    scores = np.random.default_rng(9).integers(0, 9, (data.n_users, data.n_items)).astype(float)
    [split] = make_splits(data, "holdout", ratings=0.4, users=0.7, seed=3)
    report = evaluate(Known(scores=scores), split, metrics="recall@4,ndcg@4")
    recall, ndcg = [], []
    for user in np.unique(split.test.user):
        seen = split.train.item[split.train.user == user]
        held_out = (split.test.user == user) & (split.test.value >= 4)
        liked = set(split.test.item[held_out].tolist())
        unseen = [i for i in range(data.n_items) if i not in seen]
        top = sorted(unseen, key=lambda i: (-scores[user, i], i))[:4]
        if liked:
            hits = [1 / log2(rank + 2) for rank, i in enumerate(top) if i in liked]
            recall.append(len(hits) / len(liked))
            ndcg.append(sum(hits) / sum(1 / log2(rank + 2) for rank in range(min(4, len(liked)))))
    assert report["recall@4"] == pytest.approx(np.mean(recall))
    assert report["ndcg@4"] == pytest.approx(np.mean(ndcg))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": "ndgc@10"}, "did you mean"),
        ({"metrics": []}, "metrics is empty"),
        ({"k": 0}, "k must be a whole number"),
        ({"sampled": 0}, "sampled must be a whole number"),
        ({"protocol": "bootstrap"}, "protocol must be one of holdout, kfold"),
    ],
)
def test_wrong_wishes(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(tm.Popularity(), _random_ratings(), **options)  # type: ignore[arg-type]


def test_rating_metrics_without_ratings() -> None:
    with pytest.raises(DataError, match="rmse: tiny is implicit feedback"):
        evaluate(Known(scores=SCORES), tiny(explicit=False), metrics="rmse,ndcg@10")
    with pytest.raises(DataError, match="relevant_from=4"):
        evaluate(Known(scores=SCORES), tiny(explicit=False), relevant_from=4)


def test_no_model() -> None:
    with pytest.raises(DataError, match="expected a model such as Popularity"):
        evaluate(tm.Popularity, tiny())  # type: ignore[arg-type]


def _whole(split: Split) -> Dataset:
    """The Dataset that a split of ``tiny`` came from."""
    parts = [split.train, split.test]
    columns = {
        c: np.concatenate([getattr(p, c) for p in parts])
        for c in ("user", "item", "value", "weight", "timestamp")
    }
    train = split.train
    return Dataset(
        **columns,
        users=train.users,
        items=train.items,
        user_features=train.user_features,
        item_features=train.item_features,
        context=train.context,
        schema=train.schema,
    )


def _random_ratings() -> Dataset:
    random = np.random.default_rng(5)
    user, item = np.nonzero(random.random((30, 20)) < 0.5)
    return Dataset.from_interactions(
        {"user": user, "item": item, "rating": random.integers(1, 6, len(user))},
        rating="rating",
        scale=(1, 5),
    )


@pytest.mark.real_data
def test_popularity_on_movielens(real_data: object) -> None:
    report = evaluate(tm.Popularity(by="bayesian"), tm.datasets.load("ml-100k"), protocol="predefined")
    assert report.counts.folds == 5
    assert report.counts.interactions == 100_000
    assert 0.9 < report["rmse"] < 1.1


@pytest.mark.real_data
def test_popularity_on_the_ncf_papers_files(real_data: object) -> None:
    """HR@10 .4533 and NDCG@10 .2542 in the appendix of "Troubling Analysis" (Ferrari Dacrema et al., 2021); ties differ."""
    split = tm.datasets.folds("ncf-ml-1m")["test"]
    metrics = "hit_rate@10,ndcg@10"
    report = evaluate(tm.Popularity(), split, metrics=metrics, sampled="published", relevant_from=1)
    assert report["hit_rate@10"] == pytest.approx(0.4533, abs=0.0005)
    assert report["ndcg@10"] == pytest.approx(0.2542, abs=0.0005)


def test_several_splits_leave_a_checkpoint_alone_and_one_split_keeps_it(tmp_path: Path) -> None:
    data = Dataset.from_interactions({"user": list("aaabbbccc"), "item": [1, 2, 3, 1, 2, 4, 1, 3, 4]})
    file = tmp_path / "state"
    model = tm.GMF(factors=2, epochs=1, device="cpu", checkpoint=file)
    blend = tm.Blend(models={"gmf": model, "popularity": tm.Popularity()})
    for of_several in (model, blend):
        evaluate(of_several, data, metrics="ndcg@2", protocol="kfold", folds=3)
    assert not tm.evaluation.compare([model, blend], k_fold(data, folds=3), metrics="ndcg@2").failures
    assert not file.exists()
    evaluate(model, data, metrics="ndcg@2", protocol="leave-last")
    assert file.exists()
    assert model.checkpoint == file
