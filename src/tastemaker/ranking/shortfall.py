"""Why a list is shorter than asked: how many items there are, and what took each of the others away."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tastemaker._native.topk import REMOVED, TopK

__all__ = ["Shortfall", "shortfalls"]

_WORDS = {
    "seen": ("seen", "seen"),
    "denied": ("denied", "denied"),
    "not allowed": ("not in the allow list", "not in the allow list"),
    "filtered": ("fails the filter", "fail the filter"),
    "unscored": ("without a score", "without a score"),
    "capped": ("over a cap", "over a cap"),
}


@dataclass(frozen=True)
class Shortfall:
    """The account of a short list: ``found + sum(removed.values()) == items``.

    >>> print(Shortfall(found=7, k=10, items=1682, removed={"seen": 1600, "denied": 60, "filtered": 15}))
    7 of 10: 1,682 items, 1,600 seen, 60 denied, 15 fail the filter
    """

    found: int
    k: int
    items: int
    removed: Mapping[str, int]

    def __str__(self) -> str:
        catalogue = f"{self.items:,} item" + "s" * (self.items != 1)
        parts = [f"{count:,} {_WORDS[reason][count != 1]}" for reason, count in self.removed.items() if count]
        return f"{self.found} of {self.k}: {', '.join([catalogue, *parts])}"


def shortfalls(lists: TopK, k: int, n_items: int) -> dict[int, Shortfall]:
    """The account of each list that is shorter than ``k``, by its query's number."""
    return {
        int(q): Shortfall(
            int(lists.counts[q]), k, n_items, dict(zip(REMOVED, lists.removed[q].tolist(), strict=True))
        )
        for q in np.flatnonzero(lists.counts < k)
    }
