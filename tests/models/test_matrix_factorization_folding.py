"""Matrix factorization: folding in users and items, and explanations, which rest on it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.mf_data import MF, given, halves, real_ratings, rmse, state_bytes, world
from tastemaker import DataError, Dataset
from tastemaker.data.queries import queries_from_ids


@pytest.fixture(scope="module")
def split() -> tuple[Dataset, Dataset]:
    return halves(world())


@pytest.fixture(scope="module")
def model(split: tuple[Dataset, Dataset]) -> MF:
    return MF(factors=8, epochs=40).fit(split[0])


def test_a_folded_in_history_predicts_nearly_as_well_as_the_trained_user(
    model: MF, split: tuple[Dataset, Dataset]
) -> None:
    training, test = split
    users = np.arange(training.n_users)
    folded = model._score(model._fitted, given(training, users))  # as for people never seen
    predicted = folded[test.user, test.item].clip(1, 5)
    error = float(np.sqrt(np.mean((predicted - test.value) ** 2)))
    assert error < 1.05 * rmse(model, test)
    trained = model.predict_codes(test.user, test.item)
    assert np.corrcoef(predicted, trained)[0, 1] > 0.98


def test_folding_in_is_the_ridge_regression_with_the_items_fixed(
    model: MF, split: tuple[Dataset, Dataset]
) -> None:
    training = split[0]
    state = model._fitted.state
    row = training.by_user[7:8]
    x = np.hstack([np.ones((len(row.indices), 1)), state.item_factors[row.indices]])
    y = (row.value - state.mean) / state.spread - state.item_bias[row.indices]
    w = np.linalg.solve(x.T @ x + model.regularization * len(y) * np.eye(9), x.T @ y)
    expected = state.mean + state.spread * (w[0] + state.item_bias + state.item_factors @ w[1:])
    folded = model._score(model._fitted, given(training, np.array([7])))[0]
    np.testing.assert_allclose(folded, expected, rtol=1e-4, atol=1e-4)


def test_a_history_has_the_same_bits_alone_and_in_a_batch(model: MF, split: tuple[Dataset, Dataset]) -> None:
    queries = given(split[0], np.arange(20))
    together = model._score(model._fitted, queries)
    for q in range(20):
        assert model._score(model._fitted, queries[q : q + 1])[0].tobytes() == together[q].tobytes()


def test_new_items_are_folded_in_from_their_ratings(split: tuple[Dataset, Dataset]) -> None:
    training, test = split
    new = np.arange(0, training.n_items, 10).astype(np.int32)
    known_table = _table(training, ~np.isin(training.item, new))
    known = Dataset.from_interactions(known_table, rating="rating", scale=(1, 5))
    model = MF(factors=8, epochs=40).fit(known)
    before = state_bytes(model)
    arrived = Dataset.from_interactions(
        _table(training, np.isin(training.item, new)), rating="rating", scale=(1, 5)
    )
    larger = model.fold_in_items(arrived)

    held_out = _table(test, np.isin(test.item, new))
    predicted = larger.predict(held_out["user"], held_out["item"])
    error = float(np.sqrt(np.mean((predicted - held_out["rating"].to_numpy()) ** 2)))
    trained = MF(factors=8, epochs=40).fit(training).predict(held_out["user"], held_out["item"])
    assert error < 1.1 * np.sqrt(np.mean((trained - held_out["rating"].to_numpy()) ** 2))

    assert state_bytes(model) == before
    assert np.isnan(model.predict(held_out["user"], held_out["item"])).all()
    assert larger.parameters() == model.parameters()
    others = _table(test, ~np.isin(test.item, new))
    np.testing.assert_array_equal(
        larger.predict(others["user"], others["item"]), model.predict(others["user"], others["item"])
    )
    seen = set(zip(arrived.to_frame()["user"], arrived.to_frame()["item"], strict=True))
    listed = larger.recommend(k=20).to_polars()
    assert set(training.items.decode_list(new)) & set(listed["item"])
    assert not seen & set(zip(listed["user"], listed["item"], strict=True))


def _table(data: Dataset, rows: np.ndarray) -> pl.DataFrame:
    return data.select(rows).to_frame(["value"]).rename({"value": "rating"})


def test_features_of_new_items_join_those_of_the_known() -> None:
    table = {"user": ["a", "a", "b"], "item": ["x", "y", "x"], "rating": [5, 3, 4]}
    films = {"item": ["x", "y"], "year": [1999, 2001], "genre": ["drama", "space"]}
    model = MF(factors=2).fit(Dataset.from_interactions(table, rating="rating", item_features=films))
    arrived = Dataset.from_interactions(
        {"user": ["a", "stranger"], "item": ["z", "z"], "rating": [5, 1]},
        rating="rating",
        item_features={"item": ["z"], "year": [2024]},
    )
    larger = model.fold_in_items(arrived)
    assert larger.catalogue.item_features.rows() == [(1999, "drama"), (2001, "space"), (2024, None)]
    assert larger.recommend(["b"], filter=pl.col("year") > 2020).lists() == [["z"]]
    assert larger.recommend(["a"], exclude_seen=True).lists() == [[]]  # a has seen z, too


def test_folding_in_items_needs_ratings() -> None:
    table = {"user": ["a", "b"], "item": ["x", "y"]}
    implicit = Dataset.from_interactions(table)
    model = MF(factors=2).fit(Dataset.from_interactions({**table, "rating": [1, 2]}, rating="rating"))
    with pytest.raises(DataError, match="needs ratings"):
        model.fold_in_items(implicit)


def test_explanations_add_up_to_the_folded_in_score(model: MF, split: tuple[Dataset, Dataset]) -> None:
    training = split[0]
    state = model._fitted.state
    query = given(training, np.array([3]))
    for item in (0, 11, 57):
        reasons = model._explain(model._fitted, query, item)
        folded = model._score(model._fitted, query)[0, item]
        known = state.mean + state.spread * state.item_bias[item]
        assert sum(r.contribution for r in reasons) == pytest.approx(folded - known, abs=1e-3)
        assert {r.what for r in reasons} == set(query.history.indices.tolist())


def test_explanation_names_the_rating_that_brought_the_item() -> None:
    """Two genres; who rated one film of a genre high is told so for its other films."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"{genre}{film}", 5 if (u % 2 == 0) == (genre == "crime") else 1)
        for u in range(60)
        for genre in ("crime", "space")
        for film in range(8)
        if rng.random() < 0.6
    ]
    table = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    model = MF(factors=4, epochs=60).fit(Dataset.from_interactions(table, rating="rating"))
    found = model.recommend(history=[{"crime0": 5, "space0": 1}], k=3, explain=True)
    assert all(item.startswith("crime") for item in found.lists()[0])
    fitted = model._fitted
    query = queries_from_ids(fitted.catalogue, history=[{"crime0": 5, "space0": 1}])
    reasons = model._explain(fitted, query, int(fitted.catalogue.items.encode(["crime1"])[0]))
    assert all(r.contribution > 0 for r in reasons)  # liking crime and disliking space both speak for it
    similar = model.similar_items(["crime1"], k=7).lists()[0]
    assert all(item.startswith("crime") for item in similar)


@pytest.mark.real_data
def test_users_never_trained_on_are_predicted_nearly_as_well(real_data: Path) -> None:
    """A tenth of the users left out of training and folded in: at most 2 % more error than had they been trained."""
    data = real_ratings(real_data, "ml-100k", "u.data", "\t")
    training, test = halves(data)
    new = np.arange(data.n_users) % 10 == 0
    test = test.select(new[test.user])
    without = MF().fit(training.select(~new[training.user]))
    folded = without._score(without._fitted, given(training, np.arange(data.n_users)))
    predicted = folded[test.user, test.item].clip(1, 5)
    error = float(np.sqrt(np.mean((predicted - test.value) ** 2)))
    assert error < 1.02 * rmse(MF().fit(training), test)
