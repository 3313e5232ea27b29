"""The report of an evaluation: as table, JSON, text and plot."""

import json

import pytest

from evaluation.known import SCORES, Known, tiny
from tastemaker.errors import TastemakerError
from tastemaker.evaluation import evaluate


def test_sampled_is_said_in_every_print() -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics="ndcg@2", sampled=1)
    assert "SAMPLED" in str(report)
    assert json.loads(report.to_json())["sampled"] is True
    assert report.to_polars()["sampled"].all()
    assert "SAMPLED" not in str(evaluate(Known(scores=SCORES), tiny(), metrics="ndcg@2"))


def test_report_as_table_json_and_text() -> None:
    report = evaluate(Known(scores=SCORES, kind="score"), tiny(), metrics="rmse,ndcg@2,coverage@2")
    table = report.to_polars()
    assert table["metric"].to_list() == ["rmse", "ndcg@2", "coverage@2"]
    assert table["value"].to_list()[0] is None
    assert table["users"].to_list() == [0, 2, 0]
    content = json.loads(report.to_json())
    assert content["metrics"][0]["value"] is None
    assert content["metrics"][1]["value"] == pytest.approx(report["ndcg@2"])
    assert max(map(len, str(report).splitlines())) <= 100
    assert "divided by that sum" in str(report)  # the definition of NDCG
    with pytest.raises(KeyError, match="there are rmse, ndcg@2, coverage@2"):
        report["map@2"]


def test_roc_plot_needs_an_area() -> None:
    with pytest.raises(TastemakerError, match="auc_global"):
        evaluate(Known(scores=SCORES), tiny(), metrics="ndcg@2").roc_plot()


def test_roc_plot_is_written(tmp_path: object) -> None:
    report = evaluate(Known(scores=SCORES), tiny(), metrics="auc_global")
    path = f"{tmp_path}/roc.html"
    report.roc_plot(path)
    with open(path) as page:
        assert "Known" in page.read()
