"""Sequences, the windows that an epoch shows of them, and the fused output layer."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import tastemaker as tm
from tastemaker.data.history import History
from tastemaker.models.neural import output
from tastemaker.models.neural.losses import gbce
from tastemaker.models.neural.output import softmax_over_items
from tastemaker.models.neural.sequence_batches import Cloze, NextItems, cut
from tastemaker.models.neural.sequence_training import Objective, SequenceNetwork
from tastemaker.models.neural.sequences import Sequences, hold_last_out

CPU = torch.device("cpu")


def sequences_of(*rows: list[int]) -> Sequences:
    return Sequences(
        np.cumsum([0, *(len(row) for row in rows)]), np.array([i for row in rows for i in row], np.int32)
    )


def lists_of(sequences: Sequences) -> list[list[int]]:
    return [part.tolist() for part in np.split(sequences.items, sequences.indptr[1:-1])]


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_the_most_recent_known_items(rows, length):
    row_of_code = np.array([3, -1, 0, 1, -1, 2], np.int32)
    history = History.of_lengths(
        np.array([len(row) for row in rows]), np.array([i for row in rows for i in row], np.int32)
    )
    expected = [[int(row_of_code[i]) for i in row if row_of_code[i] >= 0] for row in rows]
    assert lists_of(Sequences.of(history, row_of_code)) == expected
    assert lists_of(Sequences.of(history, row_of_code, length)) == [row[-length:] for row in expected]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 7), st.data())
def test_pieces_are_short_in_order_and_cover_everything_once(sizes, length, data):
    end = np.cumsum(sizes)
    begin = end - sizes
    phase = np.array([data.draw(st.integers(1, length)) for _ in sizes])
    start, stop = cut(begin, end, length, phase)
    assert ((stop - start >= 1) & (stop - start <= length)).all()
    assert [t for a, b in zip(start, stop, strict=True) for t in range(a, b)] == list(range(end[-1]))


def test_every_item_but_the_first_is_told_once_an_epoch_from_what_came_before():
    rows = [list(range(100 * u, 100 * u + n)) for u, n in enumerate((1, 2, 9, 30))]
    batches = NextItems(sequences_of(*rows), length=4, batch_size=3, device=CPU)
    told: Counter[int] = Counter()
    for epoch in range(2):
        batches.start_epoch(torch.Generator().manual_seed(epoch))
        assert len(batches) == len(list(batches))
        for items, lengths, targets in batches:
            assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
            assert len(lengths) <= 3
            assert lengths.max() <= 4
            assert int(lengths.sum()) == len(items) == len(targets)
            assert torch.equal(targets, items + 1)
            for window in torch.split(items, lengths.tolist()):
                assert torch.equal(window, torch.arange(window[0], window[0] + len(window)))
            told.update(targets.tolist())
    assert told == {item: 2 for row in rows for item in row[1:]}


def test_long_sequences_are_cut_elsewhere_in_every_epoch():
    batches = NextItems(sequences_of(list(range(60))), length=10, batch_size=99, device=CPU)
    lengths = set()
    for epoch in range(20):
        batches.start_epoch(torch.Generator().manual_seed(epoch))
        lengths |= {tuple(sorted(batch[1].tolist())) for batch in batches}
    assert len(lengths) > 3


def test_a_cloze_hides_a_share_and_tells_what_was_there():
    rows = [list(range(200)) for _ in range(50)] + [[7]]
    batches = Cloze(sequences_of(*rows), length=200, batch_size=60, share=0.3, mask=999, device=CPU)
    batches.start_epoch(torch.Generator().manual_seed(0))
    ((items, lengths, targets, places),) = list(batches)
    hidden = items == 999
    assert torch.equal(hidden.nonzero().squeeze(1), places)
    assert targets[-1] == 7, "of a window at least one is hidden"
    assert len(places) == pytest.approx(0.3 * 10_000, rel=0.05)
    shown = torch.cat([torch.arange(200).repeat(50), torch.tensor([7])])
    assert torch.equal(targets, shown[places])
    assert torch.equal(items[~hidden], shown[~hidden])
    assert int(lengths.sum()) == len(items)


def test_the_last_items_of_a_share_are_held_out():
    rows = [[1, 2], *([u, u + 1, u + 2] for u in range(40))]
    learned, held = hold_last_out(sequences_of(*rows), fraction=0.5, seed=3)
    assert len(held.target) == 20
    assert lists_of(held.before) == [[t - 2, t - 1] for t in held.target.tolist()]
    chosen = set(held.target.tolist())
    assert lists_of(learned) == [
        [1, 2],
        *([u, u + 1, *([] if u + 2 in chosen else [u + 2])] for u in range(40)),
    ]
    everything, nothing = hold_last_out(sequences_of(*rows), fraction=0.0, seed=3)
    assert lists_of(everything) == rows
    assert not len(nothing.target)


@pytest.mark.parametrize("rows", [1, 7, 400])
def test_the_fused_softmax_is_the_plain_one_with_its_gradients(rows, monkeypatch):
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 5, generator=generator).mul_(3).requires_grad_()
    items = torch.randn(500, 5, generator=generator).requires_grad_()
    target = torch.randint(500, (rows,), generator=generator)
    plain = cross_entropy(hidden @ items.T, target)
    expected = torch.autograd.grad(plain * 2, [hidden, items])
    fused = softmax_over_items(hidden, items, target)
    found = torch.autograd.grad(fused * 2, [hidden, items])
    assert fused.item() == pytest.approx(plain.item(), rel=1e-6)
    monkeypatch.setattr(output, "_NUMBERS", 20_000)
    total, *by_torch = output.by_stretches(hidden.detach(), items.detach(), target)
    assert total.item() == pytest.approx(plain.item() * rows, rel=1e-6)
    for ours, theirs, elsewhere in zip(found, expected, by_torch, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
        assert torch.allclose(elsewhere * 2 / rows, theirs, atol=1e-6)


def test_gbce_by_hand():
    positive, negative = torch.tensor([2.0, -1.0]), torch.tensor([[0.0, 1.0], [-torch.inf, 3.0]])
    share, t = 0.1, 0.75
    beta = share * (t * (1 - 1 / share) + 1 / share)

    def sigmoid(x: float) -> float:
        return float(1 / (1 + np.exp(-x)))

    first = beta * np.log(sigmoid(2)) + np.log(1 - sigmoid(0)) + np.log(1 - sigmoid(1))
    second = beta * np.log(sigmoid(-1)) + np.log(1 - sigmoid(3))
    assert gbce(positive, negative, share, t).item() == pytest.approx(-(first + second) / 2 / 3, rel=1e-5)
    assert beta == pytest.approx(0.325)


class Fixed(SequenceNetwork):
    """Tells what it is given, whatever it reads."""

    def __init__(self, vectors: torch.Tensor, told: torch.Tensor) -> None:
        super().__init__()
        self.vectors, self.told = vectors, told

    def items(self) -> torch.Tensor:
        return self.vectors

    def forward(self, vectors: torch.Tensor, items: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.told


@pytest.mark.parametrize("loss", ["softmax", "sampled", "gbce"])
def test_the_objective_by_hand(loss):
    rng = np.random.default_rng(0)
    vectors, hidden = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    network = Fixed(*(torch.from_numpy(x.astype(np.float32)) for x in (vectors, hidden)))
    counts, target, places, negatives = np.array([16, 1, 1, 81, 0]), [2, 0], [3, 1], [0, 3, 1]
    objective = Objective(tm.SASRec(loss=loss, negatives=3, calibration=0.5), counts, CPU)
    batch = [torch.zeros(4, dtype=torch.int64), torch.tensor([4]), torch.tensor(target), torch.tensor(places)]
    if loss != "softmax":
        batch.insert(0, torch.tensor(negatives))
    q = counts**0.75 / (counts**0.75).sum()
    total = 0.0
    for place, right in zip(places, target, strict=True):
        scores = vectors @ hidden[place]
        others = [i for i in negatives if i != right]
        if loss == "softmax":
            total += np.log(np.exp(scores).sum()) - scores[right]
        elif loss == "sampled":
            rest = sum(np.exp(scores[i]) / (3 * q[i]) for i in others)
            total += np.log(np.exp(scores[right]) + rest) - scores[right]
        else:
            share = 3 / 4
            beta = share * (0.5 * (1 - 1 / share) + 1 / share)
            softplus = np.logaddexp(0, [-scores[right], *scores[others]])
            total += (beta * softplus[0] + softplus[1:].sum()) / 4
    assert objective(network, tuple(batch)).item() == pytest.approx(total / 2, rel=1e-5)


def test_items_that_nobody_took_are_never_drawn():
    counts = np.array([5, 0, 3, 1])
    batches = NextItems(sequences_of([0, 2, 3]), length=4, batch_size=1, device=CPU)
    for loss in ("sampled", "gbce"):
        drawing = Objective(tm.SASRec(loss=loss, negatives=50), counts, CPU).batches(batches)
        drawing.start_epoch(torch.Generator().manual_seed(0))
        ((negatives, items, *_),) = list(drawing)
        assert set(negatives.tolist()) == {0, 2, 3}
        assert items.tolist() == [0, 2]
