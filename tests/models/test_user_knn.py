"""UserKNN: predictions like a peer's, cold start, new users, implicit feedback, reasons."""

import json
from pathlib import Path

import numpy as np
import pytest

import tastemaker as tm

GOLDEN = json.loads((Path(__file__).parent / "golden" / "surprise_knn.json").read_text())
AGGREGATION = {"KNNBasic": "weighted", "KNNWithMeans": "centred"}


def dataset(rows: list[tuple], **options) -> tm.Dataset:
    columns = dict(zip(("user", "item", "rating"), zip(*rows, strict=True), strict=True))
    return tm.Dataset.from_interactions(columns, rating="rating", **{"scale": (1, 5), **options})


@pytest.fixture(scope="module")
def films() -> tm.Dataset:
    return dataset(GOLDEN["ratings"])


def case(answer: dict) -> str:
    return "-".join(str(answer[key]) for key in ("algorithm", "similarity", "k", "min_support"))


@pytest.mark.parametrize("answer", GOLDEN["answers"], ids=case)
def test_predictions_are_those_of_surprise(films, answer):
    model = tm.UserKNN(
        neighbors=answer["k"],
        similarity=answer["similarity"],
        similarity_over="common",
        aggregation=AGGREGATION[answer["algorithm"]],
        min_support=answer["min_support"],
    ).fit(films)
    users, items = zip(*GOLDEN["asked"], strict=True)
    np.testing.assert_allclose(model.predict(users, items), answer["predictions"], atol=1e-6)


def test_the_golden_table_has_ties_and_negative_correlations(films):
    ratings = films.matrix().toarray()
    common = [
        (a[both], b[both])
        for n, a in enumerate(ratings)
        for b in ratings[:n]
        if (both := (a > 0) & (b > 0)).sum() >= 2 and np.ptp(a[both]) > 0 and np.ptp(b[both]) > 0
    ]
    correlations = np.array([np.corrcoef(x, y)[0, 1] for x, y in common])
    assert (correlations < -1e-9).sum() > 20
    assert (np.abs(correlations - 1) < 1e-9).sum() > 5


def test_a_user_without_a_history_gets_the_mean_ratings(films):
    ratings = films.matrix().toarray()
    means = ratings.sum(0) / (ratings > 0).sum(0)
    model = tm.UserKNN().fit(films)
    items = films.items.decode(np.arange(films.n_items, dtype=np.int32)).to_list()
    np.testing.assert_allclose(model.predict(["stranger"] * len(items), items), means, rtol=1e-6)
    listed = model.recommend(["stranger"], k=3, explain=True)
    assert listed.sources == ["user_knn"]
    assert listed[0][0].reason == f"rated {means.max():.1f} on average"
    np.testing.assert_allclose(listed.scores[0], np.sort(means)[::-1][:3], rtol=1e-6)


def test_without_neighbors_there_is_a_prediction_but_no_recommendation():
    rows = [("a", "x", 4), ("a", "y", 2), ("b", "x", 5), ("b", "y", 1), ("c", "z", 5), ("a", "w", 3)]
    whole = dataset(rows)
    train = whole.select(np.arange(5))  # nobody is left who rated w
    centred = tm.UserKNN(aggregation="centred").fit(train)
    weighted = tm.UserKNN(aggregation="weighted").fit(train)
    mean = (4 + 2 + 5 + 1 + 5) / 5
    # c, who has nothing in common with a, is the only one who rated z: a's own mean, or the mean of all
    assert centred.predict(["a"], ["z"]).tolist() == [3]
    assert weighted.predict(["a"], ["z"])[0] == pytest.approx(mean)
    for model in (centred, weighted):
        assert model.predict(["a", "stranger"], ["w", "w"]) == pytest.approx([mean, mean])
        assert np.isnan(model.predict(["a"], ["never heard of"])).all()
        assert model.recommend(["a"], k=4).lists() == [[]]
        assert "w" not in model.recommend(["stranger"], k=4).lists()[0]


def test_predictions_stay_on_the_scale_and_ranking_scores_keep_their_order():
    # a gives 5s; the neighbors, who are strict, like p and q more than their own means: a's scores pass 5
    rows = [("a", "x", 5), ("a", "y", 5), ("a", "z", 4)]
    rows += [(v, i, r) for v in "bc" for i, r in (("x", 2), ("y", 2), ("z", 1), ("p", 4), ("q", 5))]
    model = tm.UserKNN(aggregation="centred").fit(dataset(rows))
    assert model.predict(["a", "a"], ["p", "q"]).tolist() == [5, 5]
    top = model.recommend(["a"], k=2)
    assert top.lists() == [["q", "p"]]
    assert top.scores[0, 0] > top.scores[0, 1] > 5


