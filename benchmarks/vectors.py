"""What graph.py judges all libraries by: NDCG of a ranking of the full catalogue by inner products of vectors.

Imported by the scripts that run in the libraries' own environments, so it needs NumPy alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 500  # users at a time


def ndcg(
    users: NDArray[Any],
    items: NDArray[Any],
    data: Mapping[str, NDArray[Any]],
    part: str = "valid",
    k: int = 10,
) -> float:
    """The mean NDCG@k of the held-out item of each user among all items that the user has not had; ties are against it.

    Args:
        users, items: float[users or items, f], by the codes of ``data``; the score is the inner product.
        data: ``user`` and ``item`` of what was had; ``valid_user`` and ``valid_item``, each user once, of what came next, and
            ``test_user`` and ``test_item`` of what came after that.
        part: what is judged, ``"valid"`` or ``"test"``.
    """
    asked, held_out = data[f"{part}_user"], data[f"{part}_item"]
    had = np.zeros((len(users), len(items)), np.bool_)
    had[data["user"], data["item"]] = True
    if part == "test":
        had[data["valid_user"], data["valid_item"]] = True
    total = 0.0
    for start in range(0, len(asked), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores = users[asked[block]].astype(np.float32) @ items.T.astype(np.float32)
        own = np.take_along_axis(scores, held_out[block, None], axis=1)
        better = (scores >= own) & ~had[asked[block]]
        ranks = better.sum(axis=1)  # the item itself among them, so that the first has rank 1
        total += float(np.sum(np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)))
    return total / len(asked)


def goes_on(values: Sequence[float], patience: int) -> bool:
    """Whether one of the last ``patience`` values is the best."""
    return len(values) - (values.index(max(values)) if values else 0) <= patience
