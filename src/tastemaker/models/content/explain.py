"""Why an item has its score: the cosine taken apart, once by the items of the history, once by the features.

With likings a_h, item profiles v and the user's profile u = Σ_h a_h v_h,

    score(i) = Σ_h a_h <v_h, v_i> / |u| = Σ_f u_f v_if / |u|,

so the contributions of the history's items add up to the score, and so do those of the features.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tastemaker.models.content.profiles import Profiles
from tastemaker.ranking.reasons import Reason

__all__ = ["reasons"]

_NAMED = 3  # how many shared features a text names


def reasons(profiles: Profiles, liked: csr_array, item: int) -> list[Reason]:
    """Reasons of kind ``item`` and of kind ``feature``; the contributions of each kind sum up to the score.

    Args:
        profiles: of all items.
        liked: 1 x items, float32: how much each item of the history was liked.
        item: the item to explain.

    Returns:
        No reasons when there is no score; none for an item or a feature that contributes nothing.
    """
    length = profiles.users(liked).length[0]
    if np.isnan(length) or profiles.unknown[item]:
        return []
    history = liked.indices
    share = liked.data.astype(np.float64) / length
    parts = share[:, None] * _shared(profiles, history, item)
    names = _names(profiles, item)
    by_item = [
        Reason("item", int(code), float(part.sum()), _shares(part, names))
        for code, part in zip(history, parts, strict=True)
        if part.any()
    ]
    by_feature = [
        Reason("feature", name, float(contribution))
        for name, contribution in zip(names, parts.sum(axis=0), strict=True)
        if contribution
    ]
    return by_item + by_feature


def _shared(profiles: Profiles, history: NDArray[np.int32], item: int) -> NDArray[np.float64]:
    """float64[history, features of the item then dense parts]: the addends of each cosine with the item."""
    row = profiles.sparse[[item]]
    named = profiles.sparse[history][:, row.indices].toarray().astype(np.float64) * row.data
    products = profiles.dense[history].astype(np.float64) * profiles.dense[item]
    ends = np.cumsum(profiles.parts["width"].to_numpy(), dtype=np.int64)
    dense = [p.sum(axis=1, keepdims=True) for p in np.split(products, ends[:-1], axis=1)] if len(ends) else []
    return np.hstack([named, *dense])


def _names(profiles: Profiles, item: int) -> list[str]:
    """The item's features in words, then the dense parts."""
    features = profiles.features[profiles.sparse[[item]].indices]
    names = [_in_words(*feature) for feature in features.iter_rows()]
    return names + [f"{column} alike" for column in profiles.parts["column"]]


def _in_words(column: str, label: str) -> str:
    """``genres Drama``, ``is_prime``, ``the word “game”``."""
    return f"the word “{label}”" if column == "text" else f"{column} {label}".rstrip()


def _shares(part: NDArray[np.float64], names: list[str]) -> str:
    """What an item of the history shares with the explained one, the strongest first."""
    strongest = [j for j in np.argsort(-np.abs(part), kind="stable")[:_NAMED] if part[j]]
    return f"shares {', '.join(names[j] for j in strongest)}"
