"""Matrix factorization: what is learned, folding in, early stopping, explanations, and the error on real ratings."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tastemaker import DataError, Dataset
from tastemaker._native import set_threads, threads
from tastemaker.data.queries import Queries, queries_from_ids
from tastemaker.models.matrix_factorization import MatrixFactorization

MF = MatrixFactorization


def world(
    users: int = 300, items: int = 120, per_user: int = 40, noise: float = 0.3, seed: int = 0
) -> Dataset:
    """Ratings from 1 to 5 made of biases, two true factors and noise."""
    rng = np.random.default_rng(seed)
    taste, content = rng.normal(0, 0.7, (users, 2)), rng.normal(0, 0.9, (items, 2))
    truth = 3 + rng.normal(0, 0.4, (users, 1)) + rng.normal(0, 0.4, (1, items)) + taste @ content.T
    chosen = np.argsort(rng.random((users, items)), axis=1)[:, :per_user]
    rating = np.take_along_axis(truth, chosen, axis=1) + rng.normal(0, noise, chosen.shape)
    table = pl.DataFrame(
        {
            "user": np.repeat([f"u{u}" for u in range(users)], per_user),
            "item": [f"i{i}" for i in chosen.ravel()],
            "rating": rating.clip(1, 5).ravel(),
        }
    )
    return Dataset.from_interactions(
        table.sample(fraction=1, shuffle=True, seed=seed), rating="rating", scale=(1, 5)
    )


def halves(data: Dataset, share: float = 0.2) -> tuple[Dataset, Dataset]:
    test = np.random.default_rng(1).random(len(data)) < share
    return data.select(~test), data.select(test)


def rmse(model: MF, data: Dataset) -> float:
    return float(np.sqrt(np.mean((model.predict_codes(data.user, data.item) - data.value) ** 2)))


def state_bytes(model: MF) -> list[bytes]:
    state = model._fitted.state
    return [a.tobytes() for a in (state.user_factors, state.item_factors, state.user_bias, state.item_bias)]


def history_of(data: Dataset, user: int) -> dict[Any, float]:
    row = data.by_user[user : user + 1]
    return dict(zip(data.items.decode_list(row.indices), row.value.tolist(), strict=True))


@pytest.fixture(scope="module")
def split() -> tuple[Dataset, Dataset]:
    return halves(world())


@pytest.fixture(scope="module")
def model(split: tuple[Dataset, Dataset]) -> MF:
    return MF(factors=8, epochs=40).fit(split[0])


@pytest.fixture
def _same_threads_after() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


def test_factors_learn_what_biases_cannot(model: MF, split: tuple[Dataset, Dataset]) -> None:
    training, test = split
    biases_only = MF(factors=1, epochs=40).fit(training)
    state = biases_only._fitted.state
    state.user_factors[:] = 0
    deviation = float(test.value.std())
    assert rmse(model, test) < 0.6 * rmse(biases_only, test) < 0.6 * deviation


@pytest.mark.usefixtures("_same_threads_after")
def test_same_seed_same_bits_with_any_number_of_threads() -> None:
    data = world(users=800, items=200, per_user=60)  # 48,000 ratings: two groups of blocks
    learned = []
    for count in (1, 2):
        set_threads(count)
        learned.append(state_bytes(MF(factors=8, epochs=3, seed=5).fit(data)))
    assert learned[0] == learned[1]
    assert learned[0] != state_bytes(MF(factors=8, epochs=3, seed=6).fit(data))


def test_the_rating_scale_does_not_matter(model: MF, split: tuple[Dataset, Dataset]) -> None:
    training, test = split
    hundred = training.with_columns(
        value=training.value * 20 - 7, schema=replace(training.schema, scale=(13.0, 93.0))
    )
    stretched = MF(factors=8, epochs=40).fit(hundred).predict_codes(test.user, test.item)
    np.testing.assert_allclose(
        (stretched + 7) / 20, model.predict_codes(test.user, test.item), rtol=1e-3, atol=1e-3
    )


def test_only_the_ratio_of_weights_matters(split: tuple[Dataset, Dataset]) -> None:
    training = split[0]
    four_times = training.with_columns(weight=np.full(len(training), 4.0))
    assert state_bytes(MF(factors=2, epochs=2).fit(training)) == state_bytes(
        MF(factors=2, epochs=2).fit(four_times)
    )
    uneven = training.with_columns(weight=np.where(training.value > 3, 3.0, 1.0))
    lifted = MF(factors=2, epochs=10).fit(uneven)
    assert lifted._fitted.state.mean > MF(factors=2, epochs=10).fit(training)._fitted.state.mean


def test_predictions_stay_within_the_scale_and_lists_are_ranked_by_the_plain_score(model: MF) -> None:
    data = world()
    everyone = np.repeat(np.arange(data.n_users), data.n_items).astype(np.int32)
    everything = np.tile(np.arange(data.n_items), data.n_users).astype(np.int32)
    predictions = model.predict_codes(everyone, everything)
    assert predictions.min() == 1
    assert predictions.max() == 5
    lists = model.recommend(k=1, exclude_seen=False).to_polars()
    assert lists["score"].max() > 5


def test_who_and_what_has_no_ratings() -> None:
    ratings = {"user": ["a", "a", "b", "b"], "item": ["x", "y", "x", "z"], "rating": [5, 3, 4, 1]}
    data = Dataset.from_interactions(
        ratings, rating="rating", item_features={"item": ["x", "y", "z", "new"], "year": [1, 2, 3, 4]}
    )
    model = MF(factors=2).fit(data)
    state = model._fitted.state
    new = data.items.encode(["new"])[0]
    assert not state.item_factors[new].any()
    anonymous = model.predict(["nobody"], ["x"])
    x = data.items.encode(["x"])[0]
    assert anonymous == pytest.approx(state.mean + state.spread * state.item_bias[x])
    assert model.predict(["a"], ["new"]) == pytest.approx(state.mean + state.spread * state.user_bias[0])
    assert np.isnan(model.predict(["a"], ["unheard of"])).all()


def test_equal_ratings_are_predicted_as_they_are() -> None:
    data = Dataset.from_interactions(
        {"user": ["a", "a", "b"], "item": ["x", "y", "x"], "rating": [4, 4, 4]}, rating="rating"
    )
    assert MF().fit(data).predict(["a", "b", "nobody"], ["x", "y", "x"]) == pytest.approx([4, 4, 4])


def test_without_biases_there_is_only_the_inner_product(split: tuple[Dataset, Dataset]) -> None:
    training, test = split
    model = MF(factors=8, epochs=60, biases=False).fit(training)
    state = model._fitted.state
    assert state.mean == 0
    assert not state.user_bias.any()
    assert not state.item_bias.any()
    products = state.spread * np.einsum(
        "nf,nf->n", state.user_factors[test.user], state.item_factors[test.item]
    )
    np.testing.assert_allclose(
        model.predict_codes(test.user, test.item), products.clip(1, 5), rtol=1e-4, atol=1e-4
    )
    assert rmse(model, test) < 0.7 * test.value.std()


def test_a_folded_in_history_predicts_nearly_as_well_as_the_trained_user(
    model: MF, split: tuple[Dataset, Dataset]
) -> None:
    training, test = split
    users = np.arange(training.n_users)
    folded = model._score(model._fitted, _given(training, users))  # as for people never seen
    predicted = folded[test.user, test.item].clip(1, 5)
    error = float(np.sqrt(np.mean((predicted - test.value) ** 2)))
    assert error < 1.05 * rmse(model, test)
    trained = model.predict_codes(test.user, test.item)
    assert np.corrcoef(predicted, trained)[0, 1] > 0.98


def _given(data: Dataset, users: np.ndarray) -> Any:
    nobody = np.full(len(users), -1, np.int32)
    return Queries(nobody, data.by_user.take(users), np.ones(len(users), np.bool_))


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
    folded = model._score(model._fitted, _given(training, np.array([7])))[0]
    np.testing.assert_allclose(folded, expected, rtol=1e-4, atol=1e-4)


def test_a_history_has_the_same_bits_alone_and_in_a_batch(model: MF, split: tuple[Dataset, Dataset]) -> None:
    queries = _given(split[0], np.arange(20))
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


def test_early_stopping_keeps_the_best_epoch() -> None:
    training, test = halves(world(per_user=15, noise=1.2))
    options: dict[str, Any] = {
        "factors": 32, "epochs": 80, "learning_rate": 0.05, "regularization": 0.0
    }  # fmt: skip
    overfitted = MF(**options).fit(training)
    stopped = MF(**options, early_stopping=True).fit(training)
    epochs = stopped._fitted.state.epochs
    assert overfitted._fitted.state.epochs == 80
    assert 1 <= epochs <= 80 - stopped.patience
    assert rmse(stopped, test) < rmse(overfitted, test)


def test_early_stopping_waits_for_the_factors_to_grow() -> None:
    """With much noise the biases overfit, and the held-out error rises for epochs before the factors bring it down."""
    training, test = halves(world(noise=1.0))
    waited = MF(epochs=100, early_stopping=True).fit(training)
    hasty = MF(epochs=100, early_stopping=True, patience=1).fit(training)
    assert hasty._fitted.state.epochs < waited._fitted.state.epochs < 100
    assert rmse(waited, test) < 0.9 * rmse(hasty, test)


def test_early_stopping_learns_from_the_ratings_that_it_does_not_hold_out() -> None:
    data = Dataset.from_interactions(
        {"user": ["a", "b"], "item": ["x", "y"], "rating": [5, 1]}, rating="rating"
    )
    model = MF(factors=2, early_stopping=True, validation_fraction=0.5).fit(data)
    assert model._fitted.state.mean in (1.0, 5.0)


def test_explanations_add_up_to_the_folded_in_score(model: MF, split: tuple[Dataset, Dataset]) -> None:
    training = split[0]
    state = model._fitted.state
    query = _given(training, np.array([3]))
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


def test_implicit_feedback_prefers_what_is_had_to_what_is_not() -> None:
    """Two groups of users, each with its own half of the items: lists keep to it, but for what was drawn as a zero."""
    rng = np.random.default_rng(0)
    rows = [(u, i) for u in range(60) for i in range(40) if (u % 2 == i % 2) and rng.random() < 0.6]
    table = pl.DataFrame(rows, schema=["user", "item"], orient="row")
    model = MF(factors=4, epochs=40).fit(Dataset.from_interactions(table))
    lists = model.recommend(list(range(60)), k=5).lists()
    own = [item % 2 == user % 2 for user, found in enumerate(lists) for item in found]
    assert len(own) == 300
    assert np.mean(own) > 0.95


def test_a_learning_rate_that_diverges_is_named() -> None:
    with pytest.raises(ValueError, match=r"diverged in epoch \d+ of 50 with learning_rate=5"):
        MF(epochs=50, learning_rate=5.0).fit(world(users=50))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factors", 0),
        ("factors", 5000),
        ("epochs", 1.5),
        ("learning_rate", 0.0),
        ("regularization", -1.0),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("patience", 0),
        ("seed", -1),
    ],
)
def test_bad_hyper_parameters_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        MF(**{name: value})


def test_ratings_without_weight_are_refused() -> None:
    data = Dataset.from_interactions(
        {"user": ["a"], "item": ["x"], "rating": [3], "weight": [0]}, rating="rating", weight="weight"
    )
    with pytest.raises(DataError, match="weight above 0"):
        MF().fit(data)


def real_ratings(folder: Path, name: str, file: str, separator: str) -> Dataset:
    rows = [line.split(separator)[:3] for line in (folder / name / file).read_text().splitlines()]
    table = pl.DataFrame(np.array(rows, np.int64), schema=["user", "item", "rating"], orient="row")
    return Dataset.from_interactions(table, rating="rating", scale=(1, 5))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "file", "separator", "bar"),
    [("ml-100k", "u.data", "\t", 0.910), ("ml-1m", "ratings.dat", "::", 0.850)],
)
def test_five_fold_error_with_the_defaults(
    real_data: Path, name: str, file: str, separator: str, bar: float
) -> None:
    """Better than SVD++ elsewhere (.919 and .862), with the same settings for both sets."""
    data = real_ratings(real_data, name, file, separator)
    fold = np.random.default_rng(0).permutation(len(data)) % 5
    errors = [rmse(MF().fit(data.select(fold != f)), data.select(fold == f)) for f in range(5)]
    assert np.mean(errors) <= bar


@pytest.mark.real_data
def test_users_never_trained_on_are_predicted_nearly_as_well(real_data: Path) -> None:
    """A tenth of the users left out of training and folded in: at most 2 % more error than had they been trained."""
    data = real_ratings(real_data, "ml-100k", "u.data", "\t")
    training, test = halves(data)
    new = np.arange(data.n_users) % 10 == 0
    test = test.select(new[test.user])
    without = MF().fit(training.select(~new[training.user]))
    folded = without._score(without._fitted, _given(training, np.arange(data.n_users)))
    predicted = folded[test.user, test.item].clip(1, 5)
    error = float(np.sqrt(np.mean((predicted - test.value) ** 2)))
    assert error < 1.02 * rmse(MF().fit(training), test)
