"""What models are asked with: a history in its order, with known items in the place of new ones."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tastemaker.data.history import History
from tastemaker.policy.arrivals import Arrivals
from tastemaker.policy.content import Nearest
from tastemaker.policy.tastes import taste
from tastemaker.policy.visitors import Visitor


def shelf() -> Any:
    """Four known items; item 4 came later, and is like the second and, less so, the third."""
    like = Nearest(np.array([[1, 2]], np.int32), np.array([[0.75, 0.25]], np.float32))
    known = Arrivals.among(4, np.empty(0, np.int32), Nearest.nothing(0, 2))
    catalogue = SimpleNamespace(schema=SimpleNamespace(scale=None, explicit=False))
    return SimpleNamespace(n_items=5, arrivals=known.extended(like), catalogue=catalogue)


@pytest.mark.parametrize(
    ("items", "read", "weights"),
    [
        ([0, 3], [0, 3], [1, 1]),
        ([3, 0, 4], [3, 0, 2, 1], [1, 1, 0.25, 0.75]),
        ([4, 3, 0], [2, 1, 3, 0], [0.25, 0.75, 1, 1]),
        ([2, 0, 4], [0, 2, 1], [1, 1.25, 0.75]),
        ([4, 0, 1], [2, 0, 1], [0.25, 1, 1.75]),
    ],
)
def test_what_stands_for_a_new_item_stands_in_its_place(
    items: list[int], read: list[int], weights: list[float]
) -> None:
    given = History.of_lengths(np.array([len(items)]), np.array(items, np.int32))
    found = taste(shelf(), -1, Visitor(), given).history
    assert found.indices.tolist() == read
    assert found.weight.tolist() == weights
