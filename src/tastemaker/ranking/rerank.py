"""Re-ranking of a pool of candidates deeper than the list: caps per attribute, and diversity by maximal marginal relevance.

Both are greedy: the list is filled slot by slot, and what is in it decides about the next slot. Ties go to the candidate that
ranks higher in the pool, so a list depends on its own query alone.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker._native.topk import REMOVED, Rows, TopK, empty_lists
from tastemaker.ranking.blocks import query_blocks

__all__ = ["Cap", "Diversity", "rerank"]

_CAPPED = REMOVED.index("capped")


@dataclass(frozen=True, eq=False)
class Cap:
    """No more than ``limit`` items of a list share a label; an item may have several labels, or none and then no cap.

    Attributes:
        labels: the label codes of each item.
        limit: how many items of a list may share a label.
    """

    labels: Rows
    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"a cap must let at least 1 item through, got {self.limit}")

    @classmethod
    def from_column(cls, values: pl.Series, limit: int) -> Self:
        """The cap on a column of the item features: one value an item, or a list of values. A null is no label.

        >>> Cap.from_column(pl.Series("genre", [["drama", "crime"], None, ["drama"]]), 2).labels.indptr
        array([0, 2, 2, 3])
        """
        pairs = pl.DataFrame({"item": np.arange(len(values)), "label": values})
        if isinstance(values.dtype, pl.List | pl.Array):
            pairs = pairs.explode("label")
        pairs = pairs.drop_nulls("label").unique(maintain_order=True)
        counts = np.bincount(pairs["item"].to_numpy(), minlength=len(values))
        codes = pairs["label"].rank("dense").to_numpy().astype(np.int32) - 1
        return cls(Rows(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), codes), limit)


@dataclass(frozen=True, eq=False)
class Diversity:
    """Maximal marginal relevance (Carbonell and Goldstein, 1998): fill each slot with the candidate that maximises

        (1 - strength) * relevance - strength * (the highest cosine to an item that is in the list already)

    where relevance is the score, scaled to 0..1 over the pool. Strength 0 keeps the order; 1 looks at variety alone after the
    first item. An item without a vector (zero or NaN) is like no other.

    Attributes:
        vectors: float32, items x factors.
        strength: 0 to 1.
    """

    vectors: NDArray[np.float32]
    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"diversify must lie in 0..1, got {self.strength}")


def rerank(
    retrieve: Callable[[NDArray[np.int64], int], TopK],
    queries: int,
    k: int,
    *,
    caps: Sequence[Cap] = (),
    diversity: Diversity | None = None,
) -> TopK:
    """Lists of k that keep the caps and trade score for variety, from pools of candidates.

    A pool that runs out before the list is full, while there are more candidates, is doubled. So lists under caps are exact:
    the greedy choice from the whole ranking.

    Args:
        retrieve: ``retrieve(rows, depth)`` gives the ``depth`` best allowed items of the queries ``rows``, best first.
        queries: how many queries there are.
        k: the length of the lists.
        caps: each holds for every list.
        diversity: how far to trade score for variety; ``None`` does not.

    Returns:
        As from :func:`~tastemaker._native.topk.top_k`; scores are the candidates' own.
    """
    lists = empty_lists(queries, k)
    waiting, depth = np.arange(queries), max(100, 5 * k)
    while len(waiting):
        unfinished = []
        for block in query_blocks(len(waiting), depth):
            rows = waiting[block]
            done = _fill(lists, rows, retrieve(rows, depth), caps, diversity)
            unfinished.append(rows[~done])
        waiting, depth = np.concatenate(unfinished), 2 * depth
    return lists


def _fill(
    lists: TopK, rows: NDArray[np.int64], pools: TopK, caps: Sequence[Cap], diversity: Diversity | None
) -> NDArray[np.bool_]:
    """Write the lists of the queries ``rows``; says for which the pool was deep enough."""
    k, depth = lists.items.shape[1], pools.items.shape[1]
    done = np.ones(len(rows), np.bool_)
    for at, q in enumerate(rows):
        size = pools.counts[at]
        items, scores = pools.items[at, :size], pools.scores[at, :size]
        room = _Room(caps)
        picks = _first(items, k, room) if diversity is None else _diverse(items, scores, k, room, diversity)
        found = len(picks)
        if found < k and size == depth:
            done[at] = False
            continue
        lists.items[q, :found] = items[picks]
        lists.scores[q, :found] = scores[picks]
        lists.counts[q] = found
        if found < k:
            lists.removed[q] = pools.removed[at]
            lists.removed[q, _CAPPED] = size - found
    return done


class _Room:
    """What the caps still let into one list."""

    def __init__(self, caps: Sequence[Cap]) -> None:
        self._caps = caps
        self._taken: Counter[tuple[int, int]] = Counter()

    def admit(self, item: int) -> bool:
        """Take the item in, unless one of its labels is full."""
        labels = [
            (number, label)
            for number, cap in enumerate(self._caps)
            for label in cap.labels.indices[cap.labels.indptr[item] : cap.labels.indptr[item + 1]].tolist()
        ]
        if any(self._taken[label] >= self._caps[label[0]].limit for label in labels):
            return False
        self._taken.update(labels)
        return True


def _first(items: NDArray[np.int32], k: int, room: _Room) -> list[int]:
    """The positions of the first k candidates that there is room for."""
    picks: list[int] = []
    for position, item in enumerate(items.tolist()):
        if len(picks) == k:
            break
        if room.admit(item):
            picks.append(position)
    return picks


def _diverse(
    items: NDArray[np.int32], scores: NDArray[np.float32], k: int, room: _Room, diversity: Diversity
) -> list[int]:
    """The positions of k candidates by maximal marginal relevance, best first."""
    relevance = (1 - diversity.strength) * _scaled(scores)
    unit = _unit(diversity.vectors[items])
    likeness = np.zeros(len(items))
    waiting = np.ones(len(items), np.bool_)
    picks: list[int] = []
    while len(picks) < k and waiting.any():
        value = np.where(waiting, relevance - diversity.strength * likeness, -np.inf)
        best = int(np.argmax(value))
        waiting[best] = False
        if not room.admit(int(items[best])):
            continue
        cosine = (unit * unit[best]).sum(axis=1)
        likeness = np.maximum(likeness, cosine) if picks else cosine
        picks.append(best)
    return picks


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scores, best first, brought to 0..1; infinite ones count as much as the highest finite one."""
    finite = scores[np.isfinite(scores)].astype(np.float64)
    if len(finite) == 0 or finite[0] == finite[-1]:
        return np.zeros(len(scores))
    scaled: NDArray[np.float64] = (np.minimum(scores, finite[0]) - finite[-1]) / (finite[0] - finite[-1])
    return scaled


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rows of length 1; zeros for rows that have no direction."""
    rows = np.nan_to_num(vectors.astype(np.float64), posinf=0, neginf=0)
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    np.divide(rows, norms, out=rows, where=norms > 0)
    return rows
