"""PureSVD against NumPy's singular value decomposition."""

import numpy as np
import pytest
import scipy.sparse as sp

import tastemaker as tm
from tastemaker.models import singular
from tastemaker.models.singular import right_singular_vectors


def feedback(seed: int, users: int = 60, items: int = 25) -> tm.Dataset:
    rng = np.random.default_rng(seed)
    who, what = np.nonzero(rng.random((users, items)) < 0.25)
    order = rng.permutation(len(who))
    data = tm.Dataset.from_interactions({"user": who[order], "item": what[order]})
    return data.with_columns(weight=rng.uniform(0.5, 2, len(data)))


def all_scores(model: tm.PureSVD, data: tm.Dataset) -> np.ndarray:
    grid = np.indices((data.n_users, data.n_items)).reshape(2, -1).astype(np.int32)
    return model.predict_codes(*grid).reshape(data.n_users, data.n_items)


@pytest.mark.parametrize("factors", [1, 6, 24])
def test_scores_are_the_best_approximation_of_that_rank(factors):
    data = feedback(1)
    u, s, vt = np.linalg.svd(data.matrix("weight").toarray().astype(np.float64))
    expected = u[:, :factors] * s[:factors] @ vt[:factors]
    np.testing.assert_allclose(all_scores(tm.PureSVD(factors=factors).fit(data), data), expected, atol=1e-5)


def test_with_all_factors_the_scores_are_the_data_themselves():
    data = feedback(2)
    model = tm.PureSVD(factors=500).fit(data)
    np.testing.assert_allclose(all_scores(model, data), data.matrix("weight").toarray(), atol=1e-5)


@pytest.mark.parametrize("shape", [(80, 50), (50, 80)])
@pytest.mark.parametrize("small", [0, 1024])
def test_vectors_span_what_numpy_finds_by_either_way(shape, small, monkeypatch):
    monkeypatch.setattr(singular, "_DENSE", small)
    matrix = sp.random_array(shape, density=0.2, rng=np.random.default_rng(0), format="csr")
    found = right_singular_vectors(matrix, 7, seed=0)
    _, _, vt = np.linalg.svd(matrix.toarray())
    np.testing.assert_allclose(np.abs(found.T @ vt[:7].T), np.eye(7), atol=1e-4)
    assert (found[np.abs(found).argmax(axis=0), np.arange(7)] > 0).all()


def test_directions_without_a_singular_value_are_left_out():
    ones = sp.csr_array(np.ones((6, 4)))
    assert right_singular_vectors(ones, 3, seed=0).tolist() == [[0.5]] * 4
    assert right_singular_vectors(ones.T.tocsr(), 3, seed=0).shape == (6, 1)


def test_a_new_user_with_the_same_history_is_answered_alike():
    data = feedback(3)
    model = tm.PureSVD(factors=8).fit(data.with_columns(weight=np.ones(len(data))))
    user = data.users.decode(np.array([4]))[0]
    items = data.items.decode(data.by_user[4:5].indices).to_list()
    known, new = model.recommend([user], k=5), model.recommend(history=[items], k=5)
    assert known.lists() == new.lists()
    assert known.scores.tobytes() == new.scores.tobytes()


def test_reasons_add_up_to_the_score():
    data = feedback(4)
    model = tm.PureSVD(factors=8).fit(data)
    for code in range(5):
        explanation = model.explain(data.users.decode(np.array([code]))[0], 3)
        assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score, abs=1e-5)


def test_items_that_nobody_had_are_not_recommended_and_say_nothing():
    data = feedback(5)
    cold = int(data.item[0])
    model = tm.PureSVD(factors=8).fit(data.select(data.item != cold))
    cold_id = data.items.decode(np.array([cold]))[0]
    assert all(cold_id not in items for items in model.recommend(k=25).lists())
    assert model.recommend(history=[[cold_id]], k=5).lists() == [[]]
    assert model.recommend(k=5, diversify=0.5).lists()[0]
