"""What is drawn, how often, and what never is."""

import numpy as np
import pytest
import torch

from tastemaker.data.history import History
from tastemaker.models.neural import negatives as module
from tastemaker.models.neural.negatives import Negatives, Positives, draw_unseen, in_batch_log_probability

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    "popularity", [None, [1, 1, 1, 1], [0, 2, 2, 0], [5, 0, 1, 4]], ids=["all", "ones", "some", "skewed"]
)
def test_items_come_as_often_as_they_should(popularity):
    weights = None if popularity is None else np.array(popularity, float)
    share = np.full(4, 0.25) if weights is None else weights / weights.sum()
    draw = Negatives(4, CPU, weights)
    drawn = draw.draw((300, 200), generator())
    assert drawn.shape == (300, 200)
    assert drawn.dtype == torch.int64
    counts = np.bincount(drawn.numpy().ravel(), minlength=4) / 60_000
    np.testing.assert_allclose(counts, share, atol=0.01)
    assert counts[share == 0].sum() == 0
    np.testing.assert_allclose(np.exp(draw.log_probability(torch.arange(4)).numpy()), share, rtol=1e-6)


def test_the_draws_are_the_generators():
    skewed = Negatives(50, CPU, np.arange(50.0))
    first, again, other = (skewed.draw((100,), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("popularity", [[1, -1], [0, 0], [1, 2, 3], [1, np.nan], [1, np.inf]])
def test_what_is_no_popularity_is_refused(popularity):
    with pytest.raises(ValueError, match="popularity must be 2 finite numbers"):
        Negatives(2, CPU, np.array(popularity, float))


def random_history(seed: int, users: int = 30, items: int = 20) -> tuple[History, np.ndarray]:
    taken = np.random.default_rng(seed).random((users, items)) < 0.5
    taken[0] = False
    return History.of_lengths(taken.sum(axis=1), np.nonzero(taken)[1].astype(np.int32)), taken


@pytest.mark.parametrize("searched", [False, True])
def test_positives_are_those_of_the_history(searched, monkeypatch):
    if searched:
        monkeypatch.setattr(module, "_TABLE", 0)
    history, taken = random_history(1)
    positives = Positives(history, 20, CPU)
    users, items = torch.meshgrid(torch.arange(30), torch.arange(20), indexing="ij")
    assert np.array_equal(positives.contains(users, items).numpy(), taken)
    nothing = Positives(History.empty(2), 3, CPU)
    assert not nothing.contains(torch.tensor([0, 1]), torch.tensor([0, 2])).any()


def test_nothing_taken_is_drawn():
    history, taken = random_history(2)
    users = torch.arange(30).repeat(50)
    drawn = draw_unseen(Negatives(20, CPU), Positives(history, 20, CPU), users, 3, generator())
    assert drawn.shape == (1500, 3)
    assert not taken[users.numpy()[:, None], drawn.numpy()].any()
    free = np.flatnonzero(~taken[5])
    assert set(drawn[users == 5].ravel().tolist()) == set(free.tolist()), "whatever is free is drawn"


def test_who_has_taken_everything_is_no_endless_loop():
    everything = History.of_lengths(np.array([3]), np.array([0, 1, 2], np.int32))
    drawn = draw_unseen(Negatives(3, CPU), Positives(everything, 3, CPU), torch.tensor([0]), 4, generator())
    assert drawn.shape == (1, 4)


def test_in_a_batch_items_come_as_often_as_they_are_taken():
    log_q = in_batch_log_probability(np.array([3, 0, 1]), CPU)
    np.testing.assert_allclose(np.exp(log_q.numpy()), [0.75, 0, 0.25])
