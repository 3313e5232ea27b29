"""New items stand for the known ones most like them: worked by hand."""

import numpy as np
import pytest

import tastemaker as tm
from contract.conftest import small_data
from tastemaker.policy.arrivals import Arrivals
from tastemaker.policy.content import Nearest

KNOWN = np.array([1.0, 2.0, 4.0, np.nan], np.float32)
NOBODY = np.empty(0, np.int32)


def arrivals() -> Arrivals:
    """Four known items; the fourth is cold and like the first. Item 4 is like the second and third, item 5 like nothing."""
    none = Arrivals.among(4, np.array([3], np.int32), Nearest(codes([[0, -1]]), shares([[1, 0]])))
    return none.extended(Nearest(codes([[1, 2], [-1, -1]]), shares([[0.75, 0.25], [0, 0]])))


def codes(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.int32)


def shares(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


def scored(items: list[int], had: np.ndarray = NOBODY) -> list[float]:
    return arrivals().scores(np.array(items, np.int32), lambda known: KNOWN[known], had).tolist()


def test_scores_are_weighted_means() -> None:
    assert scored([0, 2, 3, 4]) == pytest.approx([1, 4, 1, 0.75 * 2 + 0.25 * 4])
    assert np.isnan(scored([5])[0])
    assert scored([2, 1]) == [4, 2]


def test_what_the_user_had_does_not_speak_for_a_new_item() -> None:
    assert scored([4], had=np.array([1], np.int32)) == [4]
    assert np.isnan(scored([4], had=np.array([1, 2], np.int32))[0])


def test_vectors_are_weighted_means_and_so_their_scores_are() -> None:
    model = tm.ImplicitALS(factors=4, epochs=2).fit(small_data())
    vectors = model.packed_items(model._fitted).items
    first = len(vectors)
    known = Arrivals.among(first, NOBODY, Nearest.nothing(0, 2))
    new = known.extended(Nearest(codes([[1, 2], [-1, -1]]), shares([[0.75, 0.25], [0, 0]])))
    found = new.vectors_of(model, np.array([3, first, first + 1], np.int32))
    assert found[0].tolist() == vectors[3].tolist()
    assert found[1] == pytest.approx(0.75 * vectors[1] + 0.25 * vectors[2], rel=1e-6)
    assert np.isnan(found[2]).all()
    assert len(new) == 2


def test_other_likenesses_take_the_place_of_the_old() -> None:
    other = arrivals().replaced(np.array([4], np.int32), Nearest(codes([[0, -1]]), shares([[1, 0]])))
    assert other.scores(np.array([4, 3], np.int32), lambda known: KNOWN[known], NOBODY).tolist() == [1, 1]
    assert scored([4]) == [2.5], "the old ones are as they were"
