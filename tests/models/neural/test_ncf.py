"""GMF, MLP and NeuMF: the forward pass by hand, what they learn, what they start from, and that answering needs no torch."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import tastemaker as tm
from tastemaker.errors import DataError
from tastemaker.models.neural import ncf_training
from tastemaker.models.neural.losses import logistic
from tastemaker.models.neural.ncf import NCFState, Shape, scores_of
from tastemaker.models.neural.ncf_training import NCFNetwork, TakenAndNot, discounted_rank
from tastemaker.models.neural.training import generator_for

CPU = torch.device("cpu")
SHAPES = {"gmf": Shape(3, ()), "mlp": Shape(0, (8, 5, 2)), "neumf": Shape(3, (8, 5, 2))}


def random_network(shape: Shape, users: int = 6, items: int = 9) -> NCFNetwork:
    network = NCFNetwork(shape, users, items, generator_for(3, -1))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator)
    return network


def by_hand(state: NCFState, user: int, item: int) -> float:
    """The formula, one number after another, in float64."""
    score = float(state.bias)
    for h, p, q in zip(state.head, state.user_factors[user], state.item_factors[item], strict=True):
        score += float(h) * float(p) * float(q)
    hidden = [float(x) for x in (*state.user_inputs[user], *state.item_inputs[item])]
    for layer, (weight, bias) in enumerate(zip(state.weights, state.biases, strict=True)):
        out = [
            sum(float(w) * x for w, x in zip(row, hidden, strict=True)) + float(b)
            for row, b in zip(weight, bias, strict=True)
        ]
        last = layer == len(state.weights) - 1
        hidden = out if last else [max(0.0, x) for x in out]
    return score + (hidden[0] if state.weights else 0.0)


@pytest.mark.parametrize("name", SHAPES)
def test_training_and_serving_compute_the_formula(name):
    network = random_network(SHAPES[name])
    state = network.state(np.ones(9, np.bool_))
    expected = np.array([[by_hand(state, u, i) for i in range(9)] for u in range(6)])
    np.testing.assert_allclose(scores_of(state, np.arange(6)), expected, rtol=1e-4, atol=1e-4)
    ids = torch.cat([torch.arange(6).unsqueeze(1), torch.arange(9).expand(6, 9) + 6], dim=1)
    with torch.no_grad():
        np.testing.assert_allclose(network(ids).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_an_item_without_interactions_has_no_score():
    known = np.ones(9, np.bool_)
    known[4] = False
    scores = scores_of(random_network(SHAPES["neumf"]).state(known), np.arange(6))
    assert np.isnan(scores[:, 4]).all()
    assert np.isfinite(np.delete(scores, 4, axis=1)).all()


def test_neumf_starts_as_half_the_sum_of_what_was_learned_alone():
    product, tower = random_network(SHAPES["gmf"]), random_network(SHAPES["mlp"])
    both = NCFNetwork(SHAPES["neumf"], 6, 9, generator_for(0, -1))
    both.start_from(product, tower)
    known, users = np.ones(9, np.bool_), np.arange(6)
    alone = [scores_of(part.state(known), users) for part in (product, tower)]
    np.testing.assert_allclose(scores_of(both.state(known), users), 0.5 * (alone[0] + alone[1]), atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_the_kernel_s_loss_and_gradients_are_those_of_torch(name, weighted):
    network = random_network(SHAPES[name])
    rng = np.random.default_rng(5)
    ids = torch.from_numpy(np.column_stack([rng.integers(0, 6, 20), rng.integers(6, 15, (20, 3))]))
    weights = torch.from_numpy(rng.uniform(0.5, 2, 20).astype(np.float32)) if weighted else None
    label, weight = torch.zeros(20, 3), torch.ones(20, 3)
    label[:, 0] = 1
    if weights is not None:
        weight[:, 0] = weights
    by_torch = logistic(network(ids), label, weight)
    expected = torch.autograd.grad(by_torch, list(network.parameters()), allow_unused=True)
    loss = network.loss(ids, weights)
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    torch.testing.assert_close(loss, by_torch)
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is not None and theirs.numel():
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def clusters(seed: int = 0, users: int = 90, items: int = 60) -> tm.Dataset:
    """Three groups of users, each with its own third of the items; some of it is missing."""
    rng = np.random.default_rng(seed)
    taken = (np.arange(users)[:, None] % 3 == np.arange(items) % 3) & (rng.random((users, items)) < 0.6)
    user, item = np.nonzero(taken)
    return tm.Dataset.from_interactions({"user": user, "item": item})


MODELS = {
    "gmf": tm.GMF(factors=8, epochs=30, learning_rate=0.01, device="cpu"),
    "mlp": tm.MLP(tower=(32, 16), epochs=60, learning_rate=0.01, batch_size=128, device="cpu"),
    "neumf": tm.NeuMF(factors=8, tower=(16, 8), epochs=30, learning_rate=0.01, device="cpu"),
    "pretrained": tm.NeuMF(
        factors=8, tower=(16, 8), pretraining=15, epochs=10, learning_rate=0.01, device="cpu"
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_finds_the_planted_groups(name):
    found = MODELS[name].fit(clusters()).recommend(list(range(30)), k=5)
    right = [
        item % 3 == user % 3
        for user, items in zip(found.queries, found.lists(), strict=True)
        for item in items
    ]
    assert np.mean(right) > 0.9  # a third by chance; .94 to .99 by the seed, with Adam of either kind


def test_scores_are_logits_of_what_is_taken():
    """With 3 negatives each, σ(score) is near 1/4 where there is nothing else to learn."""
    rng = np.random.default_rng(1)
    user, item = np.nonzero(rng.random((60, 40)) < 0.5)
    data = tm.Dataset.from_interactions({"user": user, "item": item})
    model = tm.GMF(
        factors=2, epochs=30, learning_rate=0.02, negatives=3, regularization=0.005, device="cpu"
    ).fit(data)
    scores = model.predict_codes(np.arange(40, dtype=np.int32), np.arange(40, dtype=np.int32))
    assert np.abs(1 / (1 + np.exp(-scores)) - 0.25).max() < 0.05


def test_a_held_out_share_tells_the_best_epoch():
    data = clusters()
    model = tm.GMF(
        factors=8, epochs=60, learning_rate=0.05, validation_fraction=0.2, patience=10, device="cpu"
    )
    found = model.fit(data).recommend(list(range(30)), k=5)
    right = [
        item % 3 == user % 3
        for user, items in zip(found.queries, found.lists(), strict=True)
        for item in items
    ]
    assert np.mean(right) > 0.9


def test_the_discounted_rank_by_hand():
    state = random_network(SHAPES["neumf"]).state(np.arange(9) != 8)
    train = tm.Dataset.from_interactions({"user": [0, 0, 1, 2, 3, 4, 5], "item": list(range(7))})
    nine = tm.Dataset.from_interactions({"user": [0] * 9, "item": list(range(9))})
    train = replace(train, items=nine.items)
    held = replace(train.select(np.array([0, 2, 3])), item=np.array([7, 0, 8], np.int32))
    scores = scores_of(state, np.arange(6))
    total = 0.0
    for user, item in zip(held.user, held.item, strict=True):
        if np.isnan(scores[user, item]):
            continue
        taken = set(train.item[train.user == user].tolist())
        above = [i for i in range(9) if i not in taken and scores[user, i] > scores[user, item]]
        total += 1 / math.log2(2 + len(above))
    assert discounted_rank(state, train, held) == pytest.approx(total / 3)


def test_batches_have_everything_once_and_fresh_negatives():
    data = clusters()
    batches = TakenAndNot(data, negatives=4, batch_size=50, device=CPU)
    taken = data.matrix().toarray() > 0
    drawn = []
    for epoch in range(2):
        batches.start_epoch(generator_for(0, epoch))
        rows = list(batches)
        assert len(rows) == len(batches)
        assert {tuple(ids.shape) for (ids,) in rows[:-1]} == {(10, 6)}
        ids = torch.cat([ids for (ids,) in rows]).numpy()
        user, items = ids[:, 0], ids[:, 1:] - data.n_users
        assert sorted(zip(user, items[:, 0], strict=True)) == sorted(zip(data.user, data.item, strict=True))
        assert not taken[user[:, None], items[:, 1:]].any()
        drawn.append(ids)
    assert not np.array_equal(*drawn)


def test_a_weight_counts_as_often_in_the_loss():
    table = {"user": [0, 0, 1, 2], "item": [0, 1, 2, 3]}
    data = tm.Dataset.from_interactions({**table, "weight": [1.0, 2.0, 1.0, 4.0]}, weight="weight")
    batches = TakenAndNot(data, negatives=2, batch_size=6, device=CPU)
    batches.start_epoch(generator_for(0, 0))
    for ids, weights in batches:
        for user, item, weight in zip(ids[:, 0], ids[:, 1] - data.n_users, weights, strict=True):
            row = np.flatnonzero((data.user == int(user)) & (data.item == int(item)))[0]
            assert weight.item() == pytest.approx(data.weight[row] / data.weight.mean())
    assert len(next(iter(TakenAndNot(clusters(), 2, 6, CPU)))) == 1, "weights that are all alike are left out"


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    model = tm.GMF(factors=2, epochs=1, device="cpu", checkpoint=tmp_path / "state")
    model.fit(clusters(0))
    with pytest.raises(tm.TastemakerError, match="is of another fit"):
        model.fit(clusters(1))
    assert "checkpoint" not in model.saved_parameters()
    assert tm.load(model.save(tmp_path / "saved")).parameters()["checkpoint"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tower": (7, 4)}, "even number"),
        ({"tower": (8,)}, "two or more sizes"),
        ({"tower": (8, 0)}, "tower must be a whole number"),
        ({"tower": 8}, "two or more sizes"),
        ({"patience": 2}, "patience needs a validation_fraction"),
        ({"validation_fraction": 0.7}, "validation_fraction"),
    ],
)
def test_hyper_parameters_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        tm.NeuMF(**options)


def test_nothing_to_learn_from():
    nothing = clusters().select(np.array([], np.int64))
    with pytest.raises(DataError, match="gmf needs interactions"):
        tm.GMF().fit(nothing)


def test_similar_items_are_of_the_same_group():
    model = MODELS["neumf"].fit(clusters())
    found = model.similar_items(list(range(12)), k=3)
    right = [
        item % 3 == seed % 3 for seed, items in zip(range(12), found.lists(), strict=True) for item in items
    ]
    assert np.mean(right) > 0.9


def test_more_held_out_interactions_than_are_judged(monkeypatch):
    monkeypatch.setattr(ncf_training, "_JUDGES", 5)
    model = tm.GMF(factors=2, epochs=1, validation_fraction=0.3, device="cpu").fit(clusters())
    assert model.fitted


def test_lists_are_those_of_the_scores():
    for name in ("gmf", "neumf"):
        model = MODELS[name].fit(clusters())
        found = model.recommend(k=4, exclude_seen=False)
        scores = scores_of(model._fitted.state, np.arange(len(found)))
        best = np.argsort(-scores, axis=1, kind="stable")[:, :4]
        np.testing.assert_array_equal(found.items, best)
        np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, best, axis=1))


def test_a_large_table_learns_the_same_from_the_rows_looked_up_alone(monkeypatch):
    model = tm.NeuMF(factors=4, tower=(8, 4), epochs=4, batch_size=32, learning_rate=0.01, device="cpu")
    whole = model.fit(clusters())._fitted.state
    monkeypatch.setattr(ncf_training, "_LARGE", 0)
    monkeypatch.setattr(ncf_training, "_SPARSE", 0)
    fit = ncf_training._Fit(model, clusters(), clusters(), None)
    assert len(fit._optimizers(fit.network(model.shape, 0), 0)) == 2
    rows = replace(model).fit(clusters())._fitted.state
    users = np.arange(90)
    np.testing.assert_allclose(scores_of(rows, users), scores_of(whole, users), rtol=0, atol=0.02)
