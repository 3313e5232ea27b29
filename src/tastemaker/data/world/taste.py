"""What everyone in a generated world expects of every title, and what they would truly think of it."""

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.world.people import People
from tastemaker.data.world.titles import Titles

# How much each part counts, about the standard deviation that it gives.
GENRE, THEME, FEEL, DEPTH, QUALITY, CHANCE = 0.7, 0.4, 0.8, 0.7, 0.7, 0.3
_BLOCK = (
    64  # users at a time, which stay in cache; sums are not left to BLAS, where they may depend on threads
)


def promise(people: People, titles: Titles) -> NDArray[np.float32]:
    """What draws each user to each title before they have seen it.

        promise = .7 <t_u, g_i> + .4 <h_u, s_i> + .8 <p_u, q_i> / √4

    t are tastes for genres, h for themes, p for feel; g, s, q what the title has of them. Genres and themes can be read
    in the table of titles; its feel shows only in who else watches it.

    Returns:
        float32[users, items].
    """
    feel = np.float32(FEEL / np.sqrt(people.feel.shape[1]))
    return _affinity(
        np.hstack([GENRE * people.genres, THEME * people.themes, feel * people.feel]),
        np.hstack([titles.genres, titles.themes, titles.feel]),
    )


def discovery(people: People, titles: Titles, rng: np.random.Generator) -> NDArray[np.float32]:
    """What only watching shows: how good it is, a depth that suits some and not others, and chance.

        discovery = .7 <d_u, e_i> / √4 + .7 quality_i + .3 noise_ui

    It shows in nobody's choices, but in how far they watch, how long they stay and what they say.

    Returns:
        float32[users, items].
    """
    depth = np.float32(DEPTH / np.sqrt(people.depth.shape[1]))
    found = _affinity(depth * people.depth, titles.depth)
    found += np.float32(QUALITY) * titles.quality
    noise = rng.standard_normal(found.shape, dtype=np.float32)
    noise *= np.float32(CHANCE)
    return np.add(found, noise, out=found)


def enjoyment(appeal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Expected enjoyment in stars, between 1 and 5: 1 + 4 σ(appeal), where appeal is promise and discovery together.

    >>> enjoyment(np.float32([0, 100])).tolist()
    [3.0, 5.0]
    """
    stars = np.exp(-appeal)
    stars += 1
    return np.divide(4, stars, out=stars) + np.float32(1)


def _affinity(tastes: NDArray[np.float32], traits: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[users, items]: the inner product of every row with every row."""
    product = np.zeros((len(tastes), len(traits)), dtype=np.float32)
    for row in range(0, len(tastes), _BLOCK):
        for taste, trait in zip(tastes[row : row + _BLOCK].T, traits.T, strict=True):
            product[row : row + _BLOCK] += np.multiply.outer(taste, trait)
    return product
