"""SASRec, BERT4Rec and GRU4Rec: the forward pass by hand, what each may see, and what order teaches."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import tastemaker as tm
from models.neural.sequence_data import sequences_of, shaken, told
from tastemaker.data import Dataset
from tastemaker.errors import DataError, MissingExtraError
from tastemaker.models.neural import sequence_training
from tastemaker.models.neural.attention import _padded, attention
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.sequence_training import ndcg_of_last
from tastemaker.models.neural.sequences import HeldOut
from tastemaker.models.neural.specs import Bag, FeatureSpec, Numeric
from tastemaker.models.neural.training import generator_for
from tastemaker.models.neural.transformer import Shape, TransformerState, _Reader
from tastemaker.models.neural.transformer_network import TransformerNetwork

ITEMS, FACTORS = 12, 8


def random_network(causal: bool, length: int = 9) -> TransformerNetwork:
    shape = Shape(FACTORS, heads=2, blocks=2, hidden=10, length=length, causal=causal)
    items = ItemVectors(np.ones(ITEMS, bool), FACTORS, generator_for(0, -1))
    return shaken(TransformerNetwork(items, shape, 0.5, generator_for(1, -1)))


def by_hand(state: TransformerState, shape: Shape, row: list[int]) -> np.ndarray:
    """The formulas of the docstrings for one sequence, all of it at once, in float64."""

    def norm(number: int, x: np.ndarray) -> np.ndarray:
        scale, shift = state.norms[number].astype(float)
        centred = x - x.mean(1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * scale + shift

    table = np.vstack([state.items, state.mask.reshape(-1, shape.factors)]).astype(float)
    x = table[row] * np.sqrt(shape.factors) + state.places[: len(row)][::-1].astype(float)
    for block in range(shape.blocks):
        w, b = (
            [a.astype(float) for a in arrays[4 * block : 4 * block + 4]]
            for arrays in (state.weights, state.biases)
        )
        q, k, v = np.split(norm(2 * block, x) @ w[0].T + b[0], 3, axis=1)
        taken = []
        for head in np.split(np.arange(shape.factors), shape.heads):
            scores = q[:, head] @ k[:, head].T / np.sqrt(len(head))
            if shape.causal:
                scores[np.triu_indices(len(row), 1)] = -np.inf
            shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
            taken.append(shares @ v[:, head])
        x = x + np.hstack(taken) @ w[1].T + b[1]
        x = x + np.maximum(norm(2 * block + 1, x) @ w[2].T + b[2], 0) @ w[3].T + b[3]
    return norm(2 * shape.blocks, x)


@pytest.mark.parametrize("causal", [True, False])
def test_training_and_answering_compute_the_formulas(causal):
    network = random_network(causal)
    state = network.state()
    rows = [[3, 1, 4, 1, 5, 9, 2, 6], [5, 3], [7]]
    for row, found in zip(rows, told(network, *rows), strict=True):
        np.testing.assert_allclose(found.numpy(), by_hand(state, network.shape, row), atol=1e-5)
    asked = [row if causal else [*row, ITEMS] for row in rows]
    expected = [by_hand(state, network.shape, row)[-1] for row in asked]
    np.testing.assert_allclose(_Reader(state, network.shape)(sequences_of(*rows)), expected, atol=1e-5)
    with torch.no_grad():
        after = network.next_after(network.items(), sequences_of(*rows))
    np.testing.assert_allclose(after.numpy(), expected, atol=1e-5)


def test_a_later_item_changes_nothing_that_is_told_before_it():
    before, after = [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 11, 0]
    (one,), (other,) = told(random_network(causal=True), before), told(random_network(causal=True), after)
    assert torch.equal(one[:4], other[:4])
    assert not torch.isclose(one[4:], other[4:]).any()
    (one,), (other,) = told(random_network(causal=False), before), told(random_network(causal=False), after)
    assert not torch.isclose(one, other).all(dim=1).any(), "reading both ways, everything is seen"


def test_a_later_item_has_no_part_in_the_gradient_of_an_earlier_loss():
    network = random_network(causal=True)
    vectors = torch.randn(6, FACTORS, requires_grad=True)
    found = network(vectors, torch.arange(6), torch.tensor([6]))
    (gradient,) = torch.autograd.grad(found[2].sum(), vectors)
    assert gradient[:3].abs().sum(dim=1).min() > 0
    assert not gradient[3:].any()


@pytest.mark.parametrize("causal", [True, False])
def test_packed_is_as_padded(causal):
    lengths = torch.tensor([7, 4, 4, 1])
    rows = torch.randn(16, 3 * FACTORS, requires_grad=True)
    weights = torch.randn(16, FACTORS)
    packed, padded = attention(rows, lengths, 2, causal), _padded(rows, lengths, 2, causal)
    assert torch.allclose(packed, padded, atol=1e-6)
    (ours,) = torch.autograd.grad((packed * weights).sum(), rows)
    (theirs,) = torch.autograd.grad((padded * weights).sum(), rows)
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_metric_by_hand():
    network = random_network(causal=True)
    rows, targets = [[1, 2, 3], [4, 5]], np.array([6, 0], np.int32)
    state, expected = network.state(), []
    for row, target in zip(rows, targets, strict=True):
        scores = state.items @ by_hand(state, network.shape, row)[-1]
        scores[row] = -np.inf
        rank = 1 + (scores > scores[target]).sum()
        expected.append(1 / np.log2(1 + rank) if rank <= 10 else 0.0)
    with torch.no_grad():
        found = ndcg_of_last(network, HeldOut(sequences_of(*rows), targets), 3)
    assert found == pytest.approx(np.mean(expected))


def test_the_metric_holds_a_bounded_number_of_scores(monkeypatch):
    network, rows = random_network(causal=True), [[n % ITEMS, (n + 1) % ITEMS] for n in range(50)]
    held = HeldOut(sequences_of(*rows), np.array([(n + 2) % ITEMS for n in range(50)], np.int32))
    asked: list[int] = []
    read = network.next_after
    monkeypatch.setattr(network, "next_after", lambda v, s: asked.append(len(s)) or read(v, s))
    with torch.no_grad():
        at_once = ndcg_of_last(network, held, 3)
        assert asked == [50]
        monkeypatch.setattr(sequence_training, "_SCORES", 7 * ITEMS)
        assert ndcg_of_last(network, held, 3) == pytest.approx(at_once)
    assert max(asked[1:]) <= 7
    assert sum(asked[1:]) == 50


def test_weights_that_are_no_numbers_have_no_metric():
    network = random_network(causal=True)
    with torch.no_grad():
        network.places.fill_(torch.nan)
        found = ndcg_of_last(network, HeldOut(sequences_of([1, 2], [3]), np.array([3, 4], np.int32)), 3)
    assert np.isnan(found)


def walks(users: int = 60, items: int = 20, steps: int = 8, at: bool = False) -> Dataset:
    """Everybody goes from item to item round a ring, and who begins where says nothing of what comes next but the last item."""
    start = np.random.default_rng(5).integers(0, items, users)
    item = (start[:, None] + np.arange(steps)) % items
    columns = {"user": np.repeat(np.arange(users), steps), "item": item.ravel()}
    if at:
        columns["at"] = np.tile(np.arange(steps), users)
    return Dataset.from_interactions(columns, timestamp="at" if at else None)


SMALL = {
    "factors": 16,
    "length": 8,
    "learning_rate": 0.01,
    "batch_size": 8,
    "dropout": 0.0,
    "device": "cpu",
}
MODELS = {
    "sasrec": tm.SASRec(epochs=10, **SMALL),
    "bert4rec": tm.BERT4Rec(epochs=160, hide=0.3, **SMALL),
    "gru4rec": tm.GRU4Rec(epochs=25, hidden=16, **SMALL),
}


@pytest.fixture(scope="module")
def fitted():
    return {name: replace(model).fit(walks()) for name, model in MODELS.items()}


@pytest.mark.parametrize("name", MODELS)
def test_order_is_learned_which_a_bag_of_items_does_not_show(name, fitted):
    forward = [[(s + j) % 20 for j in range(4)] for s in range(20)]
    backward = [row[::-1] for row in forward]
    found = fitted[name].recommend(history=forward, k=1, exclude_seen=False).lists()
    assert np.mean([top == [(row[-1] + 1) % 20] for row, top in zip(forward, found, strict=True)]) > 0.9
    found = fitted[name].recommend(history=backward, k=1, exclude_seen=False).lists()
    assert np.mean([top == [(row[0] + 1) % 20] for row, top in zip(backward, found, strict=True)]) < 0.5
    flat = tm.ImplicitALS(factors=16).fit(walks())
    same = [flat.recommend(history=rows, k=1).lists() for rows in (forward, backward)]
    assert same[0] == same[1]


@pytest.mark.parametrize("name", MODELS)
def test_the_time_is_the_order_not_the_row(name):
    data = walks(users=10, at=True)
    mixed = data.select(np.random.default_rng(0).permutation(len(data)))
    model = replace(MODELS[name], epochs=2)
    one, other = (replace(model).fit(part)._fitted.state for part in (data, mixed))
    order = [one.items[data.items.encode(list(range(20)))], other.items[mixed.items.encode(list(range(20)))]]
    np.testing.assert_array_equal(*order)


@pytest.mark.parametrize("loss", ["softmax", "sampled", "gbce"])
def test_every_loss_learns_the_ring(loss):
    model = tm.SASRec(epochs=60 if loss == "gbce" else 10, loss=loss, negatives=15, **SMALL).fit(walks())
    found = model.recommend(history=[[s, (s + 1) % 20] for s in range(20)], k=1).lists()
    assert np.mean([top == [(s + 2) % 20] for s, top in enumerate(found)]) > 0.9


def test_only_the_most_recent_items_are_looked_at(fitted):
    for name, looks_at in (("sasrec", 8), ("bert4rec", 7), ("gru4rec", 8)):
        model, recent = fitted[name], [i * 3 % 20 for i in range(looks_at)]
        long = [i for i in range(20) if i not in recent] + recent
        one, other = (model.recommend(history=[row], k=20, exclude_seen=False) for row in (recent, long))
        assert one.scores.tobytes() == other.scores.tobytes()
        shorter = model.recommend(history=[recent[1:]], k=20, exclude_seen=False)
        assert shorter.scores.tobytes() != one.scores.tobytes()


def films() -> Dataset:
    """Odd and even items alternate; item 40 is odd by its features, and nobody has taken it."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 20, (80, 3)) * 2
    taken = [i for row in pairs for i in (row[0], row[1] + 1, row[2])]
    return Dataset.from_interactions(
        {"user": np.repeat(np.arange(80), 3), "item": taken},
        item_features=pl.DataFrame(
            {
                "item": np.arange(41),
                "kind": [["odd"] if i % 2 or i == 40 else ["even"] for i in range(41)],
                "price": [float(i % 2) for i in range(41)],
            }
        ),
    )


