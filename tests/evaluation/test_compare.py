"""Models side by side: marks, popularity as the floor, failures that stay alone."""

import json

import numpy as np
import pytest

import tastemaker as tm
from evaluation.known import SCORES, Broken, Known, tiny
from tastemaker.data import Dataset
from tastemaker.data.splits import Split, k_fold, predefined
from tastemaker.errors import DataError, TastemakerError
from tastemaker.evaluation import compare
from tastemaker.progress import Progress, Task, use


def many_users(n: int = 60) -> tuple[Split, np.ndarray]:
    """Everybody had "hit"; each is tested on one of 20 other items, by turns. And scores that know which."""
    wanted = np.arange(n) % 20 + 1
    data = Dataset.from_interactions(
        {
            "user": np.r_[np.arange(n), np.arange(20), np.arange(n)],
            "item": np.r_[np.zeros(n, int), 100 + np.arange(20), wanted],
        }
    )
    split = predefined(data, np.arange(n + 20, 2 * n + 20))
    scores = np.zeros((n, data.n_items))
    scores[np.arange(n), data.items.encode(wanted)] = 1
    return split, scores


def test_best_is_marked_and_what_may_be_as_good() -> None:
    split, scores = many_users()
    nearly = scores.copy()
    nearly[0] = 0  # one user of sixty less
    result = compare(
        {"right": Known(scores=scores, kind="score"), "nearly": Known(scores=nearly, kind="score")},
        split,
        metrics="hit_rate@1",
    )
    lines = {line.split("  ")[0]: line for line in str(result).splitlines()}
    assert "1.0000 ±0 *" in lines["right"]
    assert "0.9833 ±.03 ·" in lines["nearly"]
    assert "*" not in lines["Popularity (reference)"]
    assert "·" not in lines["Popularity (reference)"]
    assert result.best("hit_rate@1") == result.best() == "right"
    assert result.warnings == ()


def test_lower_is_better_for_errors() -> None:
    worse = np.array(SCORES) + 2
    result = compare({"a": Known(scores=worse), "b": Known(scores=SCORES)}, tiny(), metrics="rmse")
    assert result.best() == "b"
    assert result.difference("rmse", "a", "b").value > 0


def test_what_only_one_model_has_is_its_best() -> None:
    result = compare({"stars": Known(scores=SCORES), "dice": tm.Random()}, tiny(), metrics="rmse")
    assert f"{result['stars']['rmse']:.4f} ±.9 *" in str(result)
    assert "dice                    –" in str(result)


def test_popularity_wins_is_said() -> None:
    split, scores = many_users()
    result = compare({"wrong": Known(scores=-scores, kind="score")}, split, metrics="hit_rate@20")
    assert result.warnings[0].startswith("POPULARITY WINS on hit_rate@20")
    assert result.warnings[1].startswith("wrong does not beat Popularity (reference) on hit_rate@20: 0.")
    assert "POPULARITY WINS" in str(result)


def test_better_by_chance_is_not_better() -> None:
    split, scores = many_users()
    once = np.zeros_like(scores)
    once[0] = scores[0]
    result = compare({"lucky": Known(scores=once, kind="score")}, split, metrics="ndcg@1")
    assert result.best() == "lucky" or result["lucky"]["ndcg@1"] == result["Popularity (reference)"]["ndcg@1"]
    assert "lucky does not beat" in result.warnings[-1]
    assert "may be chance (p = " in result.warnings[-1]


def test_popularity_is_added_once_and_only_the_count_is_a_reference() -> None:
    assert list(compare([tm.Popularity()], tiny(), metrics="ndcg@2").reports) == ["Popularity"]
    names = list(compare([tm.Popularity(by="bayesian")], tiny(), metrics="ndcg@2").reports)
    assert names == ["Popularity", "Popularity (reference)"]


def test_models_in_a_list_are_named_after_their_classes() -> None:
    result = compare([tm.Random(), tm.Random(seed=1), tm.Popularity()], tiny(), metrics="ndcg@2")
    assert list(result.reports) == ["Random", "Random 2", "Popularity"]


def test_a_failing_model_does_not_take_the_others_along() -> None:
    result = compare({"bad": Broken(), "good": Known(scores=SCORES)}, tiny(), metrics="ndcg@2")
    assert list(result.reports) == ["good", "Popularity (reference)"]
    assert result.failures == {"bad": "RuntimeError: out of luck"}
    assert "bad failed: RuntimeError: out of luck" in str(result)
    assert json.loads(result.to_json())["failures"] == {"bad": "RuntimeError: out of luck"}


def test_a_model_that_fails_in_a_later_fold_has_no_report_and_rests() -> None:
    random = np.random.default_rng(1)
    user, item = np.nonzero(random.random((12, 9)) < 0.6)
    splits = k_fold(Dataset.from_interactions({"user": user, "item": item}), folds=3)
    late = Broken(fits=1)
    result = compare({"late": late}, splits, metrics="ndcg@2")
    assert list(result.failures) == ["late"]
    assert len(late.log) == 2


def test_all_failed() -> None:
    result = compare({"bad": Broken()}, tiny(), metrics="rmse")
    assert "–" in str(result)
    with pytest.raises(
        TastemakerError, match=r"no model could be measured in rmse \(bad: RuntimeError: out of luck\)"
    ):
        result.best()


def test_all_models_have_the_same_splits() -> None:
    first, second = Known(scores=SCORES), Known(scores=SCORES)
    result = compare({"a": first, "b": second}, tiny(), metrics="rmse,ndcg@2")
    assert first.log[0].fingerprint == second.log[0].fingerprint
    assert result.difference("rmse", "a", "b").value == 0
    assert result["a"].to_polars().drop("model").equals(result["b"].to_polars().drop("model"))


def test_table_and_width() -> None:
    metrics = "rmse,mae,ndcg@2,map@2,precision@2,recall@2,hit_rate@2,mrr@2,coverage@2,novelty@2,gini@2,serendipity@2"
    result = compare({"a rather long name for a model": Known(scores=SCORES)}, tiny(), metrics=metrics)
    assert max(map(len, str(result).splitlines())) <= 100
    table = result.to_polars()
    assert table.height == 24
    assert table.filter(model="Popularity (reference)", metric="rmse")["value"].to_list() == [None]
    assert table.filter(metric="ndcg@2")["value"].to_list() == [
        report["ndcg@2"] for report in result.reports.values()
    ]


def test_sampled_is_said() -> None:
    result = compare([Known(scores=SCORES)], tiny(), metrics="ndcg@2", sampled=1)
    assert "! SAMPLED" in str(result)


def test_no_models() -> None:
    with pytest.raises(DataError, match="at least one model"):
        compare([], tiny())
    with pytest.raises(DataError, match="expected several models"):
        compare(tm.Popularity(), tiny())  # type: ignore[arg-type]


def test_progress_counts_every_fit() -> None:
    told: list[tuple[str, int]] = []

    class Count(Task):
        def __init__(self, name: str) -> None:
            self.name = name

        def advance(self, steps: int = 1, **figures: float) -> None:
            told.append((self.name, steps))

    class Shown(Progress):
        def start(self, task: str, total: int, unit: str = "") -> Task:
            return Count(f"{task} of {total} {unit}")

    with use(Shown()):
        compare({"bad": Broken(), "good": Known(scores=SCORES)}, tiny(), metrics="ndcg@2")
    assert sum(steps for name, steps in told if name == "compare of 3 fit") == 3
    assert ("evaluate good, predefined of 3 user", 3) in told
