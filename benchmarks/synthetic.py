"""Made-up implicit feedback for speed: 140,000 users, 27,000 items, about 11.8 million distinct pairs.

    python benchmarks/synthetic.py OUT.npz [SCALE]

`interactions` makes more of it, for memory: 300,000 users, 60,000 items, 30 million rows, as Parquet files and as pairs.

How much a user does falls as rank^-0.7, how often an item is taken as 1/rank, both from a bend at the head; and six pairs in ten
fall into the taste of the user's community, one of 32, whose popular items are others. One pair of some users is held out.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
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


def pairs(users: int, items: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Distinct pairs, somewhat fewer than ``draws``, as sorted int64 keys user · items + item."""
    user = rng.choice(users, draws, p=rng.permutation(zipf(users, 10, 0.7)))
    item = rng.choice(items, draws, p=zipf(items, 20, 1.0))
    home = rng.integers(COMMUNITIES, size=users) * (items // COMMUNITIES)
    loyal = rng.random(draws) < LOYALTY
    item = (item + np.where(loyal, home[user], 0)) % items
    return np.unique(user * items + item)


def generate(path: Path, scale: float = 1.0, seed: int = 0) -> None:
    """Write the training pairs as compressed rows (indptr, indices, shape) and those held out (held_user, held_item)."""
    rng = np.random.default_rng(seed)
    users, items, draws = (
        max(1, round(n * share)) for n, share in ((USERS, scale), (ITEMS, scale**0.5), (DRAWS, scale))
    )
    shape = users, items
    user, item = np.divmod(pairs(users, items, draws, rng), items)
    counts = np.bincount(user, minlength=shape[0])
    able = np.flatnonzero(counts >= ENOUGH)
    chosen = np.sort(rng.choice(able, min(HELD_OUT, len(able)), replace=False))
    held = (np.cumsum(counts) - counts)[chosen] + rng.integers(counts[chosen])
    kept = np.ones(len(user), bool)
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


def interactions(folder: Path, scale: float = 1.0, seed: int = 0) -> tuple[int, int, int]:
    """Write ``folder``/distinct.parquet (user, item), events.parquet (user, item, count, time; a tenth more rows that repeat
    pairs) and pairs.npz (the distinct pairs, as `generate` writes them). Rows are in random order, ids are large int64.

    Returns:
        How many users, items and distinct pairs there are.
    """
    rng = np.random.default_rng(seed)
    users, items, rows = round(300_000 * scale), round(60_000 * scale**0.5), round(30_000_000 * scale)
    parts = np.array_split(
        np.arange(users), max(1, users // 15_000)
    )  # of users, so that pairs are found distinct in little memory
    keys = np.concatenate(
        [part[0] * items + pairs(len(part), items, round(rows / len(parts) * 1.075), rng) for part in parts]
    )
    keys = rng.choice(keys, min(rows, len(keys)), replace=False)
    _write_rows(folder / "distinct.parquet", keys, items, rng, counted=False)
    again = rng.choice(keys, len(keys) // 10, replace=False)
    _write_rows(
        folder / "events.parquet", rng.permutation(np.concatenate([keys, again])), items, rng, counted=True
    )
    user, item = np.divmod(np.sort(keys), items)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=users))])
    np.savez(
        folder / "pairs.npz", indptr=indptr, indices=item.astype(np.int32), shape=np.array([users, items])
    )
    return users, items, len(keys)


def _write_rows(
    path: Path, keys: NDArray[np.int64], items: int, rng: np.random.Generator, counted: bool
) -> None:
    """One row group a million rows."""
    types = {"user": pa.int64(), "item": pa.int64()} | (
        {"count": pa.int32(), "time": pa.int64()} if counted else {}
    )
    with pq.ParquetWriter(path, pa.schema(types)) as writer:
        for start in range(0, len(keys), 1_000_000):
            user, item = np.divmod(keys[start : start + 1_000_000], items)
            columns = {"user": 10**9 + 7 * user, "item": 10**6 + 3 * item}
            if counted:
                columns |= {
                    "count": rng.integers(1, 9, len(user)),
                    "time": rng.integers(1_600_000_000, 1_700_000_000, len(user)),
                }
            writer.write_table(pa.table(columns).cast(writer.schema))


if __name__ == "__main__":
    generate(Path(sys.argv[1]), scale=float(sys.argv[2]) if len(sys.argv) > 2 else 1.0)
