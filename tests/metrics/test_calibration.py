"""Calibration: bins of equally many pairs by hand and against scikit-learn, intervals, log loss, and the picture."""

import json
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker.metrics import Evidence, Predictions, calibration_curve, calibration_plot, parse


def clicks(n: int = 4000, users: int = 4000, seed: int = 0) -> Predictions:
    """Clicks that happen as often as predicted, or more often where the probability is small."""
    random = np.random.default_rng(seed)
    chance = random.beta(2, 5, n)
    label = random.random(n) < chance**0.9
    return Predictions.of(np.arange(n) % users, label, chance, relevant_from=1)


def test_two_bins_by_hand() -> None:
    pairs = Predictions.of(
        users=[0, 1, 2, 3, 4], actual=[0, 0, 1, 1, 1], predicted=[0.1, 0.2, 0.6, 0.7, 0.9], relevant_from=1
    )
    curve = calibration_curve(pairs, bins=2)
    # the third of five is in the middle: number 2.5 of 5 is in the second half
    assert curve.counts.tolist() == [2, 3]
    assert curve.predicted.tolist() == pytest.approx([0.15, (0.6 + 0.7 + 0.9) / 3])
    assert curve.observed.tolist() == [0.0, 1.0]
    assert curve.error == pytest.approx(2 / 5 * 0.15 + 3 / 5 * (1 - 2.2 / 3))


def test_equal_predictions_are_in_one_bin_whatever_the_order_of_the_rows() -> None:
    pairs = Predictions.of([0] * 6, [1, 0, 0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5, 0.9, 0.9], relevant_from=1)
    curve = calibration_curve(pairs, bins=3)
    assert curve.counts.tolist() == [4, 2]
    assert curve.observed.tolist() == [0.5, 0.5]
    turned = Predictions.of([0] * 6, [1, 0, 1, 0, 0, 1], [0.9, 0.9, 0.5, 0.5, 0.5, 0.5], relevant_from=1)
    assert calibration_curve(turned, bins=3).observed.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("bins", [1, 5, 10, 40])
def test_distinct_predictions_as_sklearn_parts_them(bins: int) -> None:
    pairs = clicks()
    curve = calibration_curve(pairs, bins)
    observed, predicted = sklearn.calibration.calibration_curve(
        pairs.relevant, pairs.predicted, n_bins=bins, strategy="quantile"
    )
    np.testing.assert_allclose(curve.observed, observed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.predicted, predicted, rtol=0, atol=1e-12)
    assert curve.counts.tolist() == [4000 // bins] * bins


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.floats(0, 1)), min_size=1, max_size=30),
    bins=st.integers(1, 8),
)
def test_every_pair_counts_once_and_means_add_up(rows: list[tuple[int, bool, float]], bins: int) -> None:
    users, actual, predicted = zip(*rows, strict=True)
    curve = calibration_curve(Predictions.of(users, actual, predicted, relevant_from=1), bins)
    assert curve.counts.sum() == len(rows)
    assert curve.counts @ curve.predicted == pytest.approx(sum(predicted))
    assert curve.counts @ curve.observed == pytest.approx(sum(actual))
    assert (np.diff(curve.predicted) > -1e-12).all()
    assert ((curve.low <= curve.observed) & (curve.observed <= curve.high)).all()
    assert ((curve.low >= -1e-12) & (curve.high <= 1 + 1e-12)).all()
    assert 0 <= curve.error <= 1


def test_the_interval_is_wilsons_where_every_user_has_one_pair() -> None:
    curve = calibration_curve(Predictions.of(range(100), [1] * 20 + [0] * 80, [0.2] * 100, relevant_from=1))
    z, n, p = (
        1.959963984540054,
        100 / (100 / 99),
        0.2,
    )  # one pair a user: the variance has 99 degrees of freedom
    center, half = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert curve.low[0] == pytest.approx((center - half) / (1 + z * z / n))
    assert curve.high[0] == pytest.approx((center + half) / (1 + z * z / n))


