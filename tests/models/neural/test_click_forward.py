"""The forward pass of the click models: by hand, and the same in training as in answering."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

import tastemaker as tm
from models.neural.click_data import IDS, MODELS, drawn, shown
from tastemaker.data import Dataset
from tastemaker.models.neural.click_training import sides_of
from tastemaker.models.neural.ctr import ClickModel


def by_hand(model: ClickModel, data: Dataset, row: int) -> float:
    """The logit of one impression, with naive loops over what the pipeline says is there."""
    state = model._fitted.state
    features = state.pipeline
    sides = [
        features.user(
            data.user_features[data.user[row : row + 1]],
            data.user[row : row + 1],
            data.by_user[data.user[row] : data.user[row] + 1],
        ),
        features.context(data.context[row : row + 1]),
        features.item(data.item_features[data.item[row : row + 1]], data.item[row : row + 1]),
    ]
    parts = model._parts(len(state.crosses))

    def fields(side: Any, table: np.ndarray) -> list[np.ndarray]:
        found = [table[i].astype(float) for i in side.ids[0]]
        for bag in side.bags:
            chosen = [table[i].astype(float) for i in bag.ids]
            total = sum(chosen, np.zeros(table.shape[1]))
            found.append(total / max(1, len(chosen)) if bag.pooling == "mean" else total)
        return found

    numbers = np.concatenate([side.dense[0] for side in sides]).astype(float)
    logit = float(state.bias)
    if parts.linear:
        logit += sum(float(w[0]) for side in sides for w in fields(side, state.linear[:, None]))
        logit += float(numbers @ state.dense_linear)
    if parts.pairwise:
        vectors = [v for side in sides for v in fields(side, state.factors)]
        vectors += [x * v for x, v in zip(numbers, state.dense_factors.astype(float), strict=True)]
        logit += sum(float(a @ b) for a, b in combinations(vectors, 2))
    if parts.hidden:
        asks = [fields(side, state.factors) for side in sides[:2]]
        cut = [len(side.ids[0]) for side in sides]
        x = [*asks[0][: cut[0]], *asks[1][: cut[1]], *asks[0][cut[0] :], *asks[1][cut[1] :]]
        x += [sides[0].dense[0], sides[1].dense[0], *fields(sides[2], state.factors), sides[2].dense[0]]
        hidden = np.concatenate(x).astype(float)
        for n, (weight, bias) in enumerate(zip(state.weights, state.biases, strict=True)):
            hidden = weight @ hidden + bias
            hidden = np.maximum(hidden, 0) if n < len(state.weights) - 1 else hidden
        logit += float(hidden[0])
    if parts.crosses:
        logit += float(state.crosses[features.cross_ids(sides[0], sides[2], sides[1]).ids].sum())
    return logit


@pytest.mark.parametrize("make", MODELS, ids=IDS)
def test_the_forward_pass_by_hand(make: Callable[..., ClickModel]) -> None:
    data = shown()
    _, model = drawn(make(), data)
    rows = np.arange(40)
    expected = np.array([by_hand(model, data, row) for row in rows])
    told = model.predict_codes(data.user[rows], data.item[rows], context=data.context[rows])
    np.testing.assert_allclose(told, 1 / (1 + np.exp(-expected)), rtol=1e-4, atol=1e-5)
    for row, logit in zip(rows, expected, strict=True):
        where = {"context": data.context[int(row) : int(row) + 1], "k": data.n_items, "exclude_seen": False}
        found = model.recommend(data.users.decode_list([data.user[row]]), **where)
        at = found.lists()[0].index(data.items.decode_list([data.item[row]])[0])
        assert found.scores[0, at] == pytest.approx(logit, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("make", MODELS, ids=IDS)
def test_training_and_answering_compute_the_same(make: Callable[..., ClickModel]) -> None:
    """With the item in question out of the user's history: in training it is taken out, here it was never in."""
    data = shown()
    network, model = drawn(make(), data)
    had = [set(data.by_user[u : u + 1].indices.tolist()) for u in range(data.n_users)]
    rows = np.array([r for r in range(len(data)) if int(data.item[r]) not in had[data.user[r]]])
    user, item = (torch.from_numpy(c[rows].astype(np.int64)) for c in (data.user, data.item))
    crosses: tuple[torch.Tensor, ...] = ()
    if network.parts.crosses:
        features = model._fitted.state.pipeline
        users, context, items = sides_of(data, features)
        found = features.cross_ids(
            users.take(data.user[rows]), items.take(data.item[rows]), context.take(rows)
        )
        crosses = tuple(torch.from_numpy(c) for c in (found.indptr, found.ids, np.arange(len(rows))))
    with torch.no_grad():
        logits = network(user, item, torch.from_numpy(rows), *crosses).numpy()
    told = model.predict_codes(data.user[rows], data.item[rows], context=data.context[rows])
    assert len(rows) > 20
    np.testing.assert_allclose(told, 1 / (1 + np.exp(-logits)), rtol=1e-4, atol=1e-6)


def test_in_training_the_item_in_question_is_not_in_the_history() -> None:
    data = shown()
    network, _ = drawn(tm.FactorizationMachine(factors=3), data)
    u = int(np.argmax(data.by_user.lengths))
    clicked = int(data.by_user[u : u + 1].indices[0])
    rest = [i for i in data.by_user[u : u + 1].indices.tolist() if i != clicked]
    with torch.no_grad():
        bags = network.users.bags(torch.tensor([u]), {0: network._own_row[[clicked]]})
        vectors = bags[0].pooled(network.factors)
    expected = network.factors.detach()[network._own_row[sorted(set(rest))]].mean(0)
    assert torch.allclose(vectors[0], expected, atol=1e-6)
