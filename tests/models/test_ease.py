"""EASE against the closed form written down in NumPy, its orientation, and its limits."""

import numpy as np
import pytest

import tastemaker as tm
from tastemaker.models import ease, inverse, memory


def feedback(seed: int, users: int = 60, items: int = 25, weighted: bool = True) -> tm.Dataset:
    rng = np.random.default_rng(seed)
    who, what = np.nonzero(rng.random((users, items)) < 0.25)
    order = rng.permutation(len(who))
    table = {"user": who[order], "item": what[order], "rating": rng.integers(1, 6, len(who))}
    data = tm.Dataset.from_interactions(table, rating="rating", scale=(1, 5))
    return data.with_columns(weight=rng.uniform(0.5, 2, len(data)) if weighted else None)


def by_numpy(data: tm.Dataset, regularization: float) -> tuple[np.ndarray, np.ndarray]:
    """B and the scores X·B, as in section 3.1 of the paper."""
    x = (data.matrix().toarray() * data.matrix("weight").toarray()).astype(np.float64)
    gram = x.T @ x
    gram[np.diag_indices(len(gram))] += regularization
    p = np.linalg.inv(gram)
    b = p / -np.diag(p)
    b[np.diag_indices(len(b))] = 0
    return b, x @ b


def all_scores(model: tm.EASE, data: tm.Dataset) -> np.ndarray:
    grid = np.indices((data.n_users, data.n_items)).reshape(2, -1).astype(np.int32)
    return model.predict_codes(*grid).reshape(data.n_users, data.n_items)


@pytest.mark.parametrize("regularization", [2.0, 50.0, 1000.0])
def test_equal_to_the_closed_form_in_numpy(regularization):
    data = feedback(1)
    model = tm.EASE(regularization=regularization).fit(data)
    weights, scores = by_numpy(data, regularization)
    np.testing.assert_allclose(model._fitted.state.weights, weights, atol=1e-5)
    np.testing.assert_allclose(all_scores(model, data), scores, atol=1e-5 * np.abs(scores).max())


def test_equal_to_the_closed_form_across_tiles(monkeypatch):
    monkeypatch.setattr(inverse, "TILE", 8)
    data = feedback(2, weighted=False)
    weights, _ = by_numpy(data, 30.0)
    np.testing.assert_allclose(
        tm.EASE(regularization=30.0).fit(data)._fitted.state.weights, weights, atol=1e-5
    )


def test_the_weights_minimize_the_loss_with_a_diagonal_of_zeros():
    """A property of the minimum, whatever formula led there: the gradient is 0 off the diagonal."""
    data = feedback(3)
    x = (data.matrix().toarray() * data.matrix("weight").toarray()).astype(np.float64)
    b = tm.EASE(regularization=20.0).fit(data)._fitted.state.weights.astype(np.float64)
    gradient = -x.T @ (x - x @ b) + 20.0 * b
    np.fill_diagonal(gradient, 0)
    assert np.abs(gradient).max() < 1e-3
    assert (np.diag(b) == 0).all()


def test_scores_are_x_times_b_and_not_its_transpose():
    """Everybody has bread, few have saffron: bread says little for saffron, saffron says much for bread."""
    table = {"user": [1, 2, 3, 4, 5, 6, 6], "item": ["bread"] * 6 + ["saffron"]}
    model = tm.EASE(regularization=1.0).fit(tm.Dataset.from_interactions(table))
    # XᵀX + I = [[7, 1], [1, 2]], so P = [[2, −1], [−1, 7]] / 13, and B[bread, saffron] = 1/7, B[saffron, bread] = 1/2
    assert model.similar_items(["bread"], k=1).scores[0, 0] == pytest.approx(1 / 7)
    assert model.similar_items(["saffron"], k=1).scores[0, 0] == pytest.approx(1 / 2)
    assert model.predict([1], ["saffron"])[0] == pytest.approx(1 / 7)
    assert model.recommend(history=[["saffron"]], k=1).scores[0, 0] == pytest.approx(1 / 2)


def test_weights_of_the_history_count():
    data = feedback(4, weighted=False)
    model = tm.EASE(regularization=20.0).fit(data)
    single, double = (model.recommend(history=[{3: rating, 5: 2.0}], k=23) for rating in (1.0, 2.0))
    weights = model._fitted.state.weights
    rows = weights[data.items.encode([3, 5])]
    for found, rating in ((single, 1.0), (double, 2.0)):
        np.testing.assert_allclose(
            found.scores[0], (rating * rows[0] + 2 * rows[1])[found.items[0]], atol=1e-6
        )


def test_reasons_are_the_items_of_the_history_and_add_up():
    data = feedback(5)
    model = tm.EASE(regularization=20.0).fit(data)
    user = data.users.decode(np.array([7]))[0]
    explanation = model.explain(user, 3)
    assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score, abs=1e-5)
    assert len(explanation.reasons) >= len(data.by_user[7:8].indices) - 1
    sizes = [abs(r.contribution) for r in explanation.reasons]
    assert sizes == sorted(sizes, reverse=True)


def test_items_that_nobody_had_are_not_recommended_and_say_nothing():
    data = feedback(6)
    cold = int(data.item[0])
    model = tm.EASE().fit(data.select(data.item != cold))
    cold_id = data.items.decode(np.array([cold]))[0]
    assert all(cold_id not in items for items in model.recommend(k=25).lists())
    assert model.recommend(history=[[cold_id]], k=5).lists() == [[]]


def test_a_catalogue_too_large_for_the_memory_is_refused_before_anything_is_done(monkeypatch):
    monkeypatch.setattr(ease, "available_memory", lambda: 2000)
    with pytest.raises(tm.DataError, match=r"ease holds 25 × 25 numbers.*SLIM and ItemKNN"):
        tm.EASE().fit(feedback(7))


def test_the_memory_there_is_is_known_here():
    there = memory.available_memory()
    assert there is None or there > 1 << 20


def test_a_regularization_that_leaves_a_singular_matrix_says_so():
    table = {"user": [u for u in range(40) for _ in range(2)], "item": ["a", "b"] * 40}
    with pytest.raises(tm.DataError, match="regularization=1e-09 is too small"):
        tm.EASE(regularization=1e-9).fit(tm.Dataset.from_interactions(table))
    with pytest.raises(ValueError, match="regularization must be a number above 0, got 0"):
        tm.EASE(regularization=0)
