"""What the quality of interactions is worth to a model, where the true preferences are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tastemaker.data import Dataset
from tastemaker.data.quality import to_implicit
from tastemaker.data.world import World, world
from tastemaker.models.item_knn import ItemKNN


def true_ndcg(data: Dataset, made: World, k: int = 10) -> NDArray[np.float64]:
    """NDCG@k of each user's list of unseen items; the gain of an item is its true stars above the least."""
    lists = ItemKNN().fit(data).recommend(data.users.ids.to_list(), k=k).lists()
    seen = data.matrix().toarray() > 0
    gains = np.where(seen, 0, made.preferences_of(data) - 1)
    discount = 1 / np.log2(np.arange(2, k + 2))
    found = [
        gains[user, data.items.encode(items)] @ discount[: len(items)] for user, items in enumerate(lists)
    ]
    return np.array(found) / (-np.sort(-gains, axis=1)[:, :k] @ discount)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_beats_binary_against_the_true_preferences(seed: int) -> None:
    """The 95 % interval of the mean difference over users is above 0."""
    made = world(seed=seed)
    better = true_ndcg(made.implicit, made) - true_ndcg(to_implicit(made.dataset), made)
    assert better.mean() - 1.96 * better.std(ddof=1) / np.sqrt(len(better)) > 0
