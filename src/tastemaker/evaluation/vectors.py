"""What makes two items alike, for the diversity of lists: their features, or else the people who had them."""

import numpy as np
import scipy.sparse as sp

from tastemaker.data.dataset import Dataset
from tastemaker.models.content.features import feature_block, infer_kinds

__all__ = ["item_vectors"]

_KINDS = ("categorical", "multi", "flag")
_USERS = 2000  # as many users tell two items apart well; all of them would not fit into memory for large data


def item_vectors(train: Dataset) -> tuple[sp.csr_array, str]:
    """float32[n_items, f] and where it comes from, in words.

    One 0/1 column for each value of the categorical, multi-valued and yes/no features; every feature counts the same. Without
    such features, one column for each of up to 2,000 training users: who had the item. The users are drawn with a fixed seed.

    >>> data = Dataset.from_interactions({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]})
    >>> vectors, source = item_vectors(data)
    >>> source, vectors.toarray().tolist()
    ('training users in common', [[1.0, 1.0], [1.0, 0.0]])
    """
    table = train.item_features
    kinds = {name: kind for name, kind in infer_kinds(table, {}).items() if kind in _KINDS}
    blocks = [feature_block(table[name], kind, buckets=1, edges=None).rows for name, kind in kinds.items()]
    if blocks:
        return sp.csr_array(sp.hstack(blocks)), ", ".join(kinds)
    users = np.unique(train.user)
    few = len(users) > _USERS
    if few:
        users = np.sort(np.random.default_rng(0).choice(users, _USERS, replace=False))
    vectors = sp.csr_array(train.matrix()[users].T)
    vectors.data[:] = 1
    return (
        vectors,
        f"{_USERS:,} training users in common, drawn at random" if few else "training users in common",
    )
