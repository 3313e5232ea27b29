"""The lecture's rating matrix as implicit feedback: who interacted with what."""

import pytest

from tastemaker.data import Dataset
from tastemaker.data.quality import to_implicit

RATINGS = {
    "Alice": {"Squid Game": 5, "The Crown": 2, "The Office": 5},
    "Bob": {"The Crown": 3, "The Office": 4},
    "Chris": {"Squid Game": 2, "Breaking Bad": 4, "The Office": 2},
    "Derek": {"Squid Game": 4, "The Crown": 3},
}
ITEMS = ["Squid Game", "The Crown", "Breaking Bad", "The Office"]


@pytest.fixture
def ratings() -> Dataset:
    rows = [(user, item, rating) for user, rated in RATINGS.items() for item, rating in rated.items()]
    user, item, rating = zip(*rows, strict=True)
    return Dataset.from_interactions(
        {"user": user, "item": item, "rating": rating},
        rating="rating",
        scale=(1, 5),
        item_features={"item": ITEMS},
    )


def matrix(data: Dataset) -> list[list[float]]:
    """Alice, Bob, Chris, Derek by Squid Game, The Crown, Breaking Bad, The Office."""
    dense = data.matrix().toarray()
    return dense[:, data.items.encode(ITEMS)].tolist()


def test_the_slides_matrix_of_ones_and_zeros(ratings: Dataset) -> None:
    assert matrix(to_implicit(ratings)) == [[1, 1, 0, 1], [0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 0, 0]]
    assert not to_implicit(ratings).schema.explicit


def test_with_a_threshold_only_what_was_liked_is_feedback(ratings: Dataset) -> None:
    assert matrix(to_implicit(ratings, threshold=4)) == [
        [1, 0, 0, 1],
        [0, 0, 0, 1],
        [0, 0, 1, 0],
        [1, 0, 0, 0],
    ]
