"""Click-through data in evaluations: worked by hand, with models of probabilities and with others; and cold items."""

import json
from math import log
from pathlib import Path

import numpy as np
import pytest

import tastemaker as tm
from evaluation.known import Known
from tastemaker.data import Dataset
from tastemaker.data.row_splits import cold_items, random_rows
from tastemaker.data.splits import Split, predefined
from tastemaker.errors import DataError, TastemakerError
from tastemaker.evaluation import compare, evaluate
from tastemaker.models import model_class


def tiny() -> Split:
    """Two users, three ads a to c. In the test: ann a=1, ann b=0, ann c=1 twice, bob a=0, bob c=0 (codes by appearance)."""
    rows = [
        ("ann", "a", 1), ("ann", "b", 0), ("bob", "b", 1), ("bob", "c", 0),
        ("ann", "a", 1), ("ann", "b", 0), ("ann", "c", 1), ("ann", "c", 1), ("bob", "a", 0), ("bob", "c", 0),
    ]  # fmt: skip
    users, items, labels = zip(*rows, strict=True)
    data = Dataset.from_impressions({"user": users, "item": items, "label": labels}, name="ads")
    return predefined(data, np.arange(4, 10))


CHANCES = [[0.8, 0.3, 0.4], [0.5, 0.9, 0.1]]  # ann: a b c; bob: a b c


def test_defaults_by_hand() -> None:
    model = Known(scores=CHANCES, kind="probability")
    report = evaluate(model, tiny())
    assert [m.name for m in report.plan.metrics] == ["auc_global", "auc", "log_loss", "calibration_error"]
    # clicked .8 .4 .4 against .3 .5 .1: each .4 loses to .5
    assert report["auc_global"] == pytest.approx(7 / 9)
    assert report["auc"] == 1  # ann; bob clicked nothing and is left out
    assert report.measurements["auc"].n_left_out == 1
    assert report["log_loss"] == pytest.approx(
        -(log(0.8) + log(0.7) + 2 * log(0.4) + log(0.5) + log(0.9)) / 6
    )
    # six pairs in ten bins: one each but for the two of .4
    gaps = [0.2, 0.3, 2 * 0.6, 0.5, 0.1]
    assert report["calibration_error"] == pytest.approx(sum(gaps) / 6)
    assert report.calibration is not None
    assert report.calibration.counts.tolist() == [1, 1, 2, 1, 1]
    assert report.roc is not None
    assert report.roc.area == pytest.approx(7 / 9)
    assert "6 held-out impressions, 2 users tested." in str(report)
    assert "Relevant: held-out impressions that were clicked." in str(report)


def test_a_model_of_probabilities_learns_from_every_row_and_others_from_clicks() -> None:
    probability, score = Known(scores=CHANCES, kind="probability"), Known(scores=CHANCES, kind="score")
    for model in (probability, score):
        evaluate(model, tiny())
    assert probability.log[0].value.tolist() == [1, 0, 1, 0]
    assert score.log[0].value.tolist() == [1, 1]
    assert not score.log[0].schema.clicks


def test_other_scores_have_an_area_but_no_loss() -> None:
    report = evaluate(Known(scores=CHANCES, kind="score"), tiny())
    assert report["auc_global"] == pytest.approx(7 / 9)
    assert np.isnan(report["log_loss"])
    assert report.calibration is None
    assert "Not measured: log_loss, calibration_error, for its scores are of kind 'score', not prob" in str(
        report
    ).replace("\n  ", " ")
    with pytest.raises(TastemakerError, match="no calibration curve: evaluate a model of probabilities"):
        report.calibration_plot()


def test_lists_are_judged_by_what_was_clicked_for_the_first_time() -> None:
    report = evaluate(
        Known(scores=CHANCES, kind="probability"), tiny(), metrics="recall@1,hit_rate@1,novelty@1"
    )
    # ann had clicked a; b and c are left, c is relevant and stands first only with the higher score: .4 against .3
    assert report["recall@1"] == 1
    assert report.counts.nothing_relevant == 1
    # shown: ann c, bob a; of 2 users with a click, nobody clicked c (counts as 1), one clicked a
    assert report["novelty@1"] == pytest.approx(1)


def test_missing_predictions_count_with_the_training_rate() -> None:
    scores = np.array(CHANCES)
    scores[1, 2] = np.nan
    report = evaluate(Known(scores=scores, kind="probability"), tiny(), metrics="log_loss")
    assert report["log_loss"] == pytest.approx(
        -(log(0.8) + log(0.7) + 2 * log(0.4) + log(0.5) + log(0.5)) / 6
    )
    assert report.counts.missing == 1
    assert "the training mean" in str(report)


