"""GRU4Rec: the recurrence by hand and as torch has it, what each step may see, and the same bits in any company."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

import tastemaker as tm
from models.neural.sequence_data import sequences_of, shaken, told
from tastemaker.models.neural.gru4rec import RecurrentState, _Reader
from tastemaker.models.neural.item_vectors import ItemVectors
from tastemaker.models.neural.recurrence import Units, by_step, gated_units
from tastemaker.models.neural.recurrent_network import RecurrentNetwork
from tastemaker.models.neural.training import generator_for

ITEMS, FACTORS, HIDDEN = 12, 8, 5
ROWS = [[5, 3], [3, 1, 4, 1, 5, 9, 2, 6], [7], [11, 0, 2]]


def random_network(layers: int) -> RecurrentNetwork:
    model = tm.GRU4Rec(factors=FACTORS, hidden=HIDDEN, layers=layers, dropout=0.5)
    items = ItemVectors(np.ones(ITEMS, bool), FACTORS, generator_for(0, -1))
    return shaken(RecurrentNetwork(items, model, generator_for(1, -1)))


def by_hand(state: RecurrentState, row: list[int]) -> np.ndarray:
    """The formulas of the docstring for one sequence, in float64."""
    weights, biases = ([a.astype(float) for a in arrays] for arrays in (state.weights, state.biases))
    read = list(state.items[row].astype(float) * np.sqrt(FACTORS))
    for at in range(0, len(weights) - 1, 2):
        h, out = np.zeros(HIDDEN), []
        for x in read:
            ar, az, an = np.split(weights[at] @ x + biases[at], 3)
            br, bz, bn = np.split(weights[at + 1] @ h + biases[at + 1], 3)
            r, z = 1 / (1 + np.exp(-ar - br)), 1 / (1 + np.exp(-az - bz))
            h = (1 - z) * np.tanh(an + r * bn) + z * h
            out.append(h)
        read = out
    return np.array(read) @ weights[-1].T + biases[-1]


@pytest.mark.parametrize("layers", [1, 2])
def test_training_and_answering_compute_the_formulas(layers: int) -> None:
    network = random_network(layers)
    state = network.state()
    for row, found in zip(ROWS, told(network, *ROWS), strict=True):
        np.testing.assert_allclose(found.numpy(), by_hand(state, row), atol=1e-5)
    read = _Reader(state, FACTORS**0.5)(sequences_of(*ROWS))
    np.testing.assert_allclose(read, [by_hand(state, row)[-1] for row in ROWS], atol=1e-5)


def test_a_sequence_has_the_same_bits_alone_and_with_others() -> None:
    read = _Reader(random_network(2).state(), FACTORS**0.5)
    random = np.random.default_rng(0)
    rows = [random.integers(0, ITEMS, random.integers(1, 30)).tolist() for _ in range(70)]
    together = read(sequences_of(*rows))
    assert together.tobytes() == np.vstack([read(sequences_of(row)) for row in rows]).tobytes()


def test_a_later_item_changes_nothing_that_is_told_before_it() -> None:
    network = random_network(2)
    (one,), (other,) = told(network, [1, 2, 3, 4, 5, 6]), told(network, [1, 2, 3, 4, 11, 0])
    assert torch.equal(one[:4], other[:4])
    assert not torch.isclose(one[4:], other[4:]).any()


def test_a_later_item_has_no_part_in_the_gradient_of_an_earlier_loss() -> None:
    vectors = torch.randn(6, FACTORS, requires_grad=True)
    found = random_network(1)(vectors, torch.arange(6), torch.tensor([6]))
    (gradient,) = torch.autograd.grad(found[2].sum(), vectors)
    assert gradient[:3].abs().sum(dim=1).min() > 0
    assert not gradient[3:].any()


def test_units_and_their_gradients_are_those_of_torch() -> None:
    theirs = torch.nn.GRU(4, HIDDEN).double()
    place, going = by_step(torch.tensor([3, 7, 1, 7, 4]))
    x = torch.randn(22, 4, dtype=torch.double)[place].requires_grad_()
    weights = torch.randn(22, HIDDEN, dtype=torch.double)
    expected = theirs(PackedSequence(x, going))[0].data
    learned = [x, *theirs.parameters()]  # in the order of Units
    found = gated_units(x, going, Units(*theirs.parameters()))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), learned),
        torch.autograd.grad((expected * weights).sum(), learned),
    )


@pytest.mark.parametrize("name", ["hidden", "layers"])
def test_hyper_parameters_that_make_no_sense(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got 0"):
        tm.GRU4Rec(**{name: 0})
