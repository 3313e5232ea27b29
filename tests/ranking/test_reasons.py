"""Reasons in words that are true, and lists whose slots do not all say the same."""

import tastemaker as tm
from tastemaker.data import Catalogue
from tastemaker.data.queries import queries_from_ids
from tastemaker.ranking.reasons import Reason, headlines, in_words

RATINGS = {"user": ["ann"] * 3, "item": ["tea", "jam", "ham"], "rating": [5, 1, 3]}


def said(item: str, contribution: float, *, rated: bool = True, text: str = "") -> str:
    data = tm.Dataset.from_interactions(
        RATINGS, rating="rating" if rated else None, scale=(1, 5) if rated else None
    )
    catalogue = Catalogue.of(data)
    reason = Reason("item", int(catalogue.items.encode([item])[0]), contribution, text)
    return in_words(reason, catalogue, queries_from_ids(catalogue, ["ann"]).history).text


def test_liked_only_what_was_rated_in_the_upper_half() -> None:
    assert said("tea", 0.5) == "because you liked tea"
    assert said("tea", -0.5) == "although you liked tea"
    assert said("jam", 0.5) == "because you gave jam 1 of 5"
    assert said("ham", -0.5) == "because you gave ham 3 of 5"
    assert said("jam", 0.5, rated=False) == "because you liked jam"
    assert said("tea", 0.5, text="shares milk") == "because you liked tea, which shares milk"


def test_slots_take_turns_but_never_drop_a_reason() -> None:
    row = [[Reason("item", 1, 0.9), Reason("item", 2, 0.6), Reason("feature", "f", 2.0)] for _ in range(3)]
    spread = headlines(row)
    assert [slot[0].what for slot in spread] == [1, 2, 1]
    assert [{r.what for r in slot} for slot in spread] == [{1, 2, "f"}] * 3


def test_a_weak_reason_never_heads_a_slot_before_a_much_stronger_one() -> None:
    row = [[Reason("item", 1, 0.9), Reason("item", 2, 0.1)] for _ in range(3)]
    assert [slot[0].what for slot in headlines(row)] == [1, 1, 1]
    assert headlines([[]]) == [[]]
