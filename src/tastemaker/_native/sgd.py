"""Stochastic gradient descent for matrix factorization, over the observed ratings only.

One step on a rating r of user u and item i with weight w, where p = b_u + b_i + <U_u, V_i> and e = r - p, goes down the gradient
of w * (e^2 / 2 + regularization / 2 * (|U_u|^2 + |V_i|^2 + b_u^2 + b_i^2)), every right side taken before the step:

    U_u <- U_u + learning_rate * w * (e * V_i - regularization * U_u)
    V_i <- V_i + learning_rate * w * (e * U_u - regularization * V_i)
    b_u <- b_u + learning_rate * w * (e - regularization * b_u),  and b_i likewise

The ratings are visited in a fixed order that keeps each user's ratings together, cut into blocks that threads can take at once
(Gemulla et al., "Large-scale matrix factorization with distributed stochastic gradient descent", KDD 2011).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["Blocks", "Factors", "cut_into_blocks", "sgd_epoch", "sgd_epoch_numpy"]

MAX_FACTORS: int = kernels.sgd_widths[-1]
"""The most factors that the kernel takes."""

_MAX_GROUPS = 8
_RATINGS_PER_GROUP = 20_000


@dataclass(frozen=True, eq=False)
class Blocks:
    """Ratings in the order in which they are learnt, cut into groups x groups blocks.

    Attributes:
        starts: int64[groups^2 + 1]; block (g, h) = the ratings of user group g and item group h, at g * groups + h.
        users: int32[n], the user of each rating; within a block all of a user's ratings follow one another.
        items: int32[n].
        values: float32[n].
        weights: float32[n].
        groups: into how many groups users and items are each cut; at most so many threads work at once.
    """

    starts: NDArray[np.int64]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    weights: NDArray[np.float32]
    groups: int


@dataclass(frozen=True, eq=False)
class Factors:
    """What is learnt, changed in place: user and item factors, float32[., width], and biases, float32[.].

    A width is one that the kernel was compiled for; columns beyond the factors asked for hold zeros, and keep them.
    """

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    user_bias: NDArray[np.float32]
    item_bias: NDArray[np.float32]

    @classmethod
    def zeros(cls, n_users: int, n_items: int, factors: int) -> "Factors":
        """All zeros, with rows padded to the next width that the kernel was compiled for.

        Raises:
            ValueError: if ``factors`` exceeds `MAX_FACTORS`.
        """
        if factors > MAX_FACTORS:
            raise ValueError(f"factors must be at most {MAX_FACTORS}, got {factors}")
        width = next(width for width in kernels.sgd_widths if width >= factors)
        shapes = ((n_users, width), (n_items, width), (n_users,), (n_items,))
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))

    def copy(self) -> "Factors":
        """The same numbers in arrays of their own."""
        return Factors(self.users.copy(), self.items.copy(), self.user_bias.copy(), self.item_bias.copy())


def cut_into_blocks(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
    *,
    n_users: int,
    n_items: int,
    rng: np.random.Generator,
    groups: int | None = None,
) -> Blocks:
    """Shuffle users and items, cut each into ``groups`` of about as many ratings, and order the ratings by block, user, item.

    Args:
        users: int32[n], codes below ``n_users``.
        items: int32[n], codes below ``n_items``.
        values: float32[n].
        weights: float32[n].
        n_users: how many users there are.
        n_items: how many items there are.
        rng: draws the two shuffles.
        groups: default: by the number of ratings, never by the number of threads.
    """
    if groups is None:
        groups = max(1, min(_MAX_GROUPS, len(users) // _RATINGS_PER_GROUP))
    user_rank, user_group = _shuffle_and_cut(users, n_users, groups, rng)
    item_rank, item_group = _shuffle_and_cut(items, n_items, groups, rng)
    block = (user_group[users] * groups + item_group[items]).astype(np.min_scalar_type(groups**2))
    order = np.lexsort((item_rank[items], user_rank[users], block))
    starts = np.concatenate(([0], np.bincount(block, minlength=groups * groups).cumsum())).astype(np.int64)
    return Blocks(starts, users[order], items[order], values[order], weights[order], groups)


def _shuffle_and_cut(
    codes: NDArray[np.int32], n: int, groups: int, rng: np.random.Generator
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int64]]:
    """Per code its place in a random order, and its group: a run of that order with a fair share of the ratings."""
    order = rng.permutation(n)
    counts = np.bincount(codes, minlength=n)[order]
    # The narrowest type: NumPy sorts keys of up to 16 bits by radix, several times as fast.
    rank, group = np.empty(n, np.min_scalar_type(n)), np.empty(n, np.int64)
    rank[order] = np.arange(n)
    group[order] = (counts.cumsum() - counts) * groups // max(1, len(codes))
    return rank, np.minimum(group, groups - 1)


def sgd_epoch(
    blocks: Blocks, factors: Factors, *, learning_rate: float, regularization: float, biased: bool = True
) -> float:
    """Take one step on every rating, in the order of the schedule; changes ``factors`` in place.

    Args:
        blocks: the ratings.
        factors: what is learnt.
        learning_rate: how far a step goes.
        regularization: L2, per rating.
        biased: False leaves the biases as they are.

    Returns:
        The sum over the ratings of weight * e^2, each error e taken before its step.
    """
    loss: float = kernels.sgd_epoch(
        blocks.starts, blocks.users, blocks.items, blocks.values, blocks.weights, blocks.groups,
        factors.users, factors.items, factors.user_bias, factors.item_bias,
        learning_rate, regularization, biased, threads(),
    )  # fmt: skip
    return loss


def sgd_epoch_numpy(
    blocks: Blocks, factors: Factors, *, learning_rate: float, regularization: float, biased: bool = True
) -> float:
    """What `sgd_epoch` computes, one rating at a time."""
    loss = 0.0
    groups = range(blocks.groups)
    schedule = [group * blocks.groups + (group + turn) % blocks.groups for turn in groups for group in groups]
    for block in schedule:
        for k in range(blocks.starts[block], blocks.starts[block + 1]):
            user, item = blocks.users[k], blocks.items[k]
            u, v = factors.users[user].copy(), factors.items[item].copy()
            error = blocks.values[k] - (factors.user_bias[user] + factors.item_bias[item] + u @ v)
            rate = learning_rate * blocks.weights[k]
            factors.users[user] += rate * (error * v - regularization * u)
            factors.items[item] += rate * (error * u - regularization * v)
            if biased:
                factors.user_bias[user] += rate * (error - regularization * factors.user_bias[user])
                factors.item_bias[item] += rate * (error - regularization * factors.item_bias[item])
            loss += float(blocks.weights[k] * error**2)
    return loss
