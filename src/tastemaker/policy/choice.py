"""A chosen list: its items, why they are there, and with what probability each came to be there."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker.policy.candidates import SOURCES
from tastemaker.policy.pool import Pool
from tastemaker.policy.slots import Drawn, Rules
from tastemaker.ranking.shortfall import Shortfall

__all__ = ["Choice", "in_words"]

_WORDS = {
    "personal": "because you liked {}",
    "also_bought": "those who took {} also took this",
    "similar": "like {}",
    "trending": "trending now",
    "new": "new",
    "popular": "popular with others",
    "asked": "picked for you",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """One list and how it came about.

    Attributes:
        candidates: int32[n], the item codes that it was drawn from, the most useful first.
        source: int8[n], where each came from, into :data:`tastemaker.policy.candidates.SOURCES`.
        pool: their utilities and what else the draw looks at.
        k: the length that was asked for.
        rules: how the slots were filled.
        seed: of the draw.
        drawn: the slots.
        because: int32[k'], the item of the user's own that each has most to do with, -1 for none.
        reasons: k' texts; empty where none were asked for.
        removed: what took items away from a short list, by reason; empty for a full one.
        n_items: how many items there are.
        degraded: what was left out, and why.
    """

    candidates: NDArray[np.int32]
    source: NDArray[np.int8]
    pool: Pool
    k: int
    rules: Rules
    seed: int
    drawn: Drawn
    because: NDArray[np.int32]
    reasons: tuple[str, ...]
    removed: Mapping[str, int]
    n_items: int
    degraded: tuple[str, ...]

    @property
    def items(self) -> NDArray[np.int32]:
        """int32[k'], the list in item codes."""
        return self.candidates[self.drawn.positions]

    @property
    def scores(self) -> NDArray[np.float64]:
        """float64[k'], the utilities of the items before diversity: 0 to 1, below 0 for an item without a score."""
        return self.pool.utilities[self.drawn.positions]

    @property
    def utilities(self) -> NDArray[np.float64]:
        """float64[n], those of all candidates."""
        return self.pool.utilities

    @property
    def propensities(self) -> NDArray[np.float64]:
        """float64[k'], p(item | the items above it)."""
        return self.drawn.propensities

    @property
    def log_probability(self) -> float:
        """Of the whole list, natural."""
        return self.drawn.log_probability

    @property
    def roles(self) -> tuple[str, ...]:
        """``exploit`` or ``explore`` for each slot."""
        return tuple("explore" if tried else "exploit" for tried in self.drawn.explored)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where each item came from."""
        return tuple(SOURCES[number] for number in self.source[self.drawn.positions])

    @property
    def shortfall(self) -> str:
        """Why the list is shorter than asked; empty for a full one."""
        if len(self.drawn.positions) == self.k:
            return ""
        return str(Shortfall(len(self.drawn.positions), self.k, self.n_items, self.removed))


def in_words(source: str, own: str) -> str:
    """A reason in words; ``own`` is the title of the item of the user's own, empty for none.

    >>> in_words("personal", "Dark"), in_words("personal", "")
    ('because you liked Dark', 'picked for you')
    """
    words = _WORDS[source]
    return words if "{}" not in words else words.format(own) if own else _WORDS["asked"]