def test_features_speak_for_an_item_that_nobody_took():
    spec = FeatureSpec(item=(Bag("kind"), Numeric("price")))
    model = tm.SASRec(features=spec, epochs=20, **SMALL).fit(films())
    assert np.isfinite(model.predict([0], [40])).all()
    even = [[i] for i in range(0, 40, 4)]
    ranks = [row.index(40) for row in model.recommend(history=even, k=41, exclude_seen=False).lists()]
    assert np.mean(ranks) < 20.5, "after an even item come odd ones"
    ids = tm.SASRec(epochs=1, **SMALL).fit(films())
    assert np.isnan(ids.predict([0], [40])).all()
    assert 40 not in ids.recommend([0], k=41).lists()[0]


def test_features_that_are_none_are_refused():
    with pytest.raises(DataError, match="expected features of items beside their ids"):
        tm.SASRec(features=FeatureSpec(user=(Bag("kind"),)), **SMALL).fit(films())


def test_a_history_of_which_nothing_is_known_gets_no_scores(fitted):
    model = tm.SASRec(epochs=1, **SMALL).fit(films())
    found = model.recommend(history=[[40], [40, 1]], k=3)
    assert found.lists()[0] == []
    assert found.lists()[1] == model.recommend(history=[[1]], k=3, deny=[40]).lists()[0]


