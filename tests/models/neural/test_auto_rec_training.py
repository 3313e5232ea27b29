"""How AutoRec learns: the loss by hand, what is hidden, early stopping, the same bits with any threads."""

from typing import Any

import numpy as np
import pytest
import torch

import tastemaker as tm
from models.neural.auto_rec_data import (
    KINDS,
    MEAN,
    SHOWN,
    SPREAD,
    by_hand,
    grid,
    halves,
    rebuilt,
    rmse,
    row_of,
    small,
    world,
)
from tastemaker import _native
from tastemaker.data.history import History
from tastemaker.data.queries import queries_from_ids
from tastemaker.models.neural.auto_rec_state import AutoRecState, row_means
from tastemaker.models.neural.auto_rec_training import Judge, Network, Ratings, RowBatches, SquaredError
from tastemaker.models.neural.sparse_rows import Entries

CPU = torch.device("cpu")


def ratings_of(history: History, held_out: History | None = None) -> Any:
    """What the network is shown and must rebuild."""
    base = row_means(history, MEAN, SHOWN).astype(np.float32)
    return Ratings(history, history, held_out, base, SPREAD, (1, 5))


def network_of(state: AutoRecState) -> Any:
    network = Network(*state.decoder.shape, 0.0, torch.Generator().manual_seed(0))
    for name, weight in network.named_parameters():
        weight.data = torch.from_numpy(getattr(state, name).copy())
    return network


def all_entries(rows: int, columns: int) -> Any:
    column = torch.arange(columns, dtype=torch.int32).repeat(rows)
    return Entries(
        torch.arange(rows + 1) * columns, column, torch.zeros(len(column)), torch.ones(len(column))
    )


def test_training_and_answering_compute_the_same() -> None:
    data = world(users=12, items=9, per_user=5)
    model = by_hand("user", data, factors=4)
    ratings = ratings_of(data.by_user)
    network = network_of(model._fitted.state)
    said = network(ratings.inputs(CPU).all, all_entries(12, data.n_items)).detach().numpy().reshape(12, -1)
    answered = model._score(model._fitted, queries_from_ids(model.catalogue))
    np.testing.assert_allclose(ratings.base[:, None] + SPREAD * said, answered, rtol=1e-4)


def test_the_loss_is_that_of_the_known_ratings_and_each_weighs_the_same() -> None:
    """Over the batches of an epoch it adds up to the mean, whatever the sizes of the rows and the batches."""
    data, _ = halves(world(users=21, items=9, per_user=5))
    model, ratings = by_hand("user", data, factors=4), ratings_of(data.by_user)
    network = network_of(model._fitted.state)
    shown, known = ratings.inputs(CPU), ratings.targets(ratings.known, CPU)
    batches = RowBatches(shown, known, batch_size=7, hide=0.0)
    batches.start_epoch(torch.Generator().manual_seed(1))
    loss = SquaredError(batches)
    mean = sum(float(loss(network, batch).detach()) for batch in batches) / 3
    errors = [
        (rebuilt(model._fitted.state, row_of(data.by_user, u))[i] - r) / SPREAD
        for u, i, r in zip(data.user, data.item, data.value, strict=True)
    ]
    assert mean == pytest.approx(np.mean(np.square(errors)), rel=1e-5)


def test_held_out_ratings_are_judged_as_they_are_predicted() -> None:
    training, held_out = halves(world(users=21, items=9, per_user=5))
    model = by_hand("user", training, factors=4)
    ratings = ratings_of(training.by_user, held_out.by_user)
    judge = Judge(network_of(model._fitted.state), ratings.inputs(CPU), ratings, ratings.held_out)
    with torch.no_grad():
        assert -judge() == pytest.approx(rmse(model, held_out), rel=1e-5)


def test_what_is_hidden_is_input_alone_and_the_rest_makes_up_for_it() -> None:
    history = world().by_user
    ratings = ratings_of(history)
    batches = RowBatches(ratings.inputs(CPU), ratings.targets(history, CPU), batch_size=1000, hide=0.25)
    batches.start_epoch(torch.Generator().manual_seed(1))
    ((indptr, column, shown, _, *known),) = batches
    assert torch.equal(known[0], indptr)
    assert torch.equal(known[1], column)
    rows = torch.repeat_interleave(batches.order, indptr.diff()).numpy()
    rating = dict(zip(zip(history.rows(), history.indices, strict=True), history.value, strict=True))
    value = np.array([rating[at] for at in zip(rows, column.numpy(), strict=True)])
    left = shown.numpy() != 0
    np.testing.assert_allclose(shown.numpy()[left], value[left] / SPREAD / 0.75, rtol=1e-5)
    np.testing.assert_allclose(known[2].numpy(), (value - ratings.base[rows]) / SPREAD, atol=1e-5)
    assert left.mean() == pytest.approx(0.75, abs=0.02)


@KINDS
def test_it_learns_what_biases_cannot(kind: Any) -> None:
    training, test = halves(world())
    biases = tm.MatrixFactorization(factors=1, epochs=40).fit(training)
    biases._fitted.state.user_factors[:] = 0
    assert rmse(small(kind, epochs=100).fit(training), test) < 0.8 * rmse(biases, test)


@KINDS
def test_same_seed_same_bits(kind: Any) -> None:
    data = world(users=60)
    one, same, other = (grid(small(kind, epochs=3, seed=s).fit(data), data).tobytes() for s in (1, 1, 2))
    assert one == same
    assert one != other


@KINDS
def test_early_stopping_keeps_the_best_epoch(kind: Any) -> None:
    data = world(noise=0.8)
    model = small(kind, epochs=300, regularization=0, validation_fraction=0.1, patience=5).fit(data)
    assert 1 <= model._fitted.state.epochs < 295


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    data = world(users=1200, items=150, per_user=120)  # more entries than torch leaves to one thread
    before, found = _native.threads(), []
    try:
        for count in (1, 2, 3):
            _native.set_threads(count)
            model = small("item", factors=40, epochs=1, batch_size=100, hide=0.2).fit(data)
            found.append(grid(model, data).tobytes())
    finally:
        _native.set_threads(before)
    assert found[0] == found[1] == found[2]


@KINDS
def test_of_implicit_feedback_what_was_taken_scores_higher(kind: Any) -> None:
    data = world()
    liked = data.select(data.value > 3.5).implicit()
    training, test = halves(liked)
    model = small(kind, epochs=100, hide=0.3).fit(training)
    scores = grid(model, data)
    seen = training.matrix().toarray() > 0
    held_out = scores[test.user, test.item].mean()
    scores[seen] = np.nan
    scores[test.user, test.item] = np.nan
    assert held_out > np.nanmean(scores) + 0.1


@KINDS
def test_only_the_ratio_of_weights_matters(kind: Any) -> None:
    data = world(users=60)
    four_times = data.with_columns(weight=np.full(len(data), 4.0))
    uneven = data.with_columns(weight=np.where(data.value > 3, 3.0, 1.0))
    plain, scaled, lifted = (grid(small(kind, epochs=5).fit(d), data) for d in (data, four_times, uneven))
    np.testing.assert_allclose(plain, scaled, atol=1e-5)
    assert lifted.mean() > plain.mean() + 0.1
