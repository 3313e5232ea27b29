"""The lecture's matrix factorization: Bob's rating of Squid Game, and one gradient step on Alice's."""

import numpy as np
import polars as pl
import pytest

from tastemaker import Dataset
from tastemaker._native.sgd import Blocks, Factors, sgd_epoch
from tastemaker.data.catalogue import Catalogue
from tastemaker.models.base import Fitted
from tastemaker.models.matrix_factorization import MatrixFactorization, MatrixFactorizationState

USERS = ["Alice", "Bob", "Chris", "Derek"]
ITEMS = ["Squid Game", "The Crown", "Breaking Bad", "The Office"]
U = np.array([[3.1, 1.4], [1.7, 1.8], [0.23, 0.53], [0.42, 0.98]], np.float32)
V = np.array([[1.5, 0.8], [0.19, 0.63], [0.97, 0.82], [0.12, 0.25]], np.float32)
RATINGS = {
    "Alice": {"Squid Game": 5, "The Crown": 2, "The Office": 5},
    "Bob": {"The Crown": 3, "The Office": 4},
    "Chris": {"Squid Game": 2, "Breaking Bad": 4, "The Office": 2},
    "Derek": {"Squid Game": 4, "The Crown": 3},
}


def ratings() -> Dataset:
    rows = [(user, item, rating) for user, given in RATINGS.items() for item, rating in given.items()]
    table = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    return Dataset.from_interactions(table, rating="rating", scale=(1, 5))


def with_the_slides_factors() -> MatrixFactorization:
    """A model whose factors are the slide's, without mean and biases."""
    data = ratings()
    zeros = np.zeros(4, np.float32)
    state = MatrixFactorizationState(
        mean=0.0,
        spread=1.0,
        user_factors=U[[USERS.index(u) for u in data.users.ids]],
        item_factors=V[[ITEMS.index(i) for i in data.items.ids]],
        user_bias=zeros,
        item_bias=zeros,
        epochs=1,
    )
    model = MatrixFactorization(factors=2, biases=False)
    model._hold(Fitted(state, Catalogue.of(data)))
    return model


def test_bob_and_squid_game() -> None:
    # 1.7 * 1.5 + 1.8 * 0.8 = 2.55 + 1.44 (the slide rounds 3.99 to 4.0)
    model = with_the_slides_factors()
    assert model.predict(["Bob"], ["Squid Game"])[0] == pytest.approx(3.99)
    assert model.recommend(["Bob"], k=1).lists() == [["Squid Game"]]


@pytest.mark.parametrize(
    ("learning_rate", "alice", "squid_game", "after"),
    [
        # The kernel goes down 1/2 (r - p)^2: U + 0.1 * 4.6565 * V and V + 0.1 * 4.6565 * U.
        (0.1, (0.415573, 0.9543515), (0.522443, 0.6871765), 0.872921),
        # The slide's (r - p)^2, without the half, has twice the gradient: the same step at rate 0.1 is the kernel's at 0.2.
        (0.2, (0.611146, 1.098703), (0.624886, 1.064353), 1.551305),
    ],
)
def test_one_gradient_step_on_alice_and_squid_game(
    learning_rate: float, alice: tuple[float, float], squid_game: tuple[float, float], after: float
) -> None:
    # p = 0.22 * 0.42 + 0.81 * 0.31 = 0.3435, so e = 5 - 0.3435 = 4.6565
    factors = Factors.zeros(1, 1, 2)
    factors.users[0, :2] = 0.22, 0.81
    factors.items[0, :2] = 0.42, 0.31
    one, values = np.zeros(1, np.int32), np.array([5], np.float32)
    blocks = Blocks(np.array([0, 1]), one, one, values, np.ones(1, np.float32), 1)
    loss = sgd_epoch(blocks, factors, learning_rate=learning_rate, regularization=0.0, biased=False)
    assert loss == pytest.approx((5 - 0.3435) ** 2)  # 21.68, which the slide rounds to 21.7
    assert factors.users[0, :2] == pytest.approx(alice, abs=1e-6)
    assert factors.items[0, :2] == pytest.approx(squid_game, abs=1e-6)
    assert factors.users[0] @ factors.items[0] == pytest.approx(after, abs=1e-5)
    assert (5 - factors.users[0] @ factors.items[0]) ** 2 < (5 - 0.3435) ** 2
    assert not factors.user_bias.any()
    assert not factors.item_bias.any()
