"""How a slot is drawn: the probability of each item that may fill it, and a draw from a seed that can be repeated."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.models.checks import between

__all__ = ["EpsilonGreedy", "Exploration", "Greedy", "Softmax", "exploration_of", "pick", "uniform"]

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Exploration(ABC):
    """A distribution over the items that may fill a slot."""

    kind: ClassVar[str]

    @abstractmethod
    def probabilities(self, utilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n], which sums to 1: how likely each item is drawn.

        Args:
            utilities: float64[n], minus infinity for what may not fill the slot; at least one is finite.
        """

    def describe(self) -> dict[str, Any]:
        """As JSON can hold it; :func:`exploration_of` reads it."""
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]  # each subclass is a dataclass


@dataclass(frozen=True)
class Greedy(Exploration):
    """The item with the highest utility, the first of equals, with probability 1.

    >>> Greedy().probabilities(np.array([0.2, 1.0, 1.0]))
    array([0., 1., 0.])
    """

    kind: ClassVar[str] = "greedy"

    def probabilities(self, utilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 for the best item."""
        found = np.zeros(len(utilities))
        found[utilities.argmax()] = 1.0
        return found


@dataclass(frozen=True)
class EpsilonGreedy(Exploration):
    """The best item, but with probability epsilon any that is allowed: p(i) = (1 − ε) · 1[i is best] + ε / n.

    >>> EpsilonGreedy(0.3).probabilities(np.array([0.2, 1.0, -np.inf, 0.5]))
    array([0.1, 0.8, 0. , 0.1])
    """

    kind: ClassVar[str] = "epsilon"

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        between("epsilon", self.epsilon, high=1.0)

    def probabilities(self, utilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(1 − ε) for the best item more than ε / n for each."""
        allowed = utilities > -np.inf
        found = np.where(allowed, self.epsilon / np.count_nonzero(allowed), 0.0)
        found[utilities.argmax()] += 1.0 - self.epsilon
        return found


@dataclass(frozen=True)
class Softmax(Exploration):
    """p(i) = exp(u(i) / T) / Σ exp(u(j) / T). Where utilities stay the same from slot to slot, lists are Plackett–Luce.

    >>> Softmax(0.5).probabilities(np.log([1.0, 2.0, 3.0])).round(3)
    array([0.071, 0.286, 0.643])
    """

    kind: ClassVar[str] = "softmax"

    temperature: float = 0.1

    def __post_init__(self) -> None:
        between("temperature", self.temperature, open_low=True)

    def probabilities(self, utilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The softmax of the utilities over the temperature."""
        weights: NDArray[np.float64] = np.exp((utilities - utilities.max()) / self.temperature)
        weights /= weights.sum()
        return weights


_KINDS: dict[str, type[Exploration]] = {kind.kind: kind for kind in (Greedy, EpsilonGreedy, Softmax)}


def exploration_of(given: Exploration | Mapping[str, Any]) -> Exploration:
    """The exploration itself, or what :meth:`Exploration.describe` told of one.

    Raises:
        ValueError: for anything else.

    >>> exploration_of({"kind": "softmax", "temperature": 0.5})
    Softmax(temperature=0.5)
    """
    if isinstance(given, Exploration):
        return given
    if isinstance(given, Mapping) and given.get("kind") in _KINDS:
        options = dict(given)
        return _KINDS[options.pop("kind")](**options)
    raise ValueError(
        "exploration must be Greedy(), EpsilonGreedy(epsilon), Softmax(temperature) or a mapping such as "
        f"{{'kind': 'epsilon', 'epsilon': 0.1}}, got {given!r}"
    )


def uniform(seed: int, slot: int) -> float:
    """A number in [0, 1) that depends on the seed and the slot alone: SplitMix64 (Steele, Lea and Flood, 2014).

    >>> uniform(1, 0) == uniform(1, 0), uniform(1, 0) == uniform(1, 1)
    (True, False)
    """
    bits = _mix((_mix((seed + _GOLDEN) & _WORD) + slot * _GOLDEN) & _WORD)
    return (bits >> 11) * 2.0**-53


def _mix(number: int) -> int:
    mixed = (number + _GOLDEN) & _WORD
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
    return mixed ^ (mixed >> 31)


def pick(probabilities: NDArray[np.float64], number: float) -> int:
    """The position that a uniform number falls on; never one with probability 0.

    >>> [pick(np.array([0.25, 0.0, 0.75, 0.0]), number) for number in (0.0, 0.24, 0.25, 0.999)]
    [0, 0, 2, 2]
    """
    ends = probabilities.cumsum()
    at = int(ends.searchsorted(number * ends[-1], side="right"))
    return at if at < len(ends) else int(np.flatnonzero(probabilities)[-1])
