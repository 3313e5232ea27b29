"""Lists and relevant sets: built from what people have, refused when they cannot be measured."""

import numpy as np
import pytest

from tastemaker.metrics import RankedLists, RelevantItems
from tastemaker.metrics.ranking import ndcg_at_k

NOTHING = RelevantItems.from_sets([set()])


def test_csr_pairs_and_sets_build_the_same() -> None:
    sets = RelevantItems.from_sets([{4, 1}, set(), {0}])
    pairs = RelevantItems.from_pairs([2, 0, 0, 2], [0, 4, 1, 0], n_rows=3)
    csr = RelevantItems.from_csr([0, 2, 2, 4], [4, 1, 0, 0])
    for other in (pairs, csr):
        np.testing.assert_array_equal(other.indptr, sets.indptr)
        np.testing.assert_array_equal(other.indices, sets.indices)


def test_of_two_gains_for_one_item_the_larger_counts() -> None:
    relevant = RelevantItems.from_pairs([0, 0, 0], [5, 5, 2], 1, gains=[1.0, 4.0, 2.0])
    assert relevant.indices.tolist() == [2, 5]
    assert relevant.gains is not None
    assert relevant.gains.tolist() == [2.0, 4.0]


def test_hits_agree_with_set_membership() -> None:
    rng = np.random.default_rng(0)
    sets = [set(rng.integers(0, 40, rng.integers(0, 15)).tolist()) for _ in range(200)]
    lists = [rng.permutation(40)[: rng.integers(0, 13)].tolist() for _ in range(200)]
    ranked = RankedLists.from_lists(lists, sets, width=12)
    expected = [
        [item in rel for item in items] + [False] * (12 - len(items))
        for items, rel in zip(lists, sets, strict=True)
    ]
    np.testing.assert_array_equal(ranked.hits, expected)
    np.testing.assert_array_equal(ranked.lengths, [len(items) for items in lists])


def test_a_pad_is_never_a_hit_even_beside_the_last_item_of_the_row_before() -> None:
    # The key of a pad in row 1 equals the key of the largest item in row 0.
    ranked = RankedLists.from_lists([[1], []], [{9}, {9}], width=2)
    assert not ranked.hits.any()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[3, -1, 4]], "list 0 has an empty slot before an item"),
        ([[3, 4, 3]], "list 0 holds an item twice"),
    ],
)
def test_impossible_lists_are_refused(rows: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RankedLists(np.array(rows, dtype=np.int32), NOTHING)


def test_wrong_types_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="int32"):
        RankedLists(np.array([[1.0]]), NOTHING)
    with pytest.raises(ValueError, match="2 lists came with relevant items of 1 users"):
        RankedLists(np.zeros((2, 1), dtype=np.int32), NOTHING)
    with pytest.raises(ValueError, match="below n_rows=1"):
        RelevantItems.from_pairs([1], [0], 1)
    with pytest.raises(ValueError, match="whole numbers"):
        RelevantItems.from_pairs([0], [-1], 1)
    with pytest.raises(ValueError, match="not negative"):
        RelevantItems.from_pairs([0], [1], 1, gains=[-1.0])
    with pytest.raises(ValueError, match="equally long"):
        RelevantItems.from_pairs([0, 0], [1], 1)


def test_a_cut_off_beyond_the_slots_is_refused_not_understated() -> None:
    ranked = RankedLists.from_lists([[1, 2]], [{1}])
    with pytest.raises(ValueError, match="k=5, but the lists have 2 slots"):
        ndcg_at_k(ranked, 5)
    with pytest.raises(ValueError, match="k=0"):
        ndcg_at_k(ranked, 0)
