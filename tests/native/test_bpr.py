"""Bayesian personalized ranking: the kernels against their twins, a step worked by hand, and the same bits with any threads."""

from collections.abc import Iterator
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from tastemaker._native import set_threads, threads
from tastemaker._native.bpr import (
    Positives,
    Triples,
    bpr_epoch,
    bpr_epoch_numpy,
    bpr_fold_in,
    bpr_fold_in_numpy,
    draw_triples,
    draw_triples_numpy,
    epoch_key,
)
from tastemaker._native.sgd import Factors


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


def random_positives(
    n_users: int, n_items: int, groups: int, fill: float = 0.3, popular: bool = False
) -> Positives:
    rng = np.random.default_rng(3)
    taken = rng.random((n_users, n_items)) < fill
    indptr = np.concatenate([[0], taken.sum(axis=1).cumsum()]).astype(np.int64)
    items = np.nonzero(taken)[1].astype(np.int32)
    weights = rng.choice([0.5, 1.0, 2.0], len(items)).astype(np.float32)
    pool = items if popular else np.arange(n_items, dtype=np.int32)
    return Positives.of(indptr, items, weights, pool, n_items=n_items, rng=rng, groups=groups)


def random_factors(n_users: int, n_items: int, factors: int) -> Factors:
    rng = np.random.default_rng(1)
    start = Factors.zeros(n_users, n_items, factors)
    for rows in (start.users, start.items):
        rows[:, :factors] = rng.normal(0, 0.3, (len(rows), factors))
    start.item_bias[:] = rng.normal(0, 0.3, n_items)
    return start


def drawn(positives: Positives, key: int) -> Triples:
    triples = Triples.empty(positives)
    draw_triples(positives, key, triples)
    return triples


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("popular", [False, True])
def test_draws_equal_those_of_the_twin(groups: int, popular: bool) -> None:
    positives = random_positives(30, 20, groups, popular=popular)
    set_threads(2)
    ours, twin = drawn(positives, epoch_key(5, 1)), Triples.empty(positives)
    draw_triples_numpy(positives, epoch_key(5, 1), twin)
    np.testing.assert_array_equal(ours.negatives, twin.negatives)
    np.testing.assert_array_equal(ours.starts, twin.starts)
    np.testing.assert_array_equal(ours.columns[: ours.starts[-1]], twin.columns[: twin.starts[-1]])


def test_a_negative_is_never_an_observed_positive() -> None:
    positives = random_positives(50, 12, groups=2, fill=0.8, popular=True)
    pairs = set(
        zip(
            np.repeat(np.arange(50), np.diff(positives.indptr)).tolist(),
            positives.items.tolist(),
            strict=True,
        )
    )
    for epoch in range(20):
        triples = drawn(positives, epoch_key(0, epoch))
        rows = triples.columns[: triples.starts[-1]]
        assert not pairs & set(map(tuple, rows[:, [0, 2]].tolist()))
        assert set(map(tuple, rows[:, :2].tolist())) <= pairs


def test_who_has_taken_everything_is_left_out() -> None:
    positives = random_positives(3, 4, groups=1, fill=2.0)
    triples = drawn(positives, 1)
    assert triples.starts[-1] == 0
    assert (triples.negatives == -1).all()


def test_negatives_come_as_often_as_they_stand_in_the_pool() -> None:
    n = 40_000
    indptr = np.arange(n + 1, dtype=np.int64)
    pool = np.array([1, 2, 2, 2], np.int32)
    positives = Positives.of(
        indptr, np.zeros(n, np.int32), np.ones(n, np.float32), pool, n_items=3, rng=np.random.default_rng(0)
    )
    share = (drawn(positives, epoch_key(1)).negatives == 2).mean()
    assert share == pytest.approx(0.75, abs=5 * (0.75 * 0.25 / n) ** 0.5)


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_tasks_under_way_at_once_share_nothing_and_hold_their_triples(groups: int) -> None:
    positives = random_positives(60, 40, groups)
    rounds = positives.schedule.reshape(-1, groups, 3)
    for together in rounds:
        assert len(set(together[:, 0])) == groups
        assert len(set(together[:, 1:].ravel())) == 2 * groups
    triples = drawn(positives, 9)
    task = np.repeat(np.arange(len(positives.schedule)), np.diff(triples.starts))
    rows = triples.columns[: triples.starts[-1]]
    assert len(rows) == len(positives.items)
    assert (positives.user_group[rows[:, 0]] == positives.schedule[task, 0]).all()
    for column in (1, 2):
        group = positives.item_group[rows[:, column]]
        assert ((group == positives.schedule[task, 1]) | (group == positives.schedule[task, 2])).all()


