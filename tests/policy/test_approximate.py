"""The approximate search finds nearly all that the exact one finds, and nothing that may not be found."""

import numpy as np
import pytest

from policy.shop import fitted
from tastemaker._native.topk import top_k_dot
from tastemaker.policy.approximate import Approximate, installed

pytestmark = pytest.mark.skipif(not installed(), reason="needs the extra ann")


def vectors(items: int, factors: int = 16, seed: int = 0) -> np.ndarray:
    """Items around the centers of tastes, as factor models have them; some without a vector."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((50, factors))
    found = centers[rng.integers(50, size=items)] + 0.5 * rng.standard_normal((items, factors))
    found *= rng.gamma(2, 1, (items, 1))
    found[:: items // 20] = np.nan
    return found.astype(np.float32)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_nearly_all_of_the_best(share: float) -> None:
    items = vectors(30_000)
    queries = vectors(30_000, seed=0)[1:200:2]
    queries = queries[~np.isnan(queries).any(axis=1)]
    mask = np.random.default_rng(1).random(len(items)) < share
    index = Approximate.of(items)
    exact = top_k_dot(queries, items, 100, mask=mask)
    found = index.top(queries, 100, None if share == 1 else mask)
    common = [len(np.intersect1d(a, b)) / 100 for a, b in zip(exact.items, found, strict=True)]
    assert np.mean(common) > 0.9
    for codes in found:
        assert len(codes) == len(set(codes.tolist())) == 100
        assert share == 1 or mask[codes].all()
        assert not np.isnan(items[codes]).any()


def test_the_same_index_from_the_same_seed() -> None:
    items = vectors(5_000)
    queries = np.ascontiguousarray(items[1:9])
    once, again = (Approximate.of(items, seed=3).top(queries, 20, None) for _ in range(2))
    assert [codes.tolist() for codes in once] == [codes.tolist() for codes in again]


def test_few_items_left_are_searched_exactly() -> None:
    index = Approximate.of(vectors(2_000))
    mask = np.zeros(2_000, np.bool_)
    assert index.suits(None)
    assert not index.suits(mask)
    mask[:1000] = True
    assert index.suits(mask)


def test_a_policy_gives_nearly_the_same_lists() -> None:
    exact, nearly = fitted(), fitted(exact_up_to=0)
    assert nearly.shelf.approximate is not None
    assert exact.shelf.approximate is None
    pairs = zip(exact.recommend(k=5).lists(), nearly.recommend(k=5).lists(), strict=True)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in pairs]) > 0.8
    assert nearly.recommend(k=60).lists()[0]
    for rule in ({"filter": "price < 1"}, {"allow": ["i1", "i2"]}, {"deny": [f"i{n}" for n in range(50)]}):
        assert sorted(nearly.recommend(["u1"], k=60, **rule).lists()[0]) == sorted(
            exact.recommend(["u1"], k=60, **rule).lists()[0]
        )
