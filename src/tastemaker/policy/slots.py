"""A list drawn slot by slot, each anew over what the slots above have left: exact conditional propensities.

In slot s, after the items above it, candidate i has the utility

    v(i) = (1 − λ) · u(i) − λ · (the highest cosine to an item above)          (maximal marginal relevance)

and none if it is above already or over a cap. The slot is drawn from the exploration's distribution over v: it comes after
diversity and caps, never before, so that p(i | items above) is what was drawn from, and the probability of a list is the
product over its slots. Slots that are kept for new items are drawn in the same way among the new items alone, as long as
there are any.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tastemaker.models.checks import between, whole
from tastemaker.policy.exploration import Exploration, Greedy, pick, uniform
from tastemaker.policy.pool import LIKENESS_STEPS, Pool

__all__ = ["Drawn", "Rules", "Slots", "draw", "list_probability"]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How the slots of a list are filled.

    Attributes:
        k: the length of the list.
        diversity: λ, 0 to 1.
        new_item_slots: how many of the slots are kept for new items, spread evenly over the list.
        exploration: the distribution over the utilities of a slot.
    """

    k: int
    diversity: float = 0.0
    new_item_slots: int = 0
    exploration: Exploration = field(default_factory=Greedy)

    def __post_init__(self) -> None:
        whole("k", self.k)
        between("diversity", self.diversity, high=1.0)
        whole("new_item_slots", self.new_item_slots, 0)

    @property
    def reserved(self) -> frozenset[int]:
        """The slots that are kept for new items, counted from 0.

        >>> sorted(Rules(k=10, new_item_slots=2).reserved)
        [2, 7]
        """
        slots = min(self.new_item_slots, self.k)
        return frozenset((2 * j + 1) * self.k // (2 * slots) for j in range(slots))


@dataclass(frozen=True, eq=False)
class Drawn:
    """A list, with what is needed to judge another policy by it.

    Attributes:
        positions: int64[k'], where in the pool each slot's item stands.
        propensities: float64[k'], p(item | the items above it).
        explored: bool[k'], whether the item is there to be tried: not the one of the highest utility, or new in a slot kept
            for new items.
        log_probability: of the whole list, natural.
    """

    positions: NDArray[np.int64]
    propensities: NDArray[np.float64]
    explored: NDArray[np.bool_]
    log_probability: float


class Slots:
    """The state of a list that is being filled: from the slots above to the distribution of the next."""

    def __init__(self, pool: Pool, rules: Rules) -> None:
        self._pool, self._rules = pool, rules
        self._reserved = rules.reserved
        self._values = (1 - rules.diversity) * pool.utilities  # minus infinity for what may not follow
        self._nearest: NDArray[np.int8] | None = None
        self._gone = np.zeros(len(pool), np.bool_)
        self._left = len(pool)
        self._room = pool.labels.limit.tolist()
        self._labels: list[list[int]] = [[] for _ in range(len(pool) if self._room else 0)]
        for position, label in zip(pool.labels.position.tolist(), pool.labels.code.tolist(), strict=True):
            self._labels[position].append(label)
        self.filled = 0

    def values(self) -> tuple[NDArray[np.float64], bool]:
        """float64[n]: the utilities in the next slot, minus infinity where none; whether it is drawn among new items."""
        values = self._values
        if self._nearest is not None:
            values = values - self._nearest * (self._rules.diversity / LIKENESS_STEPS)
        if self.filled in self._reserved and (self._pool.new & ~self._gone).any():
            return np.where(self._pool.new, values, -np.inf), True
        return values, False

    @property
    def full(self) -> bool:
        """Whether the list is done: of length k, or nothing is left that may follow."""
        return self.filled == self._rules.k or self._left == 0

    def probabilities(self) -> NDArray[np.float64]:
        """float64[n]: of the next slot; for a list that is not full."""
        return self._rules.exploration.probabilities(self.values()[0])

    def take(self, position: int) -> None:
        """Put the candidate into the next slot."""
        self._bar(position)
        self.filled += 1
        for label in self._labels[position] if self._labels else ():
            self._room[label] -= 1
            if self._room[label] == 0:
                self._bar(self._pool.labels.position[self._pool.labels.code == label])
        self._left = len(self._gone) - int(np.count_nonzero(self._gone))
        if self._rules.diversity and not self.full:
            row = self._pool.likeness.row(position)
            self._nearest = row if self._nearest is None else np.maximum(self._nearest, row)

    def _bar(self, positions: int | NDArray[np.int32]) -> None:
        """These may not follow."""
        self._gone[positions] = True
        self._values[positions] = -np.inf


def draw(pool: Pool, rules: Rules, seed: int) -> Drawn:
    """A list from the pool; the same pool, rules and seed always give the same list.

    >>> from tastemaker.policy.pool import Labels, RecordedLikeness
    >>> pool = Pool(np.array([0.9, 0.5, 0.1]), np.zeros(3, bool), RecordedLikeness({}), Labels.none())
    >>> draw(pool, Rules(k=2), seed=0).positions
    array([0, 1])
    """
    slots = Slots(pool, rules)
    positions: list[int] = []
    propensities: list[float] = []
    explored: list[bool] = []
    while not slots.full:
        values, reserved = slots.values()
        chances = rules.exploration.probabilities(values)
        at = pick(chances, uniform(seed, slots.filled))
        positions.append(at)
        propensities.append(float(chances[at]))
        explored.append(reserved or at != int(values.argmax()))
        slots.take(at)
    return Drawn(
        np.array(positions, np.int64),
        np.array(propensities, np.float64),
        np.array(explored, np.bool_),
        math.fsum(map(math.log, propensities)),
    )


def list_probability(pool: Pool, rules: Rules, positions: Sequence[int]) -> float:
    """The probability that :func:`draw` gives exactly this list, over all seeds.

    0 for a list that could go on, is too long or has an item that was not allowed where it stands.
    """
    slots = Slots(pool, rules)
    probability = 1.0
    for position in positions:
        if slots.full:
            return 0.0
        probability *= float(slots.probabilities()[position])
        if probability == 0.0:
            return 0.0
        slots.take(position)
    return probability if slots.full else 0.0
