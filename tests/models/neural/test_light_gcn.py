"""LightGCN: explicit powers of the adjacency, gradients against autograd on dense matrices, new users, exact resume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

import tastemaker as tm
from tastemaker._native.graph import Graph
from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.models.neural.light_gcn_training import Comparisons, Smoothed, normalized, state_of
from tastemaker.models.neural.training import generator_for

USERS, ITEMS, LAYERS = 7, 5, 3


def small() -> Dataset:
    """Who has what, at random; the last item nobody."""
    had = np.random.default_rng(4).random((USERS, ITEMS)) < 0.5
    had[:, -1] = False
    had[:, 0] = True
    user, item = np.nonzero(had)
    catalogue = {"item": [f"i{i}" for i in range(ITEMS)]}
    return Dataset.from_interactions({"user": user, "item": [f"i{i}" for i in item]}, item_features=catalogue)


def network_of(data: Dataset, factors: int = 6) -> Smoothed:
    return Smoothed(graph_of(data), factors, LAYERS, generator_for(3, -1))


def graph_of(data: Dataset) -> Graph:
    return Graph.bipartite(data.user, data.item, data.n_users, data.n_items)


def adjacency(data: Dataset) -> NDArray[np.float64]:
    """D^−½ A D^−½, dense."""
    users, nodes = data.n_users, data.n_users + data.n_items
    a = np.zeros((nodes, nodes))
    a[data.user, users + data.item] = a[users + data.item, data.user] = 1
    root = np.sqrt(np.maximum(a.sum(axis=0), 1))
    return a / root / root[:, None]


def powers(data: Dataset, table: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    """Layers 0 to L, by powers of the matrix."""
    return [np.linalg.matrix_power(adjacency(data), n) @ table for n in range(LAYERS + 1)]


def test_vectors_are_the_mean_of_explicit_powers() -> None:
    data = small()
    network = network_of(data)
    mean = np.mean(powers(data, network.table.detach().numpy()), axis=0)
    state = state_of(network, USERS)
    np.testing.assert_allclose(state.user_factors, mean[:USERS], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(state.item_factors, mean[USERS:], rtol=1e-5, atol=1e-7)
    assert state.known.tolist() == [True] * (ITEMS - 1) + [False]


def test_loss_and_gradient_equal_autograd_on_dense_matrices() -> None:
    data, regularization = small(), 0.3
    network = network_of(data)
    triples = torch.tensor([[0, 7, 9], [1, 8, 10], [0, 9, 7], [3, 7, 10]], dtype=torch.int32)
    network.loss(triples, regularization).backward()
    table = network.table.detach().double().requires_grad_()
    matrix = torch.from_numpy(adjacency(data))
    mean: Tensor = sum((torch.matrix_power(matrix, n) @ table for n in range(LAYERS + 1)), 0 * table)
    u, i, j = (mean[column] / (LAYERS + 1) for column in triples.long().T)
    first = table[triples.long().flatten()].square().sum() / len(triples)
    loss = functional.softplus((u * (j - i)).sum(dim=1)).mean() + regularization / 2 * first
    loss.backward()
    assert network.loss(triples, regularization).item() == pytest.approx(loss.item(), rel=1e-6)
    assert network.table.grad is not None
    assert table.grad is not None
    np.testing.assert_allclose(network.table.grad, table.grad, rtol=1e-4, atol=1e-7)


def test_the_matrix_for_other_devices_is_the_same() -> None:
    data = small()
    matrix = normalized(graph_of(data), torch.device("cpu")).to_dense()
    np.testing.assert_allclose(matrix, adjacency(data), rtol=1e-6)


def test_a_new_user_is_a_node_that_starts_from_zero() -> None:
    data = small()
    network, had = network_of(data), [0, 2, 3]
    layers = powers(data, network.table.detach().numpy())
    degrees = np.bincount(data.item, minlength=ITEMS)
    own = [np.zeros(6)]
    for layer in layers[:-1]:
        own.append(sum(layer[USERS + i] / np.sqrt(len(had) * degrees[i]) for i in had))
    messages = state_of(network, USERS).messages
    np.testing.assert_allclose(
        messages[had].sum(axis=0) / len(had) ** 0.5, np.mean(own, axis=0), rtol=1e-5, atol=1e-7
    )
    assert not messages[-1].any()


def groups() -> Dataset:
    """Two groups who take items of their own."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(40), 6)
    item = rng.integers(0, 15, len(user)) * 2 + user % 2
    return Dataset.from_interactions({"user": user, "item": item})