@pytest.mark.parametrize("factors", [1, 16, 20, 70])
@pytest.mark.parametrize("groups", [1, 3])
def test_an_epoch_equals_its_twin(factors: int, groups: int) -> None:
    positives = random_positives(20, 15, groups)
    ours, twin = random_factors(20, 15, factors), random_factors(20, 15, factors)
    set_threads(2)
    for epoch in range(3):
        triples = drawn(positives, epoch_key(0, epoch))
        loss = bpr_epoch(positives, triples, ours, learning_rate=0.05, regularization=0.1)
        expected = bpr_epoch_numpy(positives, triples, twin, learning_rate=0.05, regularization=0.1)
        assert loss == pytest.approx(expected, rel=1e-5)
    for a, b in ((ours.users, twin.users), (ours.items, twin.items), (ours.item_bias, twin.item_bias)):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_one_step_by_hand() -> None:
    # x = 0.5 - 0.25 + 2 * (1 - 3) = -3.75; the pull is 1 / (1 + e^x), the step 0.1 * weight 2 = 0.2 on every gradient.
    one = np.zeros(1, np.int32)
    pool, weights = np.array([1], np.int32), np.array([2], np.float32)
    positives = Positives.of(np.array([0, 1]), one, weights, pool, n_items=2, rng=np.random.default_rng(0))
    factors = Factors.zeros(1, 2, 1)
    factors.users[0, 0], factors.items[:, 0], factors.item_bias[:] = 2, (1, 3), (0.5, 0.25)
    loss = bpr_epoch(positives, drawn(positives, 0), factors, learning_rate=0.1, regularization=0.4)
    pull = 1 / (1 + exp(-3.75))
    assert loss == pytest.approx(2 * log(1 + exp(3.75)))
    assert factors.users[0, 0] == pytest.approx(2 + 0.2 * (pull * (1 - 3) - 0.4 * 2))
    assert factors.items[0, 0] == pytest.approx(1 + 0.2 * (pull * 2 - 0.4 * 1))
    assert factors.items[1, 0] == pytest.approx(3 + 0.2 * (-pull * 2 - 0.4 * 3))
    assert factors.item_bias[0] == pytest.approx(0.5 + 0.2 * (pull - 0.4 * 0.5))
    assert factors.item_bias[1] == pytest.approx(0.25 + 0.2 * (-pull - 0.4 * 0.25))


def test_same_bits_with_any_number_of_threads() -> None:
    positives = random_positives(400, 300, groups=8)
    learned = []
    for count in (1, 2, 5):
        set_threads(count)
        factors = random_factors(400, 300, 24)
        losses = [
            bpr_epoch(positives, drawn(positives, epoch), factors, learning_rate=0.05, regularization=0.01)
            for epoch in range(3)
        ]
        learned.append(
            (losses, factors.users.tobytes(), factors.items.tobytes(), factors.item_bias.tobytes())
        )
    assert learned[0] == learned[1] == learned[2]


def test_folding_in_equals_its_twin_and_does_not_depend_on_the_others() -> None:
    positives, factors = random_positives(8, 15, groups=1), random_factors(0, 15, 20)
    options = {
        "keys": np.array([epoch_key(1, e) for e in range(4)], np.uint64),
        "rates": np.array([0.3, 0.2, 0.2, 0.1], np.float32),
        "regularization": 0.05,
    }
    asked = (positives.indptr, positives.items, positives.weights, positives.pool, factors)
    users = bpr_fold_in(*asked, **options)
    np.testing.assert_allclose(users, bpr_fold_in_numpy(*asked, **options), atol=1e-5)
    for query in range(8):
        part = slice(*positives.indptr[query : query + 2])
        alone = bpr_fold_in(
            np.array([0, part.stop - part.start]), positives.items[part], positives.weights[part], positives.pool,
            factors, **options,
        )  # fmt: skip
        assert alone[0].tobytes() == users[query].tobytes()


def test_folding_in_takes_the_steps_of_training_with_the_items_fixed() -> None:
    positives, factors = random_positives(1, 15, groups=1), random_factors(1, 15, 16)
    factors.users[:] = 0
    positives = replace(positives, weights=np.ones_like(positives.weights))
    folded = bpr_fold_in(
        positives.indptr, positives.items, positives.weights, positives.pool, factors,
        keys=np.array([7], np.uint64), rates=np.array([1e-4], np.float32), regularization=0.0,
    )  # fmt: skip
    in_order = drawn(positives, 7)  # one group: one task, so the order is that of the history
    bpr_epoch(positives, in_order, factors, learning_rate=1e-4, regularization=0.0)
    np.testing.assert_allclose(folded, factors.users, rtol=1e-3)