def test_pairs_of_one_user_that_are_alike_count_as_one() -> None:
    users = np.repeat(np.arange(50), 20)
    label = np.repeat(np.arange(50) % 2, 20)
    curve = calibration_curve(Predictions.of(users, label, np.full(1000, 0.5), relevant_from=1))
    alone = calibration_curve(Predictions.of(range(50), np.arange(50) % 2, np.full(50, 0.5), relevant_from=1))
    assert curve.high[0] == pytest.approx(alone.high[0])


def test_the_intervals_hold_the_truth_nineteen_times_in_twenty() -> None:
    random, inside = np.random.default_rng(1), []
    for _ in range(300):
        chance = np.clip(random.normal(0.3, 0.1, 40), 0.01, 0.99)  # each user's own
        label = random.random((40, 10)) < chance[:, None]
        curve = calibration_curve(
            Predictions.of(np.repeat(np.arange(40), 10), label.ravel(), np.full(400, 0.3), relevant_from=1)
        )
        inside.append(curve.low[0] <= 0.3 <= curve.high[0])
    assert 0.92 <= np.mean(inside) <= 0.98


def test_nobody_clicked_still_has_an_interval() -> None:
    curve = calibration_curve(Predictions.of(range(30), [0] * 30, [0.01] * 30, relevant_from=1))
    assert curve.observed.tolist() == [0]
    assert curve.low[0] == 0
    assert 0.05 < curve.high[0] < 0.2


def test_log_loss_auc_and_error_as_sklearn() -> None:
    pairs = clicks(users=70)
    evidence = Evidence(predictions=pairs)
    label, chance = pairs.relevant, pairs.predicted
    assert parse("log_loss")(evidence).value == pytest.approx(sklearn.metrics.log_loss(label, chance))
    assert parse("auc_global")(evidence).value == pytest.approx(sklearn.metrics.roc_auc_score(label, chance))
    areas = [
        sklearn.metrics.roc_auc_score(label[pairs.users == u], chance[pairs.users == u]) for u in range(70)
    ]
    assert parse("auc")(evidence).value == pytest.approx(np.mean(areas))
    observed, predicted = sklearn.calibration.calibration_curve(label, chance, n_bins=10, strategy="quantile")
    assert parse("calibration_error")(evidence).value == pytest.approx(np.abs(observed - predicted).mean())


def test_log_loss_by_hand_and_where_it_is_clipped() -> None:
    pairs = Predictions.of([0, 0, 1], [1, 0, 1], [0.8, 0.4, 0.5], relevant_from=1)
    measured = parse("log_loss")(Evidence(predictions=pairs))
    assert measured.value == pytest.approx(-(log(0.8) + log(0.6) + log(0.5)) / 3)
    sure = Predictions.of([0, 1], [1, 0], [0.0, 0.5], relevant_from=1)
    smallest = -log(np.finfo(np.float64).eps)
    assert parse("log_loss")(Evidence(predictions=sure)).value == pytest.approx((smallest + log(2)) / 2)


def test_what_is_no_probability_is_refused() -> None:
    pairs = Predictions.of([0, 0], [1, 0], [0.2, 3.5], relevant_from=1)
    with pytest.raises(
        ValueError, match=r"calibration curve needs probabilities from 0 to 1; 1 scores are not"
    ):
        calibration_curve(pairs)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        calibration_curve(clicks(10), bins=0)


def test_the_plot_is_a_png_with_a_line_for_each_model(tmp_path: Path) -> None:
    curves = {"one": calibration_curve(clicks()), "two": calibration_curve(clicks(seed=2))}
    chart = calibration_plot(curves, tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").read_bytes().startswith(b"\x89PNG")
    text = json.dumps(chart.to_dict())
    assert f"one ({curves['one'].error:.4f})" in text
    assert "two (" in text
