"""PinSage: the forward pass and the loss by hand, negatives that get harder, items never seen, exact resume."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import tastemaker as tm
from tastemaker._native.walks import Visits
from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.pin_sage_training import Follows, Sage, hard_pool, max_margin, neighborhoods
from tastemaker.models.neural.specs import FeatureSpec, Id
from tastemaker.models.neural.training import generator_for

CPU = torch.device("cpu")


def taken(users: int = 60, items: int = 40) -> Dataset:
    """Readers of two tastes take items of theirs; the last two items are new."""
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(users), 8)
    item = rng.integers(0, items // 2 - 1, len(user)) * 2 + user % 2
    return Dataset.from_interactions(
        {"user": user, "item": item},
        item_features=pl.DataFrame(
            {"item": np.arange(items), "words": [["odd" if i % 2 else "even", "any"] for i in range(items)]}
        ),
    )


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x)


def test_the_forward_pass_by_hand() -> None:
    """Five items: two near the first, one of them near the second; the last two have no neighbours."""
    found = Visits(
        np.array([[1, 2], [0, -1], [0, 1], [-1, -1], [-1, -1]], np.int32),
        np.array([[3, 1], [2, 0], [5, 5], [0, 0], [0, 0]], np.int32),
    )
    rng = np.random.default_rng(1)
    features = Encoded(
        rng.integers(0, 6, (5, 2)).astype(np.int32), (), rng.normal(size=(5, 1)).astype(np.float32)
    )
    sage = Sage(features, 6, neighborhoods(found, 2, CPU), 4, 2, 0.5, generator_for(0, -1)).eval()
    table = sage.table.detach().numpy()
    h = [np.concatenate([*table[features.ids[i]], features.dense[i]]) for i in range(5)]
    near = {0: [(1, 0.75), (2, 0.25)], 1: [(0, 1.0)], 2: [(0, 0.5), (1, 0.5)]}

    def dense(layer, x: np.ndarray) -> np.ndarray:
        return layer.weight.detach().numpy() @ x + layer.bias.detach().numpy()

    for q, w in zip(sage.of_neighbors, sage.of_both, strict=True):
        message = [np.maximum(dense(q, x), 0) for x in h]
        n = [sum((a * message[j] for j, a in near.get(i, [])), np.zeros(4)) for i in range(5)]
        h = [unit(np.maximum(dense(w, np.concatenate([h[i], n[i]])), 0)) for i in range(5)]
    expected = [unit(dense(sage.last, np.maximum(dense(sage.first, x), 0))) for x in h]
    for items in ([0, 1, 2, 3, 4], [2], [4, 0]):
        vectors = sage(torch.tensor(items)).detach().numpy()
        np.testing.assert_allclose(vectors, [expected[i] for i in items], rtol=1e-4, atol=1e-6)


def test_the_loss_by_hand() -> None:
    query, positive = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    negative = torch.tensor([[0.6, 0.0], [0.0, 0.2]])
    hard = torch.tensor([[[0.45, 0.0]], [[0.0, -1.0]]])
    easy = (0.2 + 0.0 + 0.1 + 0.3) / 4  # <q, j> − <q, i> + .1: .2 and −.4, .1 and .3
    assert max_margin(query, positive, negative, hard[:, :0], 0.1).item() == pytest.approx(easy)
    assert max_margin(query, positive, negative, hard, 0.1).item() == pytest.approx(easy + 0.05 / 2)


def test_hard_negatives_are_of_a_middle_rank_and_grow_with_the_epoch() -> None:
    data = taken()
    ranked = np.array([[(i + n) % 40 for n in range(1, 40)] for i in range(40)], np.int32)
    hard = hard_pool(Visits(ranked, np.ones_like(ranked)), 2)
    assert hard[0].tolist() == list(range(11, 31))
    epoch = torch.zeros((), dtype=torch.int64)
    batches = Follows(data, hard, negatives=7, most_hard=2, batch_size=64, epoch=epoch)
    for number, expected in enumerate((0, 1, 2, 2)):
        batches.start_epoch(generator_for(0, number))
        shown = list(batches)
        assert len(shown) == len(batches)
        for query, _, negative, drawn in shown:
            assert negative.shape == (7,)
            assert drawn.shape == (len(query), expected)
            assert all(item in hard[q] for q, row in zip(query, drawn, strict=True) for item in row)


def test_pairs_follow_one_another_in_either_order() -> None:
    data = Dataset.from_interactions(
        {"user": [0, 1, 0, 0, 1], "item": [0, 3, 1, 2, 2], "time": [5, 1, 7, 6, 2]}, timestamp="time"
    )
    codes = {item: code for code, item in enumerate(data.items.ids.to_list())}
    expected = {frozenset(codes[i] for i in pair) for pair in ((0, 2), (2, 1), (3, 2))}
    nothing = np.empty((data.n_items, 0), np.int64)
    batches = Follows(data, nothing, 1, 0, 10, torch.zeros((), dtype=torch.int64))
    batches.start_epoch(generator_for(0, 0))
    ((query, positive, _, _),) = batches
    assert {frozenset(pair) for pair in zip(query.tolist(), positive.tolist(), strict=True)} == expected


def test_items_never_seen_by_their_content() -> None:
    data = taken()
    model = tm.PinSage(factors=8, epochs=30, learning_rate=0.01, batch_size=64, negatives=20).fit(data)
    assert model.recommend([1, 2], allow=[38, 39], k=1).lists() == [[39], [38]]
    assert model.recommend(history=[[3], [4]], allow=[38, 39], k=1).lists() == [[39], [38]]
    assert sum(item % 2 for item in model.similar_items([39], k=10).lists()[0]) >= 9


def test_by_ids_alone_an_item_never_seen_has_no_score() -> None:
    model = tm.PinSage(features=FeatureSpec(item=(Id("item"),)), factors=4, epochs=1).fit(taken())
    assert np.isnan(model.predict([1], [38])).all()
    assert np.isfinite(model.predict([1], [1])).all()


def test_the_score_is_the_mean_cosine_and_the_reasons_add_up_to_it() -> None:
    model = tm.PinSage(factors=8, epochs=2).fit(taken())
    vectors = model._fitted.state.item_vectors.astype(float)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    found = model.recommend(history=[{2: 5, 7: 1}], k=3, explain=True)
    codes = model.catalogue.items.encode([2, 7])
    for slot, code, score in zip(found[0], found.items[0], found.scores[0], strict=True):
        assert score == pytest.approx((vectors[codes] @ vectors[code]).mean(), rel=1e-4)
        assert sum(reason.contribution for reason in slot.reasons) == pytest.approx(score, rel=1e-4)


def test_going_on_from_a_checkpoint_gives_the_same_bits(tmp_path: Path) -> None:
    settings = {"factors": 4, "batch_size": 64, "negatives": 20, "neighbors": 2, "device": "cpu"}
    through = tm.PinSage(epochs=5, **settings).fit(taken())
    tm.PinSage(epochs=2, checkpoint=tmp_path / "state", **settings).fit(taken())
    resumed = tm.PinSage(epochs=5, checkpoint=tmp_path / "state", **settings).fit(taken())
    a, b = (model._fitted.state.item_vectors for model in (through, resumed))
    assert a.tobytes() == b.tobytes()


def test_what_it_cannot_learn_from() -> None:
    with pytest.raises(DataError, match="needs features of items"):
        tm.PinSage(features=FeatureSpec(user=(Id("user"),))).fit(taken())
    data = taken()
    with pytest.raises(DataError, match="needs interactions with a weight above 0"):
        tm.PinSage().fit(data.with_columns(weight=np.zeros(len(data))))


def test_a_history_that_weighs_nothing_gets_no_scores() -> None:
    data = taken()
    light = data.with_columns(weight=np.where(data.user == 3, 0.0, 1.0))
    model = tm.PinSage(factors=4, epochs=1, steps=20).fit(light)
    assert np.isnan(model.predict([3], [0])).all()
    assert np.isfinite(model.predict([2], [0])).all()
