"""ImplicitALS: what is learned, folding in, new items, updates, explanations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tastemaker import Dataset, datasets
from tastemaker._native.als import Loss, loss_numpy
from tastemaker._native.neighbors import Csr
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.models import implicit_als
from tastemaker.models.implicit_als import ImplicitALS

GROUPS, PER_GROUP = 4, 15


def world(users: int = 240, likes: int = 9, noise: int = 2, seed: int = 0) -> Dataset:
    """Users who like items of their own group, and a few others; weights between 1 and 2."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        own = rng.choice(PER_GROUP, likes, replace=False) + PER_GROUP * (user % GROUPS)
        other = rng.choice(GROUPS * PER_GROUP, noise, replace=False)
        rows += [(f"u{user}", f"i{i}", rng.uniform(1, 2)) for i in {*own.tolist(), *other.tolist()}]
    table = pl.DataFrame(rows, schema=["user", "item", "weight"], orient="row")
    return Dataset.from_interactions(table, weight="weight")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return world()


@pytest.fixture(scope="module")
def model(data: Dataset) -> ImplicitALS:
    return ImplicitALS(factors=8).fit(data)


def given(data: Dataset, rows: slice) -> Queries:
    history = data.by_user[rows]
    return Queries(np.full(len(history), -1, np.int32), history, np.ones(len(history), np.bool_))


def test_lists_hold_what_the_group_likes(model: ImplicitALS, data: Dataset) -> None:
    """Six items of the group are unseen; by chance a quarter of a list would be of the group."""
    hits = [
        int(item[1:]) // PER_GROUP == int(user[1:]) % GROUPS
        for user, items in zip(data.users.ids, model.recommend(k=4).lists(), strict=True)
        for item in items
    ]
    assert np.mean(hits) > 0.9


@pytest.mark.parametrize("loss", ["ials", "hu"])
@pytest.mark.parametrize("solver", ["cg", "cholesky", "subspace"])
def test_the_loss_reported_is_the_loss(data: Dataset, solver: str, loss: str) -> None:
    model = ImplicitALS(factors=40, solver=solver, loss=loss, epochs=5).fit(data)  # type: ignore[arg-type]
    state, rows = model._fitted.state, data.by_user
    formula = Loss(
        model.unobserved_weight, model.regularization, model.regularization_exponent, hu=loss == "hu"
    )
    whole = loss_numpy(
        Csr(rows.indptr, rows.indices, rows.weight), state.user_factors, state.item_factors, formula
    )
    assert state.history[-1] == pytest.approx(whole, rel=1e-4)
    assert (np.diff(state.history) <= 1e-5 * state.history[0]).all()


@pytest.mark.parametrize(("limit", "chosen"), [(1.0, "cholesky"), (0.99, "cg")])
def test_the_solver_is_chosen_by_the_work(
    data: Dataset, limit: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implicit_als, "_EXACT", limit * 2 * 3 * len(data) * 40**2)
    automatic, named = (
        ImplicitALS(factors=40, epochs=3, solver=solver).fit(data)._fitted.state
        for solver in ("auto", chosen)
    )
    assert automatic.history.tobytes() == named.history.tobytes()


@pytest.mark.parametrize("factors", [5, 40, 64])
def test_folding_in_the_history_gives_the_learned_factors_to_the_bit(data: Dataset, factors: int) -> None:
    model = ImplicitALS(factors=factors, epochs=3).fit(data)
    folded = model._query_vectors(model._fitted, given(data, slice(None)))
    assert folded.tobytes() == model._fitted.state.user_factors.tobytes()


def furthest_from_exact(model: ImplicitALS, histories: History) -> float:
    """How far folded-in vectors are from a float64 solution with the item factors fixed, in shares of its largest entry."""
    queries = Queries(np.full(len(histories), -1, np.int32), histories, np.ones(len(histories), np.bool_))
    folded = model._query_vectors(model._fitted, queries)
    y = model._fitted.state.item_factors.astype(np.float64)
    gram = model.unobserved_weight * y.T @ y
    exact = np.empty_like(folded, np.float64)
    for q in range(len(histories)):
        row = histories[q : q + 1]
        own, w = y[row.indices], row.weight.astype(np.float64)
        spread = w.sum() + model.unobserved_weight * len(y)
        penalty = model.regularization * spread**model.regularization_exponent
        matrix = gram + (own.T * w) @ own + penalty * np.eye(y.shape[1])
        exact[q] = np.linalg.solve(matrix, own.T @ w)
    return float(np.abs(folded - exact).max() / np.abs(exact).max())


