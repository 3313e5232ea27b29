"""Small pools to draw from, with everything in them that changes utilities from slot to slot."""

from collections.abc import Iterator

import numpy as np

from tastemaker.policy.pool import Labels, Pool, VectorLikeness
from tastemaker.policy.slots import Rules, Slots


def small_pool(n: int, seed: int = 0, new: int = 2, capped: bool = True) -> Pool:
    """Random utilities and vectors; the last items are new; two labels, of which a list may have one and two."""
    rng = np.random.default_rng(seed)
    utilities = np.sort(rng.random(n))[::-1]
    is_new = np.arange(n) >= n - new
    labels = Labels.none()
    if capped:
        position = np.arange(n, dtype=np.int32)
        labels = Labels(position, (position % 2).astype(np.int32), np.array([1, 2], np.int32))
    vectors = rng.standard_normal((n, 3)).astype(np.float32)
    return Pool(utilities, is_new, VectorLikeness.of(vectors), labels)


def all_lists(pool: Pool, rules: Rules) -> Iterator[tuple[tuple[int, ...], float]]:
    """Every list that can be drawn with its probability, by going down every branch."""

    def below(prefix: tuple[int, ...], probability: float) -> Iterator[tuple[tuple[int, ...], float]]:
        slots = Slots(pool, rules)
        for position in prefix:
            slots.take(position)
        if slots.full:
            yield prefix, probability
            return
        for position, chance in enumerate(slots.probabilities()):
            if chance > 0:
                yield from below((*prefix, position), probability * float(chance))

    return below((), 1.0)
