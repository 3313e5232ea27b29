"""GraphFilter against its formula on dense matrices, and against the published score on the published split."""

import numpy as np
import pytest

import tastemaker as tm
from tastemaker import datasets
from tastemaker.evaluation import evaluate


def feedback(seed: int, users: int = 60, items: int = 25) -> tm.Dataset:
    rng = np.random.default_rng(seed)
    who, what = np.nonzero(rng.random((users, items)) < 0.25)
    order = rng.permutation(len(who))
    data = tm.Dataset.from_interactions({"user": who[order], "item": what[order]})
    return data.with_columns(weight=rng.uniform(0.5, 2, len(data)))


def by_formula(
    data: tm.Dataset,
    factors=256,
    low_pass=0.3,
    sharpen=0.0,
    user_exponent=0.5,
    item_exponent=0.5,
    popularity=0.0,
) -> np.ndarray:
    """The formula of the docstring, with the step of Runge-Kutta as in a textbook, in dense float64."""
    r = data.matrix("weight").toarray().astype(np.float64)
    users, items = r.sum(axis=1), r.sum(axis=0)
    normalized = np.diag(users**-user_exponent) @ r @ np.diag(items**-item_exponent)
    _, values, rows = np.linalg.svd(normalized)
    near = normalized.T @ normalized / values[0] ** 2
    v = rows[:factors].T
    ideal = np.diag(items**-item_exponent) @ v @ v.T @ np.diag(items**item_exponent)
    linear = np.diag(items**-popularity) @ near @ np.diag(items**popularity)
    blurred = r @ (linear + low_pass * ideal)
    first = -blurred @ linear
    second = -(blurred + sharpen / 2 * first) @ linear
    third = -(blurred + sharpen / 2 * second) @ linear
    fourth = -(blurred + sharpen * third) @ linear
    return blurred + sharpen / 6 * (first + 2 * second + 2 * third + fourth)


def gf_cf(data: tm.Dataset, factors: int, low_pass: float) -> np.ndarray:
    """r (R̃ᵀR̃ + α D_i^−½ V Vᵀ D_i^½), section 4.3 of GF-CF, in dense float64."""
    r = data.matrix("weight").toarray().astype(np.float64)
    users, items = r.sum(axis=1), r.sum(axis=0)
    normalized = r / np.sqrt(users)[:, None] / np.sqrt(items)
    v = np.linalg.svd(normalized)[2][:factors].T
    ideal = np.diag(items**-0.5) @ v @ v.T @ np.diag(items**0.5)
    return r @ (normalized.T @ normalized + low_pass * ideal)


def all_scores(model: tm.GraphFilter, data: tm.Dataset) -> np.ndarray:
    grid = np.indices((data.n_users, data.n_items)).reshape(2, -1).astype(np.int32)
    return model.predict_codes(*grid).reshape(data.n_users, data.n_items)


FREE = {"sharpen": 1.5, "user_exponent": 0.3, "item_exponent": 0.4, "popularity": 0.2}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"sharpen": 0.4},
        {"sharpen": 2.5},
        FREE,
        FREE | {"sharpen": 0.0},
        {"popularity": 0.7, "user_exponent": 0.0},
    ],
)
@pytest.mark.parametrize(("factors", "low_pass"), [(1, 0.0), (5, 0.3), (25, 2.0)])
def test_scores_are_those_of_the_formula(factors, low_pass, settings):
    data = feedback(1)
    model = tm.GraphFilter(factors=factors, low_pass=low_pass, **settings).fit(data)
    expected = by_formula(data, factors, low_pass, **settings)
    np.testing.assert_allclose(all_scores(model, data), expected, rtol=1e-4, atol=1e-5)


def test_the_defaults_are_gf_cf():
    data = feedback(6)
    model = tm.GraphFilter(factors=5, low_pass=0.2).fit(data)
    np.testing.assert_allclose(all_scores(model, data), gf_cf(data, 5, 0.2), rtol=1e-4, atol=1e-5)