def test_it_learns_who_belongs_together() -> None:
    model = tm.LightGCN(factors=16, epochs=30, learning_rate=0.02).fit(groups())
    for items, parity in zip(model.recommend([0, 1], k=5).lists(), (0, 1), strict=True):
        assert all(item % 2 == parity for item in items)
    new = model.recommend(history=[[2, 6], [3]], k=5)
    for items, parity in zip(new.lists(), (0, 1), strict=True):
        assert all(item % 2 == parity for item in items)
    assert all(item % 2 == 0 for item in model.similar_items([4], k=5).lists()[0])


def test_the_reasons_of_a_new_user_add_up_to_the_score() -> None:
    data = groups()
    model = tm.LightGCN(factors=8, epochs=5).fit(data)
    found = model.recommend(history=[[2, 6, 9]], k=3, explain=True)
    for slot, score in zip(found[0], found.scores[0], strict=True):
        assert {reason.what for reason in slot.reasons} == {2, 6, 9}
        assert sum(reason.contribution for reason in slot.reasons) == pytest.approx(score, rel=1e-4)


def test_an_epoch_has_as_many_comparisons_as_interactions_in_equal_batches() -> None:
    data = small()
    batches = Comparisons(data, 4, torch.device("cpu"))
    batches.start_epoch(generator_for(0, 0))
    first = [batch for (batch,) in batches]
    assert len(first) == len(batches) == -(-len(data) // 4)
    assert len({len(batch) for batch in first}) == 1
    assert 0 <= sum(map(len, first)) - len(data) < len(batches)
    batches.start_epoch(generator_for(0, 1))
    assert any((a != b).any() for a, (b,) in zip(first, batches, strict=True))


def test_going_on_from_a_checkpoint_gives_the_same_bits(tmp_path: Path) -> None:
    data, settings = groups(), {"factors": 8, "batch_size": 64, "device": "cpu"}
    through = tm.LightGCN(epochs=6, **settings).fit(data)
    tm.LightGCN(epochs=2, checkpoint=tmp_path / "state", **settings).fit(data)
    resumed = tm.LightGCN(epochs=6, checkpoint=tmp_path / "state", **settings).fit(data)
    for name in ("user_factors", "item_factors", "messages"):
        a, b = (getattr(model._fitted.state, name) for model in (through, resumed))
        assert a.tobytes() == b.tobytes()


def test_what_weighs_nothing_is_no_edge() -> None:
    data = groups()
    weight = np.ones(len(data))
    weight[data.item == 0] = 0
    model = tm.LightGCN(factors=4, epochs=1).fit(data.with_columns(weight=weight))
    assert not model._fitted.state.known[0]
    with pytest.raises(DataError, match="needs interactions with a weight above 0"):
        tm.LightGCN().fit(data.with_columns(weight=np.zeros(len(data))))


def test_who_has_nothing_of_the_graph_gets_no_scores() -> None:
    data = small()
    model = tm.LightGCN(factors=4, epochs=1).fit(data)
    found = model.recommend(history=[["i4"], ["i4", "i0"]], k=ITEMS)
    assert found.lists()[0] == []
    assert found.lists()[1] == model.recommend(history=[["i0"]], k=ITEMS).lists()[0]
    light = np.where(data.user == 2, 0.0, 1.0)
    model = tm.LightGCN(factors=4, epochs=1).fit(data.with_columns(weight=light))
    assert np.isnan(model.predict([2], ["i0"])).all()
    assert np.isfinite(model.predict([1], ["i0"])).all()


def test_an_item_that_nobody_had_has_no_reasons() -> None:
    reasons = tm.LightGCN(factors=4, epochs=1).fit(small()).explain(0, "i4").reasons
    assert not any(reason.contribution for reason in reasons)
