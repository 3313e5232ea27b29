"""Intervals and paired tests against SciPy's, against simulation, and at their edges."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from tastemaker.metrics import Measurement, Predictions, confidence_interval, paired_difference
from tastemaker.metrics.arrays import Bools
from tastemaker.metrics.classification import auc_global
from tastemaker.metrics.measurement import mean_over_users, ratio_over_users, whole
from tastemaker.metrics.ratings import mae, rmse

RNG = np.random.default_rng(8)
A, B = RNG.random(50), RNG.random(50)
B[7] = math.nan


def test_the_interval_of_a_mean_is_the_textbooks() -> None:
    interval = confidence_interval(mean_over_users(B), confidence=0.9)
    sample = B[~np.isnan(B)]
    low, high = scipy.stats.t.interval(0.9, sample.size - 1, sample.mean(), scipy.stats.sem(sample))
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert interval.n_users == 49


def test_the_paired_test_is_the_textbooks_on_the_common_users() -> None:
    common = ~np.isnan(B)
    expected = scipy.stats.ttest_rel(A[common], B[common])
    difference = paired_difference(mean_over_users(A), mean_over_users(B))
    interval = expected.confidence_interval(0.95)
    assert difference.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert difference.value == pytest.approx(float((A - B)[common].mean()), abs=1e-12)
    assert difference.n_users == 49


def test_swapping_the_models_mirrors_the_difference() -> None:
    one, two = mean_over_users(A), mean_over_users(B)
    there, back = paired_difference(one, two), paired_difference(two, one)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)


def test_a_pooled_ratio_with_equal_denominators_has_the_interval_of_the_mean() -> None:
    ratio = confidence_interval(ratio_over_users(A, np.ones(50)))
    mean = confidence_interval(mean_over_users(A))
    assert (ratio.low, ratio.high) == pytest.approx((mean.low, mean.high), abs=1e-12)


def jackknife_error(pairs: Predictions, metric: Callable[[Predictions], Measurement]) -> float:
    values = []
    for user in pairs.user_codes:
        kept = pairs.users != user
        part = Predictions(pairs.users[kept], pairs.actual[kept], pairs.predicted[kept], pairs.relevant_from)
        values.append(metric(part).value)
    n = len(values)
    return math.sqrt((n - 1) / n * float(((np.array(values) - np.mean(values)) ** 2).sum()))


@pytest.mark.parametrize("metric", [rmse, mae, auc_global])
def test_the_error_of_a_pooled_metric_is_that_of_leaving_out_user_by_user(
    metric: Callable[[Predictions], Measurement],
) -> None:
    # Ratings cluster by user: each user has a bias, and users differ in how many pairs they have.
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(300), rng.integers(1, 30, 300))
    actual = rng.integers(1, 6, users.size).astype(float)
    predicted = actual + rng.normal(0, 1, 300)[users] + rng.normal(0, 1, users.size)
    pairs = Predictions.of(users, actual, predicted, relevant_from=4)
    measured = metric(pairs)
    interval = confidence_interval(measured)
    error = (interval.high - interval.low) / 2 / scipy.stats.t.ppf(0.975, 299)
    assert error == pytest.approx(jackknife_error(pairs, metric), rel=0.03)
    assert np.nanmean(measured.influence) == pytest.approx(0, abs=1e-9)


def test_the_interval_of_rmse_holds_the_true_value_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(400):
        users = np.repeat(np.arange(60), rng.integers(1, 15, 60))
        error = rng.normal(0, 0.6, 60)[users] + rng.normal(0, 0.8, users.size)  # true RMSE: 1
        interval = confidence_interval(rmse(Predictions.of(users, np.zeros(users.size), error)))
        held += interval.low <= 1 <= interval.high
    assert 0.90 <= held / 400 <= 0.98


def test_the_paired_test_of_rmse_sees_what_the_separate_intervals_do_not() -> None:
    rng = np.random.default_rng(7)
    users = np.repeat(np.arange(200), 10)
    shared = rng.normal(0, 1, users.size)
    first = rmse(Predictions.of(users, np.zeros(users.size), shared))
    second = rmse(
        Predictions.of(users, np.zeros(users.size), shared * 1.02 + rng.normal(0, 0.05, users.size))
    )
    assert confidence_interval(first).high > confidence_interval(second).low
    difference = paired_difference(first, second)
    assert difference.is_significant
    assert difference.p_value < 1e-4
    assert difference.value == pytest.approx(first.value - second.value)


def test_a_model_against_itself_differs_by_nothing() -> None:
    same = paired_difference(mean_over_users(A), mean_over_users(A.copy()))
    assert (same.value, same.p_value, same.is_significant) == (0.0, 1.0, False)


def test_pooled_values_on_partly_different_users_are_compared_as_they_are() -> None:
    """The interval is that of leaving out user by user, some of whom only one model measured."""
    rng = np.random.default_rng(9)
    n = 400
    d1, d2 = rng.integers(1, 20, n).astype(float), rng.integers(1, 20, n).astype(float)
    n1 = d1 * rng.random(n)
    n2 = n1 / d1 * d2 * 0.9 + rng.random(n)
    n1[rng.random(n) < 0.2] = math.nan
    n2[rng.random(n) < 0.1] = math.nan

    def values(kept: Bools) -> float:
        return ratio_over_users(n1[kept], d1[kept]).value - ratio_over_users(n2[kept], d2[kept]).value

    left_out = np.array([values(np.arange(n) != user) for user in range(n)])
    error = math.sqrt((n - 1) / n * float(((left_out - left_out.mean()) ** 2).sum()))
    difference = paired_difference(ratio_over_users(n1, d1), ratio_over_users(n2, d2))
    assert difference.value == pytest.approx(values(np.ones(n, dtype=bool)))
    assert (difference.high - difference.low) / 2 == pytest.approx(1.966 * error, rel=0.03)


def test_a_user_without_pairs_on_one_side_of_a_pooled_ratio_still_counts() -> None:
    measured = ratio_over_users(np.array([1.0, 0.0, 2.0]), np.array([2.0, 0.0, 2.0]))
    assert measured.value == 0.75
    assert measured.n_users == 3
    np.testing.assert_allclose(measured.per_user, [0.5, math.nan, 1.0])


def test_one_user_or_none_gives_no_interval() -> None:
    for measured in (mean_over_users(np.array([0.5])), mean_over_users(np.array([math.nan])), whole(0.3)):
        interval = confidence_interval(measured)
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)
    alone = paired_difference(mean_over_users(np.array([0.5])), mean_over_users(np.array([0.25])))
    assert alone.value == 0.25
    assert math.isnan(alone.p_value)


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="no values per user"):
        paired_difference(whole(0.1), whole(0.2))
    with pytest.raises(ValueError, match="50 users in the first and 3 in the second"):
        paired_difference(mean_over_users(A), mean_over_users(A[:3]))
    with pytest.raises(ValueError, match=r"confidence must lie between 0 and 1, e.g. 0.95; got 95"):
        confidence_interval(mean_over_users(A), confidence=95)