def test_a_threshold_has_no_meaning() -> None:
    with pytest.raises(DataError, match=r"relevant_from=4, but ads has labels: a click, 1, is relevant"):
        evaluate(Known(scores=CHANCES, kind="probability"), tiny(), relevant_from=4)


def shown(n: int = 3000) -> Dataset:
    """Impressions of 60 users and 25 items, clicked by the item's own rate."""
    random = np.random.default_rng(5)
    user, item = random.integers(0, 60, n), random.integers(0, 25, n)
    label = random.random(n) < np.linspace(0.05, 0.6, 25)[item]
    return Dataset.from_impressions({"user": user, "item": item, "label": label}, name="shown")


def test_compare_judges_by_the_area_and_draws_both_plots(tmp_path: Path) -> None:
    split = random_rows(shown(), test=0.2, validation=0)
    rates = np.linspace(0.05, 0.6, 25)[split.train.items.decode(np.arange(25)).to_numpy()]
    models = {
        "right": Known(scores=np.tile(rates, (60, 1)), kind="probability"),
        "too sure": Known(scores=np.tile(rates**2, (60, 1)), kind="probability"),
        "popular": tm.Popularity(),
    }
    found = compare(models, split)
    assert found.best() in models
    assert found["right"]["auc_global"] == pytest.approx(found["too sure"]["auc_global"])  # the same order
    assert found.best("log_loss") == found.best("calibration_error") == "right"
    assert found["popular"]["auc_global"] > 0.6  # clicks tell which items are clicked
    assert "auc_global" in str(found)
    found.calibration_plot(tmp_path / "c.png")
    found.roc_plot(tmp_path / "r.png")
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("c.png", "r.png"))
    assert json.loads(found.to_json())["reference"] == "popular"


def test_folds_share_one_calibration_curve() -> None:
    rates = np.full((60, 25), 0.3)
    report = evaluate(Known(scores=rates, kind="probability"), shown(), protocol="kfold", folds=3)
    assert report.calibration is not None
    assert report.calibration.counts.tolist() == [3000]
    assert report.calibration.observed[0] == pytest.approx(shown().value.mean())


@pytest.mark.parametrize("name", ["popularity", "item_knn", "user_knn", "als", "ease"])
def test_models_that_know_no_labels_fit_the_clicks(name: str) -> None:
    data = shown()
    model = model_class(name)().fit(data)
    again = model_class(name)().fit(data.clicked)
    assert model.recommend(k=5).items.tolist() == again.recommend(k=5).items.tolist()
    assert model.catalogue.fingerprint == again.catalogue.fingerprint


def test_an_update_takes_the_clicks_of_new_impressions() -> None:
    data = shown()
    half = np.arange(len(data)) < 1500
    updated = tm.Popularity().fit(data.select(half)).update(data.select(~half))
    expected = tm.Popularity().fit(data)
    assert updated.recommend(k=5).items.tolist() == expected.recommend(k=5).items.tolist()


def test_a_blend_gives_each_model_what_it_learns_from() -> None:
    probability = Known(scores=np.zeros((60, 25)), kind="probability")
    score = Known(scores=np.zeros((60, 25)), kind="score")
    blend = tm.Blend(models={"p": probability, "s": score})
    assert blend.learns_from_labels
    blend.fit(shown())
    assert [len(member.log[-1]) for member in (probability, score)] == [3000, len(shown().clicked)]


def test_cold_items_are_ranked_among_themselves() -> None:
    table = {"user": np.repeat(np.arange(30), 20), "item": np.tile(np.arange(20), 30)}
    data = Dataset.from_interactions(table)
    split = cold_items(data, share=0.2, seed=1)
    scores = np.tile(np.arange(20.0), (30, 1))
    model = Known(scores=scores, kind="score")
    report = evaluate(model, split, metrics="recall@3,coverage@3,serendipity@3")
    assert report["recall@3"] == pytest.approx(3 / 4)  # everyone had all four; three slots
    assert report["coverage@3"] == pytest.approx(3 / 20)
    assert "Ranked: the 4 candidates of the split" in str(report)
    assert json.loads(report.to_json())["candidates"].startswith("the 4 candidates")
    for wish in ({"metrics": "auc_catalogue"}, {"metrics": "recall@3", "sampled": 5}):
        with pytest.raises(DataError, match="cold items has its own candidates"):
            evaluate(model, split, **wish)
