"""How sure a measured value is, and whether two models really differ.

Users are the sampling unit everywhere: a user's pairs or slots are not independent of each other, users are.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special

from tastemaker.metrics.arrays import Floats
from tastemaker.metrics.measurement import Measurement

__all__ = [
    "INTERVAL_METHOD",
    "TEST_METHOD",
    "Difference",
    "Interval",
    "confidence_interval",
    "paired_difference",
]

INTERVAL_METHOD = (
    "Student's t over users; for pooled metrics (rmse, mae, log_loss, *_global, auc_grouped, popularity_lift) "
    "on the linearised statistic with users as clusters"
)
TEST_METHOD = (
    "paired t test over users, two-sided; for pooled metrics on the difference of the linearised statistics"
)


@dataclass(frozen=True)
class Interval:
    """A confidence interval; both ends NaN when fewer than two users were measured or the metric has none.

    Args:
        low: the lower end.
        high: the upper end.
        confidence: how often such intervals hold the true value, e.g. 0.95.
        n_users: how many users it rests on.
    """

    low: float
    high: float
    confidence: float
    n_users: int


@dataclass(frozen=True)
class Difference:
    """First model minus second, on the same users.

    Args:
        value: the difference of the metric.
        low: lower end of its confidence interval.
        high: upper end.
        p_value: chance of a difference at least this large between two models that are equally good.
        confidence: of the interval.
        n_users: how many users it rests on.
    """

    value: float
    low: float
    high: float
    p_value: float
    confidence: float
    n_users: int

    @property
    def is_significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def confidence_interval(measurement: Measurement, confidence: float = 0.95) -> Interval:
    """Return the t interval of a metric over users.

    For a mean over users: mean ± t sd / sqrt(users). For a pooled metric, which is a ratio of sums or a smooth function of
    one, the same on its influence values (see `Measurement`): the delta method with users as clusters, right for many users.

    Args:
        measurement: what was measured.
        confidence: between 0 and 1.

    >>> from tastemaker.metrics.measurement import mean_over_users
    >>> interval = confidence_interval(mean_over_users(np.array([0.0, 0.5, 1.0])))
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.742, 1.742)
    """
    _check(confidence)
    if measurement.contributions is None:
        return Interval(float("nan"), float("nan"), confidence, 0)
    sample = measurement.contributions[~np.isnan(measurement.contributions)]
    margin = _margin(sample, confidence)
    return Interval(measurement.value - margin, measurement.value + margin, confidence, sample.size)


def paired_difference(first: Measurement, second: Measurement, confidence: float = 0.95) -> Difference:
    """Test whether two models differ on the same users, and by how much.

    The paired t test is the default because, on the evidence for ranking metrics, it agrees with the permutation test and the
    bootstrap (Smucker et al., 2007) and errs least of the five in common use (Urbano et al., 2019), while Wilcoxon's and the
    sign test ask another question than whether the means differ.

    Means over users are compared on the users measured for both. The values of pooled metrics are compared as they are; a user
    measured for only one of them pulls only that one.

    Args:
        first: of one model.
        second: of the other: the same metric on the same users in the same order.
        confidence: of the interval of the difference.

    Raises:
        ValueError: if the two cannot be paired.

    >>> from tastemaker.metrics.measurement import mean_over_users
    >>> better = mean_over_users(np.array([0.9, 0.4, 0.7, 0.6]))
    >>> worse = mean_over_users(np.array([0.5, 0.1, 0.2, 0.3]))
    >>> difference = paired_difference(better, worse)
    >>> round(difference.value, 3), round(difference.p_value, 4)
    (0.375, 0.0043)
    """
    _check(confidence)
    a, b = first.contributions, second.contributions
    if a is None or b is None:
        raise ValueError("a metric of all lists together has no values per user, so it cannot be paired")
    if first.is_mean != second.is_mean or a.size != b.size:
        raise ValueError(
            f"pair one metric on the same users; got {a.size} users in the first and {b.size} in the second"
        )
    if first.is_mean:
        sample = (a - b)[~np.isnan(a - b)]
        return _difference(float(sample.mean()) if sample.size else float("nan"), sample, confidence)
    either = ~(np.isnan(a) & np.isnan(b))
    return _difference(first.value - second.value, _spread(a[either]) - _spread(b[either]), confidence)


def _spread(influence: Floats) -> Floats:
    """Restate influence values for all users at hand, of whom those with NaN were not measured and so pull nowhere."""
    measured = ~np.isnan(influence)
    return np.where(measured, influence * (influence.size / max(int(measured.sum()), 1)), 0.0)


def _difference(value: float, sample: Floats, confidence: float) -> Difference:
    margin = _margin(sample, confidence)
    if np.isnan(margin):
        return Difference(value, float("nan"), float("nan"), float("nan"), confidence, sample.size)
    error = sample.std(ddof=1) / np.sqrt(sample.size)
    # Without any spread the two are alike in every user (p = 1) or differ by the same amount in each (p = 0).
    p_value = 2 * special.stdtr(sample.size - 1, -abs(value) / error) if error > 0 else float(value == 0)
    return Difference(value, value - margin, value + margin, float(p_value), confidence, sample.size)


def _margin(sample: Floats, confidence: float) -> float:
    if sample.size < 2:
        return float("nan")
    error = sample.std(ddof=1) / np.sqrt(sample.size)
    return float(special.stdtrit(sample.size - 1, (1 + confidence) / 2) * error)


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, e.g. 0.95; got {confidence}")