def test_folding_in_solves_the_normal_equations(model: ImplicitALS) -> None:
    held_out = world(users=1000, seed=9)
    codes = model.catalogue.items.encode(held_out.items.ids)
    history = replace(held_out.by_user, indices=codes[held_out.by_user.indices])
    assert furthest_from_exact(model, history) < 1e-4


@pytest.mark.real_data
@pytest.mark.parametrize("solver", ["cg", "cholesky", "subspace"])
def test_a_thousand_real_users_who_were_held_out_are_folded_in_exactly(real_data: Path, solver: str) -> None:
    data = datasets.load("ml-1m").implicit()
    mine = np.isin(data.user, np.random.default_rng(0).choice(data.n_users, 1000, replace=False))
    model = ImplicitALS(factors=64, epochs=3, solver=solver).fit(data.select(~mine))  # type: ignore[arg-type]
    held_out = data.select(mine)
    codes = model.catalogue.items.encode(data.items.ids)[held_out.item]
    known = codes >= 0  # the model has never seen a few items
    rated = held_out.select(known)
    columns = rated.value, rated.weight, rated.timestamp
    history = History.group(rated.user, codes[known], *columns, n_rows=data.n_users)
    history = history.take(np.flatnonzero(history.lengths))
    assert len(history) == 1000
    assert furthest_from_exact(model, history) < 1e-4


def test_explanations_sum_to_the_score(model: ImplicitALS, data: Dataset) -> None:
    item = model.recommend(["u3"], k=1).lists()[0][0]
    explanation = model.explain("u3", item)
    assert sum(r.contribution for r in explanation.reasons) == pytest.approx(explanation.score, rel=1e-4)
    assert {r.what for r in explanation.reasons} == set(data.items.decode_list(data.by_user[3:4].indices))


def test_weights_count_like_repetitions(data: Dataset) -> None:
    """Twice the weight everywhere, and twice the weight of the unobserved, is twice the loss at the same factors."""
    twice = data.with_columns(weight=data.weight * 2)
    one = ImplicitALS(factors=4, regularization_exponent=1.0, solver="cholesky").fit(data)
    two = ImplicitALS(factors=4, regularization_exponent=1.0, unobserved_weight=0.2, solver="cholesky").fit(
        twice
    )
    np.testing.assert_allclose(one.recommend(k=3).scores, two.recommend(k=3).scores, rtol=2e-3)


def table(data: Dataset, rows: np.ndarray) -> pl.DataFrame:
    return data.select(rows).to_frame(["weight"])


def test_a_new_item_is_folded_in_from_its_interactions(data: Dataset) -> None:
    new = data.item == data.items.encode(["i7"])[0]
    model = ImplicitALS(factors=8).fit(Dataset.from_interactions(table(data, ~new), weight="weight"))
    larger = model.fold_in_items(Dataset.from_interactions(table(data, new), weight="weight"))
    similar = larger.similar_items(["i7"], k=5).lists()[0]
    assert all(int(item[1:]) < PER_GROUP for item in similar)
    assert "i7" not in model.catalogue.items.ids
    others = ["i0", "i20", "i40"]
    np.testing.assert_array_equal(larger.predict(["u1"] * 3, others), model.predict(["u1"] * 3, others))


def test_an_update_knows_new_users_items_and_interactions(data: Dataset) -> None:
    late = np.zeros(len(data), np.bool_)
    late[np.random.default_rng(0).choice(len(data), len(data) // 50, replace=False)] = True
    late |= np.isin(data.user, [0, 1]) | (data.item == data.items.encode(["i7"])[0])
    model = ImplicitALS(factors=8).fit(Dataset.from_interactions(table(data, ~late), weight="weight"))
    before = model._fitted.state.user_factors.tobytes()
    updated = model.update(Dataset.from_interactions(table(data, late), weight="weight"))
    refit = ImplicitALS(factors=8).fit(data)
    assert model._fitted.state.user_factors.tobytes() == before
    for user in ("u0", "u5"):
        assert (
            len(set(updated.recommend([user], k=5).lists()[0]) & set(refit.recommend([user], k=5).lists()[0]))
            >= 3
        )
    everyone, everything = list(data.users.ids), ["i7"] * data.n_users
    close = np.corrcoef(updated.predict(everyone, everything), refit.predict(everyone, everything))[0, 1]
    assert close > 0.95
