"""Predicted scores beside what really happened, pair by pair: what every rating and classification metric reads."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tastemaker.metrics.arrays import Bools, Floats, Ints, group_sums

__all__ = ["Predictions"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """One score for each held-out (user, item) pair.

    Args:
        users: int[n], the user of each pair.
        actual: float[n], the rating given, or 1 and 0 for liked and not.
        predicted: float[n], the model's score for the pair.
        relevant_from: a pair is relevant when ``actual >= relevant_from``; classification metrics need it.
        chosen_from: a pair counts as chosen by the model when ``predicted >= chosen_from``. None: the same number as
            ``relevant_from``, which is right when scores are on the scale of the ratings.

    Raises:
        ValueError: if lengths differ, there are no pairs, or a number is NaN or infinite.

    >>> pairs = Predictions.of(users=[7, 7, 3], actual=[5, 2, 4], predicted=[4.5, 2.5, 3.0], relevant_from=4)
    >>> pairs.user_codes, pairs.group, pairs.relevant
    (array([3, 7]), array([1, 1, 0]), array([ True, False,  True]))
    """

    users: Ints
    actual: Floats
    predicted: Floats
    relevant_from: float | None = None
    chosen_from: float | None = None

    def __post_init__(self) -> None:
        n = self.users.size
        if self.actual.shape != (n,) or self.predicted.shape != (n,) or n == 0:
            raise ValueError(
                "users, actual and predicted must be equally long and not empty; "
                f"got {n}, {self.actual.size} and {self.predicted.size}"
            )
        for name, values in (("actual", self.actual), ("predicted", self.predicted)):
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise ValueError(
                    f"{bad.size} of {n} {name} values are NaN or infinite, the first at row {bad[0]}; "
                    "drop those pairs, or fill them and say so"
                )

    @classmethod
    def of(
        cls,
        users: npt.ArrayLike,
        actual: npt.ArrayLike,
        predicted: npt.ArrayLike,
        relevant_from: float | None = None,
        chosen_from: float | None = None,
    ) -> "Predictions":
        """Build from anything array-like, computing in float64."""
        return cls(
            np.asarray(users, dtype=np.int64),
            np.asarray(actual, dtype=np.float64),
            np.asarray(predicted, dtype=np.float64),
            relevant_from,
            chosen_from,
        )

    @cached_property
    def _distinct(self) -> tuple[Ints, npt.NDArray[np.intp]]:
        codes, group = np.unique(self.users, return_inverse=True)
        return codes, group

    @property
    def user_codes(self) -> Ints:
        """int64[q], the distinct users, rising; values per user stand in this order."""
        return self._distinct[0]

    @property
    def group(self) -> npt.NDArray[np.intp]:
        """int64[n], the place of each pair's user in ``user_codes``."""
        return self._distinct[1]

    @property
    def n_users(self) -> int:
        """How many distinct users there are."""
        return self.user_codes.size

    @cached_property
    def relevant(self) -> Bools:
        """bool[n], whether the pair is relevant.

        Raises:
            ValueError: if ``relevant_from`` was not given.
        """
        if self.relevant_from is None:
            raise ValueError(
                "this metric asks which pairs are relevant: give relevant_from, e.g. 4 for 4 stars and more"
            )
        return self.actual >= self.relevant_from

    @cached_property
    def chosen(self) -> Bools:
        """bool[n], whether the model would recommend the pair.

        Raises:
            ValueError: if there is no threshold.
        """
        if self.chosen_threshold is None:
            raise ValueError(
                "this metric asks which pairs the model would choose: give chosen_from or relevant_from"
            )
        return self.predicted >= self.chosen_threshold

    @property
    def chosen_threshold(self) -> float | None:
        """The score from which a pair counts as chosen."""
        return self.relevant_from if self.chosen_from is None else self.chosen_from

    def total(self, values: npt.ArrayLike) -> Floats:
        """float64[q], the sum of one value a pair over each user's pairs."""
        return group_sums(self.group, values)

    @property
    def thresholds(self) -> str:
        """The thresholds in words, to print beside the classification metrics."""
        if self.relevant_from is None:
            return "no threshold given"
        return f"relevant: actual >= {self.relevant_from:g}; chosen: predicted >= {self.chosen_threshold:g}"
