"""A metric's value together with what each user contributed to it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tastemaker.metrics.arrays import Floats, divide

__all__ = ["Measurement", "mean_over_users", "ratio_over_users", "whole"]


@dataclass(frozen=True, eq=False)
class Measurement:
    """One metric measured once.

    Args:
        value: the metric; NaN when no user could be measured.
        per_user: float64[q], the metric of each user alone, NaN for a user left out. None for what only a whole set
            of lists has (coverage, Gini, a rank correlation over everything).
        influence: float64[q], how far each user pulls ``value`` away from itself, scaled so that the standard error of
            ``value`` is std(influence) / sqrt(users): the first-order (delta-method) term of the statistic. NaN for a user
            left out; None when ``value`` is the plain mean of ``per_user`` or has no interval.
    """

    value: float
    per_user: Floats | None
    influence: Floats | None = None

    @property
    def is_mean(self) -> bool:
        """Whether the value is the plain mean over users (macro mean)."""
        return self.per_user is not None and self.influence is None

    @property
    def contributions(self) -> Floats | None:
        """float64[q] whose spread over users gives the standard error, or None when there is no interval."""
        return self.influence if self.influence is not None else self.per_user

    @property
    def n_users(self) -> int:
        """How many users were measured (0 where there are no values per user)."""
        return 0 if self.contributions is None else int((~np.isnan(self.contributions)).sum())

    @property
    def n_left_out(self) -> int:
        """How many users were left out because the metric is not defined for them."""
        return 0 if self.contributions is None else self.contributions.size - self.n_users


def mean_over_users(per_user: Floats) -> Measurement:
    """Average values per user (macro mean: every user counts the same), leaving out the NaN ones.

    >>> m = mean_over_users(np.array([1.0, 0.5, np.nan]))
    >>> m.value, m.n_users, m.n_left_out
    (0.75, 2, 1)
    """
    measured = per_user[~np.isnan(per_user)]
    return Measurement(float(measured.mean()) if measured.size else float("nan"), per_user)


def ratio_over_users(
    numerator: Floats, denominator: Floats, transform: Literal["none", "sqrt"] = "none"
) -> Measurement:
    """Measure a ratio of two sums, R = sum(numerator) / sum(denominator), or its square root: the form of every pooled metric.

    A user with NaN in either is left out; one with 0 in both pulls nowhere. Influence of a user on R: (n_u - R d_u) / mean(d);
    on sqrt(R) it is that over 2 sqrt(R). This is the linearised variance of a ratio with users as clusters (Cochran, 1977,
    chapter 6).

    >>> ratio_over_users(np.array([1.0, 2.0]), np.array([1.0, 3.0])).value
    0.75
    """
    used = ~(np.isnan(numerator) | np.isnan(denominator))
    top, bottom = np.where(used, numerator, np.nan), np.where(used, denominator, np.nan)
    total = np.nansum(bottom)
    if not total > 0:
        nothing = np.full(numerator.size, np.nan)
        return Measurement(float("nan"), nothing, nothing)
    ratio = float(np.nansum(top) / total)
    per_user = divide(top, bottom)
    influence = (top - ratio * bottom) / (total / used.sum())
    if transform == "none":
        return Measurement(ratio, per_user, influence)
    root = float(np.sqrt(ratio))
    return Measurement(root, np.sqrt(per_user), influence / (2 * root) if root > 0 else influence)


def whole(value: float) -> Measurement:
    """Wrap a statistic of all lists together, which has no values per user and so no interval over users."""
    return Measurement(float(value), None)
