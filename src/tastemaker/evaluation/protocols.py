"""From the name of a protocol to splits: what the command line and ``compare`` understand."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.row_splits import random_rows
from tastemaker.data.sessions import next_in_session
from tastemaker.data.splits import Split, global_time, holdout, k_fold, leave_last_out
from tastemaker.errors import DataError

__all__ = ["Data", "Protocol", "make_splits", "pair_codes", "splits_of"]

Protocol = Literal["holdout", "kfold", "leave-last", "time", "session", "rows", "predefined"]

Data = Dataset | Split | Sequence[Split]
"""What models are evaluated on: a Dataset to split, or splits made already."""


def make_splits(
    data: Dataset,
    protocol: Protocol = "holdout",
    *,
    folds: int = 5,
    seed: int = 0,
    ratings: float = 0.2,
    users: float = 1.0,
    gap: timedelta | None = None,
    each: bool = False,
) -> list[Split]:
    """Part ``data`` by a named protocol.

    ``holdout``
        a share ``ratings`` of the interactions of a share ``users`` of the users, at random.
    ``kfold``
        every interaction is tested on once, in ``folds`` random parts.
    ``leave-last``
        the last interaction of each user.
    ``time``
        the latest share ``ratings`` of all interactions: train on the past, test on the future.
    ``session``
        the last item of each session among the latest share ``ratings`` of all interactions (``each``: every item but the first),
        told from the items before it in the session by a model that learned from sessions before that time; a pause longer than
        ``gap`` ends a session. Nobody has an id. Build the Dataset with ``session_gap``: see
        :func:`tastemaker.data.sessions.next_in_session`.
    ``rows``
        a share ``ratings`` of the rows at random, whoever's they are: what click-through rates are mostly measured on.
    ``predefined``
        the splits that the publishers of a public data set made, found by the Dataset's name: those of them, from the first
        on, whose test parts share less than 1 % (of ml-100k u1 to u5).

    Raises:
        ValueError: for an unknown protocol or a number out of range.
        DataError: if the data cannot be split so (no times, too few interactions, no published split).

    >>> data = Dataset.from_interactions({"user": list("aaabbb"), "item": [1, 2, 3] * 2})
    >>> [len(split.test) for split in make_splits(data, "kfold", folds=3)]
    [2, 2, 2]
    """
    match protocol:
        case "holdout":
            return [holdout(data, ratings=ratings, users=users, seed=seed)]
        case "kfold":
            return k_fold(data, folds=folds, seed=seed)
        case "leave-last":
            return [leave_last_out(data)]
        case "time":
            return [global_time(data, fraction=ratings)]
        case "session":
            return [next_in_session(data, gap, fraction=ratings, each=each)]
        case "rows":
            return [random_rows(data, test=ratings, validation=0, seed=seed)]
        case "predefined":
            return _published(data)
    raise ValueError(f"protocol must be one of {', '.join(get_args(Protocol))}; got {protocol!r}")


def splits_of(data: Data, protocol: Protocol = "holdout", *, folds: int = 5, seed: int = 0) -> list[Split]:
    """The splits that were given, or those that the protocol makes of a Dataset.

    Raises:
        DataError: if there are no splits, they are of different data, or a test interaction is in its training part.
    """
    if isinstance(data, Dataset):
        splits = make_splits(data, protocol, folds=folds, seed=seed)
    else:
        splits = [data] if isinstance(data, Split) else list(data)
    if not splits or not all(isinstance(split, Split) for split in splits):
        raise DataError(f"expected a Dataset, a Split or a list of Splits, got {type(data).__name__}")
    first = splits[0].train
    for split in splits:
        for part in (split.train, split.test, split.history or split.test):
            if part.users is not first.users or part.items is not first.items:
                raise DataError(f"{split.name}: all parts of all splits must come from one Dataset")
        _refuse_leak(split)
    return splits


def _refuse_leak(split: Split) -> None:
    """Refuse a split whose test pairs are in the training part; impressions of one pair may well be in both."""
    if split.test.schema.clicks:
        return
    both = int(np.isin(pair_codes(split.test), pair_codes(split.train)).sum())
    if both:
        raise DataError(
            f"{split.name}: {both:,} of {len(split.test):,} test interactions are also in the training part; hold them out"
        )


def _published(data: Dataset) -> list[Split]:
    from tastemaker import datasets

    name = data.schema.name
    if name not in datasets.names():
        raise DataError(
            f"{name} has no published split; public data sets have: {', '.join(datasets.names())}. "
            "For your own folds make them with tastemaker.data.splits.predefined and evaluate on those"
        )
    if datasets.load(name).fingerprint != data.fingerprint:
        raise DataError(
            f"the published splits are of {name} as it was published, and this has been changed; evaluate on splits of "
            f"tastemaker.datasets.folds({name!r}) that were changed likewise"
        )
    chosen: list[Split] = []
    tested = np.empty(0, np.int64)
    for split in datasets.folds(name).values():
        pairs = pair_codes(split.test)
        if np.isin(pairs, tested).mean() < 0.01:  # u4 and u5 of ml-100k share three ratings
            chosen.append(split)
            tested = np.concatenate([tested, pairs])
    return chosen


def pair_codes(data: Dataset) -> NDArray[np.int64]:
    """int64[n]: one number for each pair of user and item."""
    return data.user.astype(np.int64) * data.n_items + data.item