@pytest.mark.parametrize("name", MODELS)
def test_an_interaction_of_weight_0_might_as_well_not_be_there(name):
    data, model = walks(users=12), replace(MODELS[name], epochs=2)
    weight = np.ones(len(data))
    weight[[3, 10, 40]] = 0
    weight[(data.user == 0) | (data.item == 5)] = 0
    one, other = (
        replace(model).fit(part) for part in (data.with_columns(weight=weight), data.select(weight > 0))
    )
    assert one._fitted.state.items.tobytes() == other._fitted.state.items.tobytes()
    assert not one._fitted.state.known[5]
    found, expected = (m.recommend(exclude_seen=False, k=5) for m in (one, other))
    assert found.lists()[0] == [], "who has taken nothing that counts"
    assert found.lists()[1:] == expected.lists()[1:]
    assert found.scores[1:].tobytes() == expected.scores[1:].tobytes()


def test_what_is_the_same_for_every_query_is_made_once(fitted):
    state = fitted["sasrec"]._fitted.state
    assert state.rows is state.rows


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_without_torch(name, fitted, tmp_path):
    model = fitted[name]
    expected = model.recommend([0, 1], k=4).lists() + model.recommend(history=[[3, 4]], k=4).lists()
    folder = model.save(tmp_path / "saved")
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import tastemaker as tm\n"
        f"model = tm.load({str(folder)!r})\n"
        "print(model.recommend([0, 1], k=4).lists() + model.recommend(history=[[3, 4]], k=4).lists())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [str(expected)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "heads must divide factors, got 3 heads for 64 factors"),
        ({"loss": "bpr"}, "loss must be one of"),
        ({"length": 1}, "length must be a whole number of at least 2"),
        ({"patience": 2}, "patience needs a validation_fraction"),
        ({"validation_fraction": 1.5}, "validation_fraction"),
        ({"calibration": 2.0}, "calibration"),
    ],
)
def test_hyper_parameters_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        tm.SASRec(**options)


def test_a_share_to_hide():
    with pytest.raises(ValueError, match="hide must be a number above 0"):
        tm.BERT4Rec(hide=0.0)


def test_without_torch_a_fit_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tastemaker\[neural\]'"):
        tm.SASRec(epochs=1).fit(walks())
