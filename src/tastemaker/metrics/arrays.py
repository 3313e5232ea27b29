"""Array types, and division that answers NaN where nothing can be measured."""

import numpy as np
import numpy.typing as npt

__all__ = ["Bools", "Floats", "Ints", "divide", "group_sums", "row_sums"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Floats:
    """Divide elementwise; NaN where the denominator is 0 or less.

    >>> divide([1, 0], [2, 0])
    array([0.5, nan])
    """
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    answer: Floats = np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0)
    return answer


def row_sums(values: npt.ArrayLike) -> Floats:
    """Sum each row in float64."""
    sums: Floats = np.asarray(values).sum(axis=1, dtype=np.float64)
    return sums


def group_sums(group: npt.NDArray[np.intp], values: npt.ArrayLike, n_groups: int = 0) -> Floats:
    """Sum values by their group, 0 .. max(group), or up to n_groups - 1 if that is more: float64[groups].

    >>> group_sums(np.array([0, 2, 2]), [1.0, 2.0, 3.0])
    array([1., 0., 5.])
    """
    weights = np.asarray(values, dtype=np.float64)
    return np.bincount(group, weights, minlength=n_groups).astype(np.float64, copy=False)