def test_alone_with_exponents_it_is_link_propagation():
    """LinkProp is D_u^−α M D_i^−β Mᵀ D_u^−γ M D_i^−δ; D_u^−α is one factor for all scores of a user, and left out."""
    data = feedback(7)
    m = data.matrix("weight").toarray().astype(np.float64)
    users, items = m.sum(axis=1), m.sum(axis=0)
    expected = m @ np.diag(items**-0.7) @ m.T @ np.diag(users**-0.6) @ m @ np.diag(items**-0.1)
    model = tm.GraphFilter(low_pass=0.0, user_exponent=0.3, item_exponent=0.4, popularity=0.3).fit(data)
    scores = all_scores(model, data)
    np.testing.assert_allclose(scores / scores.max(), expected / expected.max(), rtol=1e-4, atol=1e-6)


def test_a_step_of_sharpening_is_near_the_exponential_while_it_is_short():
    data = feedback(5)
    blurred = all_scores(tm.GraphFilter(low_pass=0.0).fit(data), data)
    r = data.matrix("weight").toarray().astype(np.float64)
    normalized = r / np.sqrt(r.sum(axis=1))[:, None] / np.sqrt(r.sum(axis=0))
    values, vectors = np.linalg.eigh(normalized.T @ normalized)
    exact = blurred @ vectors @ np.diag(np.exp(-0.3 * values)) @ vectors.T
    sharpened = all_scores(tm.GraphFilter(low_pass=0.0, sharpen=0.3).fit(data), data)
    np.testing.assert_allclose(sharpened, exact, rtol=1e-3, atol=1e-4)
    assert np.abs(sharpened - blurred).max() > 0.01


@pytest.mark.parametrize("settings", [{}, {"sharpen": 2.5}, FREE])
def test_similar_items_are_a_row_of_the_filter(settings):
    data = feedback(2)
    model = tm.GraphFilter(factors=5, **settings).fit(data)
    found = model.similar_items([3], k=24)
    alone = model.recommend(history=[{3: 1.0}], k=24)
    assert found.lists() == alone.lists()
    assert found.scores.tobytes() == alone.scores.tobytes()


@pytest.mark.parametrize("settings", [{}, {"sharpen": 2.5}, FREE])
def test_reasons_add_up_to_the_score(settings):
    data = feedback(3)
    model = tm.GraphFilter(factors=5, **settings).fit(data)
    for code in range(5):
        explanation = model.explain(data.users.decode(np.array([code]))[0], 3)
        assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score, abs=1e-5)


def test_items_that_nobody_had_are_not_recommended_and_say_nothing():
    data = feedback(4)
    cold = int(data.item[0])
    model = tm.GraphFilter(factors=5).fit(data.select(data.item != cold))
    cold_id = data.items.decode(np.array([cold]))[0]
    assert all(cold_id not in items for items in model.recommend(k=25).lists())
    assert model.recommend(history=[[cold_id]], k=5).lists() == [[]]


def test_negative_values_have_no_degree():
    table = {"user": [1, 1], "item": ["a", "b"], "rating": [-1.0, 1.0]}
    with pytest.raises(tm.DataError, match="values of at least 0, got -1"):
        tm.GraphFilter().fit(tm.Dataset.from_interactions(table, rating="rating"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"factors": 0},
        {"low_pass": -0.1},
        {"sharpen": -1.0},
        {"user_exponent": -0.1},
        {"popularity": "x"},
        {"seed": -1},
    ],
)
def test_hyper_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tm.GraphFilter(**wrong)


@pytest.mark.real_data
def test_the_published_score_on_lightgcns_split(real_data):
    """Table 3 of the paper: Recall@20 .1849, NDCG@20 .1518."""
    report = evaluate(tm.GraphFilter(), datasets.folds("gowalla")["test"], metrics="recall@20,ndcg@20")
    assert report["recall@20"] >= 0.1849
    assert report["ndcg@20"] >= 0.1518


def test_data_without_interactions_are_refused():
    data = tm.Dataset.from_interactions({"user": [1, 2], "item": ["tea", "jam"]})
    with pytest.raises(tm.DataError, match="graph_filter needs interactions, and interactions has none"):
        tm.GraphFilter().fit(data.select(np.zeros(2, np.bool_)))
