"""The lecture's rating matrix, worked by hand: who is like Bob, and what would he give Squid Game?"""

import numpy as np
import pytest

import tastemaker as tm

#         Squid Game  The Crown  Breaking Bad  The Office
# Alice       5           2           -            5
# Bob         -           3           -            4
# Chris       2           -           4            2
# Derek       4           3           -            -
RATINGS = [
    ("Alice", "Squid Game", 5),
    ("Alice", "The Crown", 2),
    ("Alice", "The Office", 5),
    ("Bob", "The Crown", 3),
    ("Bob", "The Office", 4),
    ("Chris", "Squid Game", 2),
    ("Chris", "Breaking Bad", 4),
    ("Chris", "The Office", 2),
    ("Derek", "Squid Game", 4),
    ("Derek", "The Crown", 3),
]


@pytest.fixture(scope="module")
def data() -> tm.Dataset:
    user, item, rating = zip(*RATINGS, strict=True)
    table = {"user": user, "item": item, "rating": rating}
    return tm.Dataset.from_interactions(table, rating="rating", scale=(1, 5))


def test_alice_is_the_nearest_to_bob(data):
    near = tm.UserKNN(similarity="cosine", similarity_over="all").fit(data).similar_users(["Bob"])
    assert near["neighbor"].to_list() == ["Alice", "Derek", "Chris"]
    # Bob·Alice = 3·2 + 4·5 = 26, ‖Bob‖ = 5, ‖Alice‖ = √54; Bob·Derek = 9, ‖Derek‖ = 5; Bob·Chris = 8, ‖Chris‖ = √24
    expected = [26 / (5 * 54**0.5), 9 / 25, 8 / (5 * 24**0.5)]
    np.testing.assert_allclose(near["similarity"], expected, rtol=1e-12)
    np.testing.assert_allclose(near["similarity"], [0.708, 0.360, 0.327], atol=5e-4)


@pytest.mark.parametrize("aggregation", ["mean", "weighted"])
def test_the_one_nearest_neighbor_gives_squid_game_5(data, aggregation):
    model = tm.UserKNN(neighbors=1, aggregation=aggregation).fit(data)
    assert model.predict(["Bob"], ["Squid Game"]).tolist() == [5]


def test_three_neighbors_by_weight_give_4_04(data):
    model = tm.UserKNN(neighbors=3, aggregation="weighted").fit(data)
    # (.7076·5 + .3600·4 + .3266·2) / (.7076 + .3600 + .3266)
    assert model.predict(["Bob"], ["Squid Game"])[0] == pytest.approx(4.04, abs=0.005)


def test_the_naive_walk_through_averages_the_neighbors_that_rated_the_item(data):
    model = tm.UserKNN(neighbors=3, aggregation="mean").fit(data)
    assert model.predict(["Bob"], ["Squid Game"])[0] == pytest.approx((5 + 4 + 2) / 3)
    two = tm.UserKNN(neighbors=2, aggregation="mean").fit(data)
    assert two.predict(["Bob"], ["Squid Game"])[0] == pytest.approx((5 + 4) / 2)


def test_only_chris_rated_breaking_bad_so_he_alone_decides(data):
    model = tm.UserKNN(neighbors=1, aggregation="weighted").fit(data)
    assert model.predict(["Bob"], ["Breaking Bad"]).tolist() == [4]


def test_bob_is_recommended_the_higher_of_the_two(data):
    top = tm.UserKNN(neighbors=1, aggregation="weighted").fit(data).recommend(["Bob"], k=2)
    assert top.lists() == [["Squid Game", "Breaking Bad"]]
    assert top.scores[0].tolist() == [5, 4]
