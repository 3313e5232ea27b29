"""SLIM against scikit-learn's elastic net, and by hand."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

import tastemaker as tm


def feedback(seed: int, users: int = 80, items: int = 15) -> tm.Dataset:
    rng = np.random.default_rng(seed)
    taste = rng.random((users, 2)) @ rng.random((2, items))
    who, what = np.nonzero(rng.random((users, items)) < taste * 0.6)
    order = rng.permutation(len(who))
    data = tm.Dataset.from_interactions({"user": who[order], "item": what[order]})
    return data.with_columns(weight=rng.uniform(0.5, 2, len(data)))


def weights_of(model: tm.SLIM, items: int) -> np.ndarray:
    return model._fitted.state.rows.scipy(items).toarray()


@pytest.mark.parametrize("non_negative", [True, False])
@pytest.mark.parametrize(("l1", "l2"), [(1.0, 2.0), (4.0, 0.5), (0.2, 20.0)])
def test_equal_to_the_elastic_net_of_scikit_learn(l1, l2, non_negative):
    data = feedback(1)
    x = data.matrix("weight").toarray().astype(np.float64)
    model = tm.SLIM(neighbors=100, l1=l1, l2=l2, non_negative=non_negative).fit(data)
    n = data.n_users  # its objective is ours over n
    peer = ElasticNet(
        alpha=(l1 + l2) / n,
        l1_ratio=l1 / (l1 + l2),
        positive=non_negative,
        fit_intercept=False,
        tol=1e-10,
        max_iter=100_000,
    )
    for item in range(data.n_items):
        others = np.arange(data.n_items) != item
        expected = np.zeros(data.n_items)
        expected[others] = peer.fit(x[:, others], x[:, item]).coef_
        np.testing.assert_allclose(weights_of(model, data.n_items)[:, item], expected, atol=2e-3)


def test_scores_are_x_times_w_and_not_its_transpose():
    """Everybody has bread, few have saffron: bread says little for saffron, saffron says much for bread."""
    table = {"user": [1, 2, 3, 4, 5, 6, 6], "item": ["bread"] * 6 + ["saffron"]}
    model = tm.SLIM(l1=0.5, l2=1.0).fit(tm.Dataset.from_interactions(table))
    # one user of both: from bread to saffron (1 − l1) / (6 + l2), back (1 − l1) / (1 + l2)
    assert model.predict([1], ["saffron"])[0] == pytest.approx(0.5 / 7)
    assert model.recommend(history=[["saffron"]], k=1).scores[0, 0] == pytest.approx(0.5 / 2)


def test_scores_and_reasons_add_up_over_the_history():
    data = feedback(2)
    model = tm.SLIM(l1=1.0, l2=2.0).fit(data)
    expected = data.matrix("weight").toarray() @ weights_of(model, data.n_items)
    codes = np.indices((data.n_users, data.n_items)).reshape(2, -1).astype(np.int32)
    scores = model.predict_codes(*codes).reshape(expected.shape)
    assert (np.isnan(scores) == (expected == 0)).all()
    np.testing.assert_allclose(np.nan_to_num(scores), expected, atol=1e-5)
    user, item = np.argwhere(expected > 0)[0]
    explanation = model.explain(
        data.users.decode(np.array([user]))[0], data.items.decode(np.array([item]))[0]
    )
    assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score, abs=1e-5)


def test_a_strong_l1_leaves_no_weights_and_so_no_scores():
    data = feedback(3)
    model = tm.SLIM(l1=1e6).fit(data)
    assert len(model._fitted.state.weights) == 0
    assert model.recommend(k=5).lists() == [[]] * data.n_users


def test_few_neighbors_keep_few_weights():
    data = feedback(4)
    weights = weights_of(tm.SLIM(neighbors=3, l1=0.0).fit(data), data.n_items)
    assert ((weights != 0).sum(axis=0) <= 3).all()
    assert (np.diag(weights) == 0).all()


@pytest.mark.parametrize("wrong", [{"neighbors": 0}, {"l1": -1}, {"l2": float("nan")}])
def test_hyper_parameters_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        tm.SLIM(**wrong)
