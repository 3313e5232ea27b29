"""The ROC curve against scikit-learn's, and its picture."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics

from tastemaker.errors import MissingExtraError
from tastemaker.metrics import Predictions, roc_curve, roc_plot
from tastemaker.metrics.classification import auc_global


def some_pairs(n: int = 500) -> Predictions:
    rng = np.random.default_rng(1)
    actual = rng.integers(0, 2, n)
    return Predictions.of(
        rng.integers(0, 9, n), actual, np.round(actual + rng.normal(0, 1, n), 1), relevant_from=1
    )


def test_points_are_those_of_sklearn_and_the_area_is_the_auc() -> None:
    pairs = some_pairs()
    curve = roc_curve(pairs)
    false, true, thresholds = sklearn.metrics.roc_curve(
        pairs.relevant, pairs.predicted, drop_intermediate=False
    )
    np.testing.assert_allclose(curve.false_positive_rate, false, atol=1e-12)
    np.testing.assert_allclose(curve.true_positive_rate, true, atol=1e-12)
    np.testing.assert_allclose(curve.thresholds, thresholds, atol=1e-12)
    assert curve.area == pytest.approx(auc_global(pairs).value, abs=1e-9)


def test_one_kind_of_pairs_has_no_curve() -> None:
    with pytest.raises(ValueError, match="2 of 2 are relevant"):
        roc_curve(Predictions.of([0, 0], [1, 1], [0.1, 0.2], relevant_from=1))


def test_the_plot_is_a_png_with_a_line_for_each_model(tmp_path: Path) -> None:
    chart = roc_plot(
        {"one": roc_curve(some_pairs()), "two": roc_curve(some_pairs(9000))}, tmp_path / "roc.png"
    )
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
    text = json.dumps(chart.to_dict())
    assert "one (" in text
    assert "two (" in text


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tastemaker\[plots\]'"):
        roc_plot({"one": roc_curve(some_pairs())})
