"""ItemKNN: every similarity against its formula, scores from a history, reasons, cold start."""

import numpy as np
import pytest

import tastemaker as tm
from tastemaker.models.similarity import SIMILARITIES

# The baskets of five customers. Worked numbers below refer to these.
BASKETS = {
    "ann": ["bread", "butter"],
    "bob": ["bread", "butter", "jam"],
    "cem": ["bread", "tea"],
    "dan": ["tea", "jam"],
    "eva": ["bread"],
}


@pytest.fixture(scope="module")
def baskets() -> tm.Dataset:
    rows = [(user, item) for user, items in BASKETS.items() for item in items]
    return tm.Dataset.from_interactions(dict(zip(("user", "item"), zip(*rows, strict=True), strict=True)))


def random_ratings(seed: int, users: int = 40, items: int = 18) -> tm.Dataset:
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((users, items)) < 0.3)
    table = {
        "user": user,
        "item": item,
        "rating": rng.integers(1, 6, len(user)),
        "quality": rng.random(len(user)),
    }
    return tm.Dataset.from_interactions(table, rating="rating", weight="quality", scale=(1, 5))


def by_formula(data: tm.Dataset, similarity: str, i: int, j: int) -> float:
    """One pair of items from the dense table."""
    ratings, weights = data.matrix().toarray().astype(float), data.matrix("weight").toarray().astype(float)
    has = ratings > 0
    x = ratings * weights
    both = (has[:, i] & has[:, j]).sum()
    if similarity == "jaccard":
        return both / (has[:, i] | has[:, j]).sum()
    if similarity == "lift":
        n = has.any(1).sum()
        return (both / n) / ((has[:, i].sum() / n) * (has[:, j].sum() / n))
    if similarity == "bm25":
        length = x.sum(0)
        idf = np.log(data.n_items / (1 + has.sum(1)))
        parts = [
            idf * x[:, k] * 2.2 / (x[:, k] + 1.2 * (0.25 + 0.75 * length[k] / length.mean())) for k in (i, j)
        ]
        return parts[0] @ parts[1]
    if similarity == "adjusted_cosine":
        means = ratings.sum(1) / np.maximum(1, has.sum(1))
        x = np.where(has, ratings - means[:, None], 0) * weights
    return x[:, i] @ x[:, j] / (np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]))


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_each_similarity_is_its_formula(similarity):
    data = random_ratings(0)
    listed = tm.ItemKNN(similarity=similarity).fit(data).similar_items(np.arange(18).tolist(), k=17)
    for i, (items, scores) in enumerate(zip(listed.items, listed.scores, strict=True)):
        found = {int(j): float(s) for j, s in zip(items, scores, strict=True) if j >= 0}
        codes = data.items.encode([i])
        for j in set(range(18)) - {int(codes[0])}:
            expected = by_formula(data, similarity, int(codes[0]), j)
            assert found.get(j, 0.0) == pytest.approx(max(expected, 0.0), rel=1e-4, abs=1e-6)


def test_similarities_of_the_baskets_by_hand(baskets):
    def similar(similarity: str, item: str) -> dict[str, float]:
        listed = tm.ItemKNN(similarity=similarity).fit(baskets).similar_items([item], k=3)
        return dict(zip(listed.lists()[0], listed.scores[0].tolist(), strict=False))

    # bread has 4 customers, butter 2, jam 2, tea 2
    assert similar("cosine", "bread") == pytest.approx(
        {"butter": 2 / 8**0.5, "jam": 1 / 8**0.5, "tea": 1 / 8**0.5}
    )
    assert similar("jaccard", "bread") == pytest.approx({"butter": 2 / 4, "jam": 1 / 5, "tea": 1 / 5})
    assert similar("lift", "bread") == pytest.approx({"butter": 2 * 5 / 8, "jam": 5 / 8, "tea": 5 / 8})
    assert similar("lift", "jam") == pytest.approx({"butter": 5 / 4, "tea": 5 / 4, "bread": 5 / 8})


def test_customers_who_bought_this_also_bought(baskets):
    model = tm.ItemKNN(similarity="jaccard").fit(baskets)
    assert model.recommend(["eva"], k=3).lists() == [["butter", "jam", "tea"]]
    # what a new customer with bread and tea is told: jam .2 + 1/3, butter .5
    listed = model.recommend(history=[["bread", "tea"]], k=3)
    assert listed.lists() == [["jam", "butter"]]
    np.testing.assert_allclose(listed.scores[0, :2], [1 / 5 + 1 / 3, 1 / 2], rtol=1e-6)
    assert listed.sources == ["item_knn"]


def test_ratings_and_weights_say_how_much_an_item_of_the_history_counts():
    data = random_ratings(1)
    model = tm.ItemKNN(similarity="cosine").fit(data)
    ratings, weights = data.matrix().toarray(), data.matrix("weight").toarray()
    similar = np.array(
        [[by_formula(data, "cosine", i, j) if i != j else 0 for j in range(18)] for i in range(18)]
    )
    expected = (ratings * weights) @ similar
    codes = np.repeat(np.arange(40, dtype=np.int32), 18), np.tile(np.arange(18, dtype=np.int32), 40)
    scores = model.predict_codes(*codes).reshape(40, 18)
    assert ((expected > 0) == ~np.isnan(scores)).all()
    np.testing.assert_allclose(scores[expected > 0], expected[expected > 0], rtol=1e-4)


