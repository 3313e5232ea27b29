"""What a fitted AutoRec computes, in NumPy and our own kernels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tastemaker._native.linear import times_dense
from tastemaker._native.neighbors import Csr
from tastemaker.data.history import History
from tastemaker.models.base import State

__all__ = ["AutoRecState", "decoders", "hidden_layers", "losses_without", "row_means"]

_PULL = 5.0  # a row's mean is drawn to the mean of all as by so many ratings


@dataclass(frozen=True, eq=False)
class AutoRecState(State):
    """What is learned.

    A row is what is rebuilt: an item's ratings by all users, or a user's of all items. A column is a user or an item.

    Attributes:
        mean: mean of the ratings that were learned.
        mean_shown: mean of those that the network was shown.
        spread: standard deviation of the ratings around the mean of their row: the unit that the network reckons in.
        encoder: float32[columns, factors], Vᵀ: what a column's rating adds to the hidden layer.
        hidden_bias: float32[factors], μ.
        decoder: float32[columns, factors], W.
        output_bias: float32[columns], b.
        penalty: L2 on a column of W against the sum of the squared errors of its ratings.
        epochs: how many epochs it took to learn them.
    """

    mean: float
    mean_shown: float
    spread: float
    encoder: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    decoder: NDArray[np.float32]
    output_bias: NDArray[np.float32]
    penalty: float
    epochs: int


def row_means(rows: History, mean: float, mean_shown: float) -> NDArray[np.float64]:
    """float64[rows], m(x): mean + Σ (r − mean_shown) / (n + 5) over the n ratings of each row.

    >>> rows = History.of_lengths(np.array([0, 5]), np.arange(5, dtype=np.int32), np.full(5, 4, np.float32))
    >>> row_means(rows, mean=3.0, mean_shown=3.0)
    array([3. , 3.5])
    """
    more = np.bincount(rows.rows(), rows.value - mean_shown, len(rows))
    return mean + more / (rows.lengths + _PULL)


def hidden_layers(state: AutoRecState, rows: History) -> NDArray[np.float32]:
    """float32[rows, factors + 2]: σ(V·x + μ), 1 and m(x)."""
    z = times_dense(Csr(rows.indptr, rows.indices, _inputs(state, rows)), state.encoder)
    hidden = expit(z + state.hidden_bias)
    means = row_means(rows, state.mean, state.mean_shown)
    return np.column_stack([hidden, np.ones(len(rows)), means]).astype(np.float32)


def decoders(state: AutoRecState) -> NDArray[np.float32]:
    """float32[columns, factors + 2]: W and b in ratings, and 1; with a hidden layer they make a rating."""
    spread, ones = np.float32(state.spread), np.ones(len(state.decoder), np.float32)
    return np.column_stack([state.decoder * spread, state.output_bias * spread, ones])


def losses_without(state: AutoRecState, row: History, decoder: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[inputs]: how much lower the rating of one row and one column is without each of the row's ratings.

    Args:
        row: one row.
        decoder: [factors + 2], the column's.
    """
    added = state.encoder[row.indices].astype(np.float64) * _inputs(state, row)[:, None]
    z = added.sum(axis=0) + state.hidden_bias
    more = row.value - np.float64(state.mean_shown)
    n, total = len(more) + _PULL, more.sum()
    lost: NDArray[np.float64] = (expit(z) - expit(z - added)) @ decoder[:-2].astype(np.float64)
    lost += total / n - (total - more) / (n - 1)
    return lost


def _inputs(state: AutoRecState, rows: History) -> NDArray[np.float32]:
    return (rows.value / state.spread).astype(np.float32)
