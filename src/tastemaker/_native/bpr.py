"""Bayesian personalized ranking: what a user took should score above what the user did not take.

Every observed pair (u, i) of weight w is set against a negative j, drawn from a pool of items that u has not taken. With
x = b_i - b_j + <U_u, V_i - V_j>, one step goes down the gradient of
w * (-log sigma(x) + regularization / 2 * (|U_u|^2 + |V_i|^2 + |V_j|^2 + b_i^2 + b_j^2)), every right side taken before the step:

    U_u <- U_u + learning_rate * w * (sigma(-x) * (V_i - V_j) - regularization * U_u)
    V_i <- V_i + learning_rate * w * (sigma(-x) * U_u - regularization * V_i),    b_i <- b_i + ... * (sigma(-x) - ... b_i)
    V_j <- V_j + learning_rate * w * (-sigma(-x) * U_u - regularization * V_j),   b_j <- b_j + ... * (-sigma(-x) - ... b_j)

Rendle, Freudenthaler, Gantner and Schmidt-Thieme, "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009.

A step changes one user and two items. So that threads never meet, users are cut into groups and items into twice as many; a
task is what one user group has with two item groups. Item groups are paired as in a tournament, in rounds in which each meets
one other, and in each round every user group meets every pair. Negatives are drawn from the whole pool first, by a hash of the
position and the epoch, and the triples sorted into the tasks: the schedule has no say in what is drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.draws import draw_bits, place_of
from tastemaker._native.sgd import Factors

__all__ = [
    "Positives",
    "Triples",
    "bpr_epoch",
    "bpr_epoch_numpy",
    "bpr_fold_in",
    "bpr_fold_in_numpy",
    "draw_triples",
    "draw_triples_numpy",
    "epoch_key",
]

_MAX_GROUPS = 8
_PAIRS_PER_GROUP = 20_000
_TRIES = 64


@dataclass(frozen=True, eq=False)
class Positives:
    """The observed pairs by user, the pool of negatives, and who learns together with whom.

    Attributes:
        indptr: int64[users + 1]; user ``u`` has the pairs ``indptr[u]:indptr[u + 1]``.
        items: int32[n].
        weights: float32[n].
        pool: int32[any], the items from which negatives are drawn, each place as likely as the other.
        user_order: int32[users], by group, in which the triples of a task follow one another.
        user_group: int32[users].
        item_group: int32[items].
        schedule: int32[tasks, 3], the user group and the two item groups of each task, in order.
        task_of: int32[user groups, item groups, item groups], in which task a triple is learned.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    pool: NDArray[np.int32]
    user_order: NDArray[np.int32]
    user_group: NDArray[np.int32]
    item_group: NDArray[np.int32]
    schedule: NDArray[np.int32]
    task_of: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        indptr: NDArray[np.int64],
        items: NDArray[np.int32],
        weights: NDArray[np.float32],
        pool: NDArray[np.int32],
        *,
        n_items: int,
        rng: np.random.Generator,
        groups: int | None = None,
    ) -> "Positives":
        """Cut users and items at random into groups of about as many pairs.

        Args:
            indptr, items, weights, pool: as the attributes.
            n_items: how many items there are.
            rng: draws the groups.
            groups: of users, half as many as of items; by default by the number of pairs, never by that of threads.
        """
        if groups is None:
            groups = max(1, min(_MAX_GROUPS, len(items) // _PAIRS_PER_GROUP))
        schedule, task_of = _tournament(groups)
        user_group = _cut(np.diff(indptr), groups, rng)
        return cls(
            indptr,
            items,
            weights,
            pool,
            np.argsort(user_group, kind="stable").astype(np.int32),
            user_group,
            _cut(np.bincount(items, minlength=n_items), 2 * groups, rng),
            schedule,
            task_of,
        )


@dataclass(frozen=True, eq=False)
class Triples:
    """What one epoch learns, in the order of the tasks; filled anew by :func:`draw_triples`.

    Attributes:
        columns: int32[n, 4]: user, positive, negative, and the bits of the float32 weight.
        starts: int64[tasks + 1]; task ``t`` has the rows ``starts[t]:starts[t + 1]``.
        negatives: int32[n], the negative of each pair, −1 where none was found.
    """

    columns: NDArray[np.int32]
    starts: NDArray[np.int64]
    negatives: NDArray[np.int32]

    @classmethod
    def empty(cls, positives: Positives) -> "Triples":
        """Room for the triples of an epoch."""
        n, tasks = len(positives.items), len(positives.schedule)
        return cls(np.empty((n, 4), np.int32), np.zeros(tasks + 1, np.int64), np.empty(n, np.int32))


def _cut(counts: NDArray[np.int64], groups: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """The group of each code: runs of a random order with a fair share of the pairs."""
    order = rng.permutation(len(counts))
    ordered = counts[order]
    group = np.empty(len(counts), np.int32)
    group[order] = np.minimum((ordered.cumsum() - ordered) * groups // max(1, int(ordered.sum())), groups - 1)
    return group


def _tournament(groups: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The schedule and its inverse; triples within one item group go with the first task that has it."""
    last = 2 * groups - 1
    tasks = []
    for day in range(last):
        pairs = [(last, day)] + [((day + n) % last, (day - n) % last) for n in range(1, groups)]
        tasks += [(g, *pairs[(g + turn) % groups]) for turn in range(groups) for g in range(groups)]
    task_of = np.full((groups, last + 1, last + 1), -1, np.int32)
    for task, (g, a, b) in enumerate(tasks):
        task_of[g, a, b] = task_of[g, b, a] = task
        for item in (a, b):
            if task_of[g, item, item] < 0:
                task_of[g, item, item] = task
    return np.array(tasks, np.int32), task_of


def epoch_key(*seeds: int) -> int:
    """The key of the hash that draws negatives: a number of 64 bits for a seed and an epoch."""
    return int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0])


def draw_triples(positives: Positives, key: int, triples: Triples) -> None:
    """Draw a negative for each pair and sort the triples into the tasks; fills ``triples``.

    A negative is the first of 64 draws that the user has not taken; a pair for which there is none is left out.

    Args:
        positives: the pairs.
        key: from :func:`epoch_key`; equal keys, equal draws.
        triples: from :meth:`Triples.empty`.
    """
    kernels.bpr_draw(
        positives.indptr, positives.items, positives.weights, positives.user_order, positives.user_group,
        positives.item_group, positives.task_of, positives.pool, key, triples.negatives, triples.columns,
        triples.starts, threads(),
    )  # fmt: skip


def draw_triples_numpy(positives: Positives, key: int, triples: Triples) -> None:
    """What :func:`draw_triples` does, one pair at a time."""
    tasks: list[list[tuple[int, int, int, int]]] = [[] for _ in positives.schedule]
    for user in positives.user_order.tolist():
        start, end = positives.indptr[user : user + 2]
        taken = set(positives.items[start:end].tolist())
        for k in range(start, end):
            i, j = int(positives.items[k]), _draw(key, k, positives.pool, taken)
            triples.negatives[k] = j
            if j >= 0:
                groups = (positives.user_group[user], positives.item_group[i], positives.item_group[j])
                bits = int(positives.weights[k].view(np.int32))
                tasks[positives.task_of[groups]].append((user, i, j, bits))
    triples.starts[1:] = np.cumsum([len(task) for task in tasks])
    rows = [row for task in tasks for row in task]
    triples.columns[: len(rows)] = np.array(rows, np.int32).reshape(-1, 4)


def _draw(key: int, position: int, pool: NDArray[np.int32], taken: set[int]) -> int:
    """The first of the draws that was not taken, −1 if there is none."""
    for n in range(_TRIES):
        item = int(pool[place_of(draw_bits(key, int(position) * _TRIES + n), len(pool))])
        if item not in taken:
            return item
    return -1


def bpr_epoch(
    positives: Positives, triples: Triples, factors: Factors, *, learning_rate: float, regularization: float
) -> float:
    """Take one step on every triple, task after task; changes ``factors`` in place.

    Args:
        positives: for the schedule.
        triples: as drawn for this epoch.
        factors: what is learned; user biases cancel out of the loss and stay as they are.
        learning_rate: how far a step goes.
        regularization: L2, per triple.

    Returns:
        The sum over the triples of weight * -log sigma(x), each x taken before its step.
    """
    loss: float = kernels.bpr_epoch(
        triples.columns, triples.starts, positives.schedule, factors.users, factors.items, factors.item_bias,
        learning_rate, regularization, threads(),
    )  # fmt: skip
    return loss


def bpr_epoch_numpy(
    positives: Positives, triples: Triples, factors: Factors, *, learning_rate: float, regularization: float
) -> float:
    """What :func:`bpr_epoch` computes, one triple at a time."""
    loss, bias = 0.0, factors.item_bias
    for user, i, j, bits in triples.columns[: triples.starts[-1]]:
        weight = float(bits.view(np.float32))
        u, v_i, v_j = factors.users[user].copy(), factors.items[i].copy(), factors.items[j].copy()
        x = float(bias[i] - bias[j] + u @ (v_i - v_j))
        pull, rate = _pull(x), learning_rate * weight
        factors.users[user] += rate * (pull * (v_i - v_j) - regularization * u)
        factors.items[i] += rate * (pull * u - regularization * v_i)
        factors.items[j] += rate * (-pull * u - regularization * v_j)
        bias[i] += rate * (pull - regularization * bias[i])
        bias[j] += rate * (-pull - regularization * bias[j])
        loss += weight * float(np.logaddexp(0, -x))
    return loss


def _pull(x: float) -> float:
    """σ(−x)."""
    return float(np.exp(-np.logaddexp(0, x)))


def bpr_fold_in(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    pool: NDArray[np.int32],
    factors: Factors,
    *,
    keys: NDArray[np.uint64],
    rates: NDArray[np.float32],
    regularization: float,
) -> NDArray[np.float32]:
    """Learn new users from zero while the items stay as they are: the steps of an epoch, in the order of their histories.

    Each query draws by its own positions, so its bits do not depend on the others.

    Args:
        indptr: int64[q + 1]; query ``n`` has the items ``indptr[n]:indptr[n + 1]``.
        items: int32[n].
        weights: float32[n].
        pool: int32[any], the items from which negatives are drawn.
        factors: whose items to learn against.
        keys: uint64[epochs], of the draws of each epoch.
        rates: float32[epochs], the learning rate of each epoch.
        regularization: L2, per triple.

    Returns:
        float32[q, width of ``factors``].
    """
    users = np.zeros((len(indptr) - 1, factors.items.shape[1]), np.float32)
    kernels.bpr_fold_in(
        indptr, items, weights, pool, keys, rates, regularization, factors.items, factors.item_bias, users, threads()
    )  # fmt: skip
    return users


def bpr_fold_in_numpy(
    indptr: NDArray[np.int64],
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    pool: NDArray[np.int32],
    factors: Factors,
    *,
    keys: NDArray[np.uint64],
    rates: NDArray[np.float32],
    regularization: float,
) -> NDArray[np.float32]:
    """What :func:`bpr_fold_in` computes: for each query the sum of what :func:`fold_in_steps` says of each item."""
    users = np.zeros((len(indptr) - 1, factors.items.shape[1]), np.float32)
    for query in range(len(users)):
        part = slice(indptr[query], indptr[query + 1])
        users[query] = sum(
            fold_in_steps(items[part], weights[part], pool, factors, keys, rates, regularization)
        )
    return users


def fold_in_steps(
    items: NDArray[np.int32],
    weights: NDArray[np.float32],
    pool: NDArray[np.int32],
    factors: Factors,
    keys: NDArray[np.uint64],
    rates: NDArray[np.float32],
    regularization: float,
) -> Iterator[NDArray[np.float64]]:
    """What each item of one history adds to the user's factors: float64[width] each; arguments as :func:`bpr_fold_in`."""
    rows, bias = factors.items.astype(np.float64), factors.item_bias
    parts, taken = np.zeros((len(items), rows.shape[1])), set(items.tolist())
    for key, rate in zip(keys.tolist(), rates.tolist(), strict=True):
        for k, (i, weight) in enumerate(zip(items.tolist(), weights.tolist(), strict=True)):
            j = _draw(key, k, pool, taken)
            if j < 0:
                continue
            apart = rows[i] - rows[j]
            pull = _pull(float(bias[i] - bias[j] + parts.sum(axis=0) @ apart))
            parts *= 1 - rate * weight * regularization
            parts[k] += rate * weight * pull * apart
    yield from parts
