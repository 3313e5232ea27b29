"""Negatives, drawn on the device: uniform or by popularity, in a batch of others' positives, without what a user has taken."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tastemaker.data.history import History

__all__ = ["Negatives", "Positives", "draw_unseen", "in_batch_log_probability"]

_TABLE = 1 << 27  # pairs that are kept as one flag each; beyond, the pairs are searched
_ROUNDS = 20  # a user who has taken nearly everything keeps what cannot be replaced


class Negatives:
    """A distribution over items to draw from.

    Args:
        n_items: how many items there are.
        device: where to draw.
        popularity: float[n_items], how often each is drawn, relative to the others; an item with 0 never is. None: all alike.

    >>> draw = Negatives(4, torch.device("cpu"), np.array([0, 1, 0, 1.0]))
    >>> sorted(set(draw.draw((50,), torch.Generator().manual_seed(0)).tolist()))
    [1, 3]
    """

    def __init__(
        self, n_items: int, device: torch.device, popularity: NDArray[np.floating] | None = None
    ) -> None:
        self.device = device
        weight = np.ones(n_items) if popularity is None else np.asarray(popularity, np.float64)
        if weight.shape != (n_items,) or not (weight >= 0).all() or not 0 < weight.sum() < np.inf:
            raise ValueError(
                f"popularity must be {n_items} finite numbers, none negative and one above 0; got shape {weight.shape}"
            )
        pool = np.flatnonzero(weight)
        chosen = weight[pool]
        self._pool = None if len(pool) == n_items else torch.from_numpy(pool).to(device)
        self._size = len(pool)
        alike = bool((chosen == chosen[0]).all())
        self._steps = None if alike else torch.from_numpy(np.cumsum(chosen) / chosen.sum()).to(device)
        with np.errstate(divide="ignore"):
            log_q = np.log(weight / weight.sum())
        self._log_q = torch.from_numpy(log_q.astype(np.float32)).to(device)

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """int64[shape]: items, each drawn on its own."""
        if self._steps is None:
            place = torch.randint(self._size, shape, generator=generator, device=self.device)
        else:
            point = torch.rand(shape, generator=generator, device=self.device, dtype=torch.float64)
            place = torch.searchsorted(self._steps, point, right=True).clamp_(max=self._size - 1)
        return place if self._pool is None else self._pool[place]

    def log_probability(self, items: Tensor) -> Tensor:
        """float32[shape of items]: log q, the logarithm of each item's probability to be drawn."""
        return self._log_q[items]


class Positives:
    """Which items each user has taken.

    Args:
        by_user: the interactions of each user.
        n_items: how many items there are.
        device: where to ask.

    >>> taken = Positives(History.of_lengths(np.array([1, 2]), np.array([2, 0, 1], np.int32)), 3, torch.device("cpu"))
    >>> taken.contains(torch.tensor([0, 0, 1]), torch.tensor([2, 0, 0])).tolist()
    [True, False, True]
    """

    def __init__(self, by_user: History, n_items: int, device: torch.device) -> None:
        self._n_items = n_items
        codes = by_user.rows().astype(np.int64) * n_items + by_user.indices
        pairs = len(by_user) * n_items
        self._table: Tensor | None = None
        if pairs <= _TABLE:
            self._table = torch.zeros(pairs, dtype=torch.bool)
            self._table[torch.from_numpy(codes)] = True
            self._table = self._table.to(device)
        else:
            self._codes = torch.from_numpy(np.append(np.sort(codes), np.iinfo(np.int64).max)).to(device)

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """bool[shape]: whether the user has taken the item; the two are of one shape, or broadcast."""
        code = users * self._n_items + items
        if self._table is not None:
            return self._table[code]
        return self._codes[torch.searchsorted(self._codes, code)] == code


def draw_unseen(
    negatives: Negatives, positives: Positives, users: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """int64[users, count]: negatives for each of ``users`` (int64[n]) that the user has not taken.

    What a user has taken is drawn again, at most 20 times: someone who has taken nearly everything may keep some of it.
    """
    drawn = negatives.draw((len(users), count), generator)
    flat, repeated = drawn.view(-1), users.repeat_interleave(count)
    wrong = positives.contains(repeated, flat).nonzero().squeeze(1)
    for _ in range(_ROUNDS):
        if not len(wrong):
            break
        flat[wrong] = negatives.draw((len(wrong),), generator)
        wrong = wrong[positives.contains(repeated[wrong], flat[wrong])]
    return drawn


def in_batch_log_probability(counts: NDArray[np.number], device: torch.device) -> Tensor:
    """float32[n_items]: log q when the negatives are the other positives of a batch, which come as often as they were taken.

    Args:
        counts: [n_items], how often each item is a positive; one that never is has −inf.
        device: where it is wanted.
    """
    with np.errstate(divide="ignore"):
        log_q = np.log(np.asarray(counts, np.float64) / max(float(np.sum(counts)), 1.0))
    return torch.from_numpy(log_q.astype(np.float32)).to(device)
