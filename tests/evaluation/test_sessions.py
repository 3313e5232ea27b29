"""Next items of sessions are asked for by their histories, and by nothing else."""

from dataclasses import replace
from math import log2

import pytest

from evaluation.known import NextCode, tiny
from tastemaker import ItemKNN
from tastemaker.data import Dataset
from tastemaker.data.splits import Split
from tastemaker.errors import DataError
from tastemaker.evaluation import compare, evaluate, make_splits

HOUR = 3600


def split(rated: bool = False) -> Split:
    """Codes in order of first appearance: a 0, b 1, c 2, d 3, e 4. Later: ann [a, b | c], bob [d, a | b], cid [e | c]."""
    rows = [
        ("ann", "a", 0), ("bob", "b", 0), ("bob", "c", 1), ("cid", "d", 0), ("dan", "e", 0),
        ("ann", "b", 9 * HOUR), ("ann", "c", 9 * HOUR + 1), ("bob", "d", 9 * HOUR), ("bob", "a", 9 * HOUR + 1),
        ("bob", "e", 9 * HOUR + 2), ("cid", "e", 9 * HOUR), ("cid", "c", 9 * HOUR + 60),
    ]  # fmt: skip
    users, items, at = zip(*rows, strict=True)
    columns = {"user": users, "item": items, "at": at, "stars": [3] * len(rows)}
    data = Dataset.from_interactions(columns, timestamp="at", rating="stars" if rated else None, name="shop")
    return make_splits(data, "session", ratings=7 / 12)[0]


def test_lists_by_hand() -> None:
    report = evaluate(NextCode(), split(), metrics="hit_rate@1,ndcg@2,mrr@4,auc_catalogue")
    # [b] -> c d e a, asked for c: first. [d, a] -> b c e, asked for e: third. [e] -> a b c d, asked for c: third
    assert report["hit_rate@1"] == pytest.approx(1 / 3)
    assert report["ndcg@2"] == pytest.approx(1 / 3)
    assert report["mrr@4"] == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    # of the others that are not in the session: none of 3 above, both of 2, 2 of 3
    assert report["auc_catalogue"] == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert report.counts.lists == 3
    assert report.candidates == "the full catalogue, without the items before"


def test_ratings_do_not_matter_and_are_not_predicted() -> None:
    report = evaluate(NextCode(), split(rated=True), metrics="ndcg@4")
    assert report["ndcg@4"] == pytest.approx((1 + 2 / log2(4)) / 3)
    with pytest.raises(DataError, match="implicit feedback without ratings"):
        evaluate(NextCode(), split(rated=True), metrics="rmse")


def test_pairs_cannot_be_predicted_for_somebody_without_an_id() -> None:
    made = tiny()
    rated = replace(made, history=made.train)
    with pytest.raises(DataError, match="predefined: predictions are for users with ids; ask for lists"):
        evaluate(NextCode(), rated, metrics="rmse")


def test_a_sampled_ranking_says_so() -> None:
    report = evaluate(NextCode(), split(), metrics="ndcg@2", sampled=2)
    assert report.candidates.startswith("SAMPLED: the relevant items and 2 random ones; not comparable")
    assert "SAMPLED" in str(report)


def test_models_of_histories_can_be_compared_on_them() -> None:
    result = compare({"next": NextCode(), "knn": ItemKNN()}, split(), metrics="ndcg@2")
    assert not result.failures
    assert list(result.reports) == ["next", "knn", "Popularity (reference)"]