def test_few_neighbors_are_the_best_ones():
    data = random_ratings(2)
    few, all_ = (tm.ItemKNN(similarity="cosine", neighbors=n).fit(data) for n in (3, 17))
    ids = list(range(18))
    np.testing.assert_array_equal(few.similar_items(ids, k=3).items, all_.similar_items(ids, k=3).items)
    assert (few.similar_items(ids, k=4).items[:, 3] == -1).all()


@pytest.mark.parametrize("side", ["history", "candidate"])
def test_whose_neighbors_count(side, tmp_path):
    data = random_ratings(5)
    model = tm.ItemKNN(neighbors=3, neighbors_of=side).fit(data)
    listed = model.similar_items(data.items.ids, k=3)
    lists = np.zeros((18, 18))  # row i: the similarities of the neighbors of i
    for i, (items, similarities) in enumerate(zip(listed.lists(), listed.scores, strict=True)):
        lists[i, data.items.encode(items)] = similarities[: len(items)]
    strengths = data.matrix().toarray() * data.matrix("weight").toarray()
    expected = strengths @ (lists if side == "history" else lists.T)
    codes = np.repeat(np.arange(40, dtype=np.int32), 18), np.tile(np.arange(18, dtype=np.int32), 40)
    scores = model.predict_codes(*codes).reshape(40, 18)
    assert ((expected > 0) == ~np.isnan(scores)).all()
    np.testing.assert_allclose(scores[expected > 0], expected[expected > 0], rtol=1e-4)
    user, item = np.argwhere(expected > 0)[7]
    parts = model.explain(data.users.ids[int(user)], data.items.ids[int(item)]).reasons
    assert sum(part.contribution for part in parts) == pytest.approx(expected[user, item], rel=1e-4)
    loaded = tm.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict_codes(*codes).reshape(40, 18), scores)


def test_items_below_the_support_are_no_neighbors(baskets):
    model = tm.ItemKNN(similarity="lift", min_support=2).fit(baskets)
    assert model.similar_items(["bread", "jam", "tea"], k=3).lists() == [["butter"], [], []]


def test_reasons_are_the_items_of_the_history_and_add_up(baskets):
    model = tm.ItemKNN(similarity="jaccard").fit(baskets)
    explanation = model.explain("bob", "tea")
    assert [r.what for r in explanation.reasons] == ["jam", "bread"]
    assert [r.contribution for r in explanation.reasons] == pytest.approx([1 / 3, 1 / 5])
    assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score)
    assert "jam" in explanation.reasons[0].text


def test_a_query_is_scored_alike_alone_and_in_a_batch():
    model = tm.ItemKNN().fit(random_ratings(3))
    batch = model.recommend(k=10)
    for n, user in enumerate(batch.queries):
        alone = model.recommend([user], k=10)
        np.testing.assert_array_equal(alone.items[0], batch.items[n])
        np.testing.assert_array_equal(alone.scores[0], batch.scores[n])


def test_cold_users_get_the_popular_and_cold_items_are_never_recommended(baskets):
    train = baskets.select(np.flatnonzero(baskets.item != baskets.items.encode(["tea"])[0]))
    model = tm.ItemKNN().fit(train)
    assert all("tea" not in items for items in model.recommend(k=4).lists())
    stranger = model.recommend(["zoe"], k=1)
    assert stranger.lists() == [["bread"]]
    assert stranger.sources == ["popularity"]
    assert np.isnan(model.predict(["zoe", "ann"], ["bread", "tea"])).all()


def test_ratings_are_asked_for_where_they_are_needed(baskets):
    with pytest.raises(tm.DataError, match="adjusted_cosine"):
        tm.ItemKNN(similarity="adjusted_cosine").fit(baskets)
    table = {"user": [1, 1], "item": ["a", "b"], "rating": [-1.0, 1.0]}
    with pytest.raises(tm.DataError, match="at least 0, got -1"):
        tm.ItemKNN(similarity="bm25").fit(tm.Dataset.from_interactions(table, rating="rating"))


@pytest.mark.parametrize(
    "wrong", [{"neighbors": 0}, {"similarity": "pearson"}, {"min_support": 0}, {"neighbors_of": "user"}]
)
def test_hyper_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tm.ItemKNN(**wrong)


def test_one_item_and_one_user_are_enough():
    model = tm.ItemKNN().fit(tm.Dataset.from_interactions({"user": ["a"], "item": ["x"]}))
    assert model.recommend(["a"], k=3).lists() == [[]]
    assert model.similar_items(["x"], k=3).lists() == [[]]


def test_save_and_load_give_identical_lists(tmp_path):
    model = tm.ItemKNN(similarity="bm25", neighbors=7).fit(random_ratings(4))
    loaded = tm.load(model.save(tmp_path / "model"))
    assert loaded.parameters() == model.parameters()
    before, after = (m.recommend(k=6) for m in (model, loaded))
    np.testing.assert_array_equal(before.items, after.items)
    np.testing.assert_array_equal(before.scores, after.scores)
