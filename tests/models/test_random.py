"""Chance is uniform, repeatable, and owes nothing to the company it is asked in."""

import numpy as np
from scipy import stats

from tastemaker.data import Dataset
from tastemaker.models.random import Random

USERS, ITEMS = 50, 400


def data() -> Dataset:
    rng = np.random.default_rng(0)
    return Dataset.from_interactions(
        {"user": np.arange(USERS).repeat(8), "item": np.r_[np.arange(ITEMS)[rng.permutation(ITEMS)]]}
    )


def scores(model: Random, users: list[int]) -> np.ndarray:
    """float32[users, items] by ascending item id."""
    pairs = np.array([(u, i) for u in users for i in range(ITEMS)])
    return model.predict(pairs[:, 0], pairs[:, 1]).reshape(len(users), ITEMS)


def test_scores_are_uniform_on_0_to_1() -> None:
    found = scores(Random().fit(data()), list(range(USERS)))
    assert found.min() >= 0
    assert found.max() < 1
    assert stats.kstest(found.ravel(), "uniform").pvalue > 0.001


def test_users_items_and_seeds_are_unrelated() -> None:
    one, other = (scores(Random(seed=s).fit(data()), list(range(USERS))) for s in (0, 1))
    limit = 4.5 / np.sqrt(ITEMS)  # a correlation of independent samples stays below with near certainty
    between = np.corrcoef(one) - np.eye(USERS)
    assert np.abs(between).max() < limit
    assert np.abs([np.corrcoef(a, b)[0, 1] for a, b in zip(one, other, strict=True)]).max() < limit
    assert np.abs(np.corrcoef(one.T) - np.eye(ITEMS)).max() < 5.5 / np.sqrt(USERS)


def test_the_same_alone_in_any_batch_and_after_another_fit() -> None:
    model = Random(seed=3).fit(data())
    together = scores(model, [4, 9, 30])
    assert (scores(model, [9])[0] == together[1]).all()
    assert (scores(Random(seed=3).fit(data()), [30, 9])[0] == together[2]).all()


def test_a_given_history_counts_with_its_order_and_anonymous_lists_are_alike() -> None:
    model = Random().fit(data())
    lists = model.recommend(history=[[1, 2], [2, 1], [1, 2], [3], [], []], k=20).lists()
    assert lists[0] == lists[2]
    assert lists[4] == lists[5]
    assert len({tuple(row) for row in lists}) == 4


def test_large_seeds_are_seeds() -> None:
    assert scores(Random(seed=2**70 + 1).fit(data()), [0]).shape == (1, ITEMS)