def test_a_new_user_with_a_known_users_ratings_gets_that_users_list(films):
    model = tm.UserKNN(similarity="pearson").fit(films)
    rated = {i: r for u, i, r in GOLDEN["ratings"] if u == "u3"}
    known = model.recommend(["u3"], k=5)
    for asked in (model.recommend(history=[rated], k=5), model.recommend(["u3"], history=[rated], k=5)):
        assert (
            asked.lists() == known.lists()
        )  # u3 is the guest's nearest, but rated nothing that the guest has not
        np.testing.assert_allclose(asked.scores, known.scores, rtol=1e-6)


def test_a_query_is_scored_alike_alone_and_in_a_batch(films):
    model = tm.UserKNN(similarity="pearson", similarity_over="common", neighbors=5).fit(films)
    users = films.users.decode(np.arange(films.n_users, dtype=np.int32)).to_list()
    batch = model.recommend(users, k=8)
    for n, user in enumerate(users):
        alone = model.recommend([user], k=8)
        np.testing.assert_array_equal(alone.items[0], batch.items[n])
        np.testing.assert_array_equal(alone.scores[0], batch.scores[n])


def test_implicit_feedback_is_scored_by_the_sum_of_similarities():
    rows = [
        ("a", "x"),
        ("a", "y"),
        ("b", "x"),
        ("b", "y"),
        ("b", "p"),
        ("c", "y"),
        ("c", "q"),
        ("d", "q"),
        ("d", "y"),
    ]
    columns = dict(zip(("user", "item"), zip(*rows, strict=True), strict=True))
    model = tm.UserKNN().fit(tm.Dataset.from_interactions(columns))
    top = model.recommend(["a"], k=2)
    b, c = 2 / (2 * 3) ** 0.5, 1 / (2 * 2) ** 0.5
    assert top.lists() == [["q", "p"]]
    np.testing.assert_allclose(top.scores[0], [c + c, b], rtol=1e-6)
    np.testing.assert_allclose(model.predict(["a", "a"], ["q", "p"]), [c + c, b], rtol=1e-6)
    assert model.recommend(["stranger"], k=2).lists() == [
        ["y", "x"]
    ]  # by how many have them: 4, then 2 (x before q)


@pytest.mark.parametrize("aggregation", ["mean", "weighted", "centred"])
def test_reasons_add_up_to_the_score(films, aggregation):
    model = tm.UserKNN(aggregation=aggregation, neighbors=4).fit(films)
    ratings = {(u, i): r for u, i, r in GOLDEN["ratings"]}
    listed = model.recommend(["u3"], k=3)
    own = np.mean([r for (u, _), r in ratings.items() if u == "u3"])
    for item, score in zip(listed.lists()[0], listed.scores[0], strict=True):
        reasons = model.explain("u3", item).reasons
        assert 1 <= len(reasons) <= 4
        assert all((reason.what, item) in ratings and reason.what != "u3" for reason in reasons)
        base = own if aggregation == "centred" else 0
        assert base + sum(r.contribution for r in reasons) == pytest.approx(score, rel=1e-5)


def test_similar_users_are_asked_by_known_ids(films):
    model = tm.UserKNN().fit(films)
    near = model.similar_users(["u1", "u2"], k=3)
    assert near["user"].to_list() == ["u1"] * 3 + ["u2"] * 3
    assert all(u != v for u, v in zip(near["user"], near["neighbor"], strict=True))
    with pytest.raises(tm.DataError, match="'nobody' is unknown"):
        model.similar_users(["nobody"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"neighbors": 0},
        {"similarity": "euclid"},
        {"similarity_over": "some"},
        {"aggregation": "sum"},
        {"min_support": 0},
    ],
)
def test_hyper_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tm.UserKNN(**wrong)


def test_save_and_load_give_identical_lists(films, tmp_path):
    model = tm.UserKNN(similarity="pearson", neighbors=7).fit(films)
    loaded = tm.load(model.save(tmp_path / "model"))
    assert loaded.parameters() == model.parameters()
    before, after = (m.recommend(k=6) for m in (model, loaded))
    np.testing.assert_array_equal(before.items, after.items)
    np.testing.assert_array_equal(before.scores, after.scores)
