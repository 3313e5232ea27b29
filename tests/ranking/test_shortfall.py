"""A short list's account adds up and reads as a sentence."""

import numpy as np

from tastemaker._native.topk import Rows, top_k
from tastemaker.ranking.shortfall import Shortfall, shortfalls


def test_the_account_of_short_lists_adds_up():
    scores = np.array([[1, 2, 3, np.nan], [4, 3, 2, 1]], np.float32)
    seen = Rows(np.array([0, 2, 2]), np.array([0, 1], np.int32))
    found = shortfalls(top_k(scores, 3, seen=seen), 3, 4)
    assert list(found) == [0]
    assert found[0].found + sum(found[0].removed.values()) == 4
    assert str(found[0]) == "1 of 3: 4 items, 2 seen, 1 without a score"


def test_every_reason_has_its_words():
    removed = dict.fromkeys(["seen", "denied", "not allowed", "filtered", "unscored", "capped"], 1)
    assert str(Shortfall(0, 10, 6, removed)) == (
        "0 of 10: 6 items, 1 seen, 1 denied, 1 not in the allow list, 1 fails the filter, 1 without a score, 1 over a cap"
    )


def test_a_catalogue_of_one():
    assert str(Shortfall(1, 10, 1, {"seen": 0})) == "1 of 10: 1 item"
