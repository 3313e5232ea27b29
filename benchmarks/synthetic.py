"""Made-up implicit feedback for speed: 140,000 users, 27,000 items, about 11.8 million distinct pairs.

    python benchmarks/synthetic.py OUT.npz [SCALE]

How much a user does falls as rank^-0.7, how often an item is taken as 1/rank, both from a bend at the head; and six pairs in ten
fall into the taste of the user's community, one of 32, whose popular items are others. One pair of some users is held out.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

USERS, ITEMS, DRAWS = 140_000, 27_000, 13_000_000
COMMUNITIES = 32
LOYALTY = 0.6  # share of the pairs in the community's taste
HELD_OUT = 5_000  # users with one pair held out
ENOUGH = 5  # pairs a user must have for one to be held out


def zipf(n: int, bend: int, exponent: float) -> NDArray[np.float64]:
    """Probabilities of n ranks, flat up to about ``bend`` and falling as a power beyond."""
    weights = np.power(np.arange(n) + float(bend), -exponent)
    return np.asarray(weights / weights.sum())


def pairs(scale: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Distinct pairs as sorted int64 keys user · items + item, and how many users and items there are."""
    users, items, draws = (
        max(1, round(n * share)) for n, share in ((USERS, scale), (ITEMS, scale**0.5), (DRAWS, scale))
    )
    user = rng.choice(users, draws, p=rng.permutation(zipf(users, 10, 0.7)))
    item = rng.choice(items, draws, p=zipf(items, 20, 1.0))
    home = rng.integers(COMMUNITIES, size=users) * (items // COMMUNITIES)
    loyal = rng.random(draws) < LOYALTY
    item = (item + np.where(loyal, home[user], 0)) % items
    return np.unique(user * items + item), (users, items)


def generate(path: Path, scale: float = 1.0, seed: int = 0) -> None:
    """Write the training pairs as compressed rows (indptr, indices, shape) and those held out (held_user, held_item)."""
    rng = np.random.default_rng(seed)
    keys, shape = pairs(scale, rng)
    user, item = np.divmod(keys, shape[1])
    counts = np.bincount(user, minlength=shape[0])
    able = np.flatnonzero(counts >= ENOUGH)
    chosen = np.sort(rng.choice(able, min(HELD_OUT, len(able)), replace=False))
    held = (np.cumsum(counts) - counts)[chosen] + rng.integers(counts[chosen])
    kept = np.ones(len(keys), bool)
    kept[held] = False
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user[kept], minlength=shape[0]))])
    np.savez(
        path,
        indptr=indptr,
        indices=item[kept].astype(np.int32),
        shape=np.array(shape),
        held_user=user[held],
        held_item=item[held],
    )


if __name__ == "__main__":
    generate(Path(sys.argv[1]), scale=float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
