"""The ranking metrics once more, in plain loops written from the definitions, for one user at a time."""

import math
from collections.abc import Sequence

import numpy as np

Items = Sequence[int]


def precision(items: Items, relevant: set[int], k: int) -> float:
    return sum(1 for item in items[:k] if item in relevant) / k


def recall(items: Items, relevant: set[int], k: int) -> float:
    return sum(1 for item in items[:k] if item in relevant) / len(relevant)


def hit_rate(items: Items, relevant: set[int], k: int) -> float:
    return 1.0 if any(item in relevant for item in items[:k]) else 0.0


def mrr(items: Items, relevant: set[int], k: int) -> float:
    for rank, item in enumerate(items[:k], 1):
        if item in relevant:
            return 1 / rank
    return 0.0


def _award(items: Items, relevant: set[int], k: int) -> float:
    award = 0.0
    for rank in range(1, min(k, len(items)) + 1):
        if items[rank - 1] in relevant:
            award += precision(items, relevant, rank)
    return award


def map(items: Items, relevant: set[int], k: int) -> float:
    return _award(items, relevant, k) / k


def map_min(items: Items, relevant: set[int], k: int) -> float:
    return _award(items, relevant, k) / min(k, len(relevant))


def ndcg(items: Items, relevant: set[int], k: int) -> float:
    reached = sum(1 / math.log2(rank + 1) for rank, item in enumerate(items[:k], 1) if item in relevant)
    return reached / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def ndcg_graded(items: Items, gains: dict[int, float], k: int) -> float:
    reached = sum(gains.get(item, 0.0) / math.log2(rank + 1) for rank, item in enumerate(items[:k], 1))
    best = sorted(gains.values(), reverse=True)[:k]
    return reached / sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, 1))


def serendipity(items: Items, relevant: set[int], baseline: Items, k: int) -> float:
    return sum(1 for item in items[:k] if item in relevant and item not in baseline[:k]) / k


def diversity(items: Items, vectors: np.ndarray, k: int) -> float:
    shown = list(items[:k])
    distances = []
    for a in range(len(shown)):
        for b in range(a):
            u, v = vectors[shown[a]], vectors[shown[b]]
            norm = math.sqrt(sum(x * x for x in u)) * math.sqrt(sum(y * y for y in v))
            distances.append(1 - sum(x * y for x, y in zip(u, v, strict=True)) / norm if norm else 1.0)
    return sum(distances) / len(distances)


def gini(counts: Sequence[float]) -> float:
    """Half the relative mean absolute difference."""
    n, total = len(counts), sum(counts)
    return sum(abs(a - b) for a in counts for b in counts) / (2 * n * total)


def auc(scores: Sequence[float], relevant: Sequence[bool]) -> float:
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p, good in zip(scores, relevant, strict=True)
        if good
        for n, other in zip(scores, relevant, strict=True)
        if not other
    ]
    return sum(wins) / len(wins)
