"""Two towers: the loss and the forward pass by hand; cold items and new users by their features."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import tastemaker as tm
from tastemaker.data import Dataset
from tastemaker.models.neural.specs import Bag, Categorical, FeatureSpec, HistoryBag, Id
from tastemaker.models.neural.two_tower_training import HiddenIds, in_batch_softmax


def taken(users: int = 60, items: int = 40) -> Dataset:
    """Readers of two tastes take items of theirs; the last two items and nobody's taste are new."""
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(users), 8)
    item = rng.integers(0, items // 2 - 1, len(user)) * 2 + user % 2
    return Dataset.from_interactions(
        {"user": user, "item": item},
        user_features={"user": np.arange(users), "taste": ["tea" if u % 2 else "jam" for u in range(users)]},
        item_features=pl.DataFrame(
            {"item": np.arange(items), "words": [["odd" if i % 2 else "even", "any"] for i in range(items)]}
        ),
    )


def test_the_loss_by_hand() -> None:
    rng = np.random.default_rng(0)
    logits, log_q = (
        rng.normal(size=(4, 4)).astype(np.float32),
        np.log(np.array([0.5, 0.1, 0.5, 0.2], np.float32)),
    )
    item, weight = np.array([7, 3, 7, 5]), np.array([1, 2, 1, 0.5], np.float32)
    total = 0.0
    for row in range(4):
        scores = [
            float(logits[row, other] - log_q[other])
            for other in range(4)
            if other == row or item[other] != item[row]
        ]
        own = float(logits[row, row] - log_q[row])
        total += float(weight[row]) * (np.log(np.sum(np.exp(scores))) - own)
    found = in_batch_softmax(*(torch.from_numpy(a) for a in (logits, item, log_q, weight)))
    assert found.item() == pytest.approx(total / 4, rel=1e-5)


def test_the_forward_pass_by_hand() -> None:
    spec = FeatureSpec(user=(Id("user"), Categorical("taste"), HistoryBag()), item=(Id("item"), Bag("words")))
    data = taken()
    model = tm.TwoTower(features=spec, factors=3, hidden=(5,), epochs=2, temperature=0.2).fit(data)
    state = model._fitted.state
    table = state.factors.astype(float)

    def unit(encoded, weights, biases) -> np.ndarray:
        x = np.concatenate([*table[encoded.ids[0]], *(table[bag.ids].mean(0) for bag in encoded.bags)])
        hidden = np.maximum(weights[0] @ x + biases[0], 0)
        out = weights[1] @ hidden + biases[1]
        return out / np.linalg.norm(out)

    asked = state.pipeline.user(data.user_features[:1], np.array([0]), data.by_user[:1])
    u = unit(asked, state.query_weights, state.query_biases)
    for code, item in zip((0, 5, 39), data.items.decode_list([0, 5, 39]), strict=True):
        features = state.pipeline.item(data.item_features[code : code + 1], np.array([code]))
        v = unit(features, state.item_weights, state.item_biases)
        assert model.predict(data.users.decode_list([0]), [item])[0] == pytest.approx(u @ v / 0.2, abs=1e-4)


def test_cold_items_and_new_users_by_their_features() -> None:
    model = tm.TwoTower(factors=8, hidden=(16,), epochs=30, learning_rate=0.01, batch_size=64).fit(taken())
    cold = {"allow": [38, 39], "k": 1}  # neither was ever taken
    assert model.recommend([1, 2], **cold).lists() == [[39], [38]]
    assert model.recommend(features={"taste": ["tea", "jam"]}, **cold).lists() == [[39], [38]]
    assert sum(i % 2 for i in model.similar_items([1], k=10).lists()[0]) >= 9


def test_of_impressions_it_learns_the_clicks() -> None:
    rows = {"user": [0, 0, 1, 1], "item": ["a", "b", "a", "b"], "label": [1, 0, 0, 1]}
    clicks = {"user": [0, 1], "item": ["a", "b"]}
    options = {"factors": 4, "hidden": (4,), "epochs": 3}
    shown = tm.TwoTower(**options).fit(Dataset.from_impressions(rows))
    assert shown.catalogue.history.indices.tolist() == [0, 1]
    same = tm.TwoTower(**options).fit(Dataset.from_interactions(clicks))
    assert shown.predict([0, 1], ["a", "a"]).tobytes() == same.predict([0, 1], ["a", "a"]).tobytes()


def test_ids_are_hidden_in_training_only() -> None:
    hide = HiddenIds(0.5, column=1, unknown=9)
    hide.generator = torch.Generator().manual_seed(0)
    ids = torch.tensor([[1, 2]]).repeat(1000, 1)
    hidden = hide(ids)
    assert (hidden[:, 0] == 1).all()
    assert 0.4 < (hidden[:, 1] == 9).float().mean() < 0.6
    assert (ids == torch.tensor([1, 2])).all()
    assert hide.eval()(ids) is ids


def test_a_given_history_counts_for_a_bag_of_it() -> None:
    spec = FeatureSpec(user=(HistoryBag(),), item=(Id("item"), Bag("words")))
    # Few epochs: within a taste everybody takes at random, and more would learn who happened to take what.
    model = tm.TwoTower(
        features=spec, factors=8, hidden=(16,), epochs=5, learning_rate=0.01, batch_size=64, id_dropout=0.0
    ).fit(taken())
    odd, even = model.recommend(history=[[1, 3, 5, 7], [0, 2, 4, 6]], k=10).lists()
    assert sum(i % 2 for i in odd) >= 8
    assert sum(i % 2 for i in even) <= 2


def test_a_session_of_a_known_user_is_answered_by_what_is_stored_of_them() -> None:
    data = taken()
    model = tm.TwoTower(factors=8, hidden=(16,), epochs=5, learning_rate=0.01).fit(data)
    known = model.recommend(data.users.decode_list([0]), history=[[1]], k=5, exclude_seen=False)
    told = model.recommend(history=[[1]], features=data.user_features[:1], k=5, exclude_seen=False)
    nobody = model.recommend(history=[[1]], k=5, exclude_seen=False)
    assert known.lists() == told.lists()
    assert known.scores.tobytes() == told.scores.tobytes() != nobody.scores.tobytes()


def test_what_nobody_had_is_silent() -> None:
    """Nobody's taste was missing: not to know it is the embedding 0, not the noise that embeddings begin with."""
    model = tm.TwoTower(factors=4, hidden=(4,), epochs=2, id_dropout=0.0).fit(taken())
    state = model._fitted.state
    unknown = {name: rows.start for name, rows in state.pipeline.ranges.items()}
    for name in ("user.id", "user.taste", "item.id", "item.words"):
        assert not state.factors[unknown[name]].any()
    assert (np.abs(state.factors).sum(1) > 0).sum() == len(state.factors) - 4


def test_the_same_model_twice() -> None:
    model = tm.TwoTower(factors=4, hidden=(4,), epochs=2)
    answers = [replace(model).fit(taken()).recommend(k=5).scores.tobytes() for _ in range(2)]
    assert answers[0] == answers[1]
