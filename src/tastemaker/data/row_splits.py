"""Hold out rows whoever's they are, or all that is known of some items.

Like those in :mod:`tastemaker.data.splits`, these keep users, items and their codes, and the same seed gives the same split.
"""

from dataclasses import replace

import numpy as np

from tastemaker.data.dataset import Dataset
from tastemaker.data.splits import Split, check_share, percent, predefined
from tastemaker.errors import DataError

__all__ = ["cold_items", "random_rows"]


def random_rows(data: Dataset, test: float = 0.1, validation: float = 0.1, seed: int = 0) -> Split:
    """Draw rows at random for the test and for validation, whoever's they are: what click-through rates are mostly measured on.

    Args:
        data: what to part.
        test: share of the rows that is tested on, in (0, 1).
        validation: share of the rows to choose settings by; 0 for no such part.
        seed: of the draw.

    Raises:
        ValueError: for a share out of range.
        DataError: if there are too few rows for one in every part.

    >>> data = Dataset.from_impressions({"user": list("aaabbbccdd"), "item": [1] * 10, "label": [0, 1] * 5})
    >>> split = random_rows(data, test=0.2, validation=0.1)
    >>> len(split.train), len(split.validation), len(split.test)
    (7, 1, 2)
    """
    check_share("test", test)
    if validation:
        check_share("validation", validation)
    if test + validation >= 1:
        raise ValueError(f"test and validation must leave something, got {test:g} and {validation:g}")
    n_test, n_validation = round(test * len(data)), round(validation * len(data))
    if n_test == 0 or (validation and n_validation == 0) or n_test + n_validation >= len(data):
        raise DataError(f"{data.schema.name}: {len(data):,} rows are too few to part so")
    part = np.zeros(len(data), np.int8)
    drawn = np.random.default_rng(seed).permutation(len(data))
    part[drawn[:n_test]] = 1
    part[drawn[n_test : n_test + n_validation]] = 2
    description = f"{percent(test)} of the rows, at random" + (
        f"; another {percent(validation)} for validation" if validation else ""
    )
    split = predefined(data, part == 1, part == 0, name="random rows", description=description)
    return replace(split, seed=seed, validation=data.select(part == 2) if validation else None)


def cold_items(data: Dataset, share: float = 0.1, seed: int = 0) -> Split:
    """Take all interactions with a share of the items away from training: nobody is known to have had them.

    The test asks which of these cold items each user will like, so that lists are chosen from them alone
    (:attr:`tastemaker.data.splits.Split.candidates`). Only what is known about the items themselves can tell.

    Args:
        data: what to part.
        share: of the items that have interactions, in (0, 1); rounded, and at least one.
        seed: of the draw.

    Raises:
        ValueError: for a share outside (0, 1].
        DataError: if one of the parts would be empty.

    >>> data = Dataset.from_interactions({"user": list("aaabbb"), "item": [1, 2, 3] * 2})
    >>> split = cold_items(data, share=0.3)
    >>> len(split.candidates), bool(np.isin(split.train.item, split.candidates).any()), len(split.test)
    (1, False, 2)
    """
    check_share("share", share)
    there = np.unique(data.item)
    chosen = np.random.default_rng(seed).choice(there, max(1, round(share * len(there))), replace=False)
    candidates = np.sort(chosen).astype(np.int32)
    description = f"all interactions with {percent(share)} of the items ({len(candidates):,}), at random"
    split = predefined(data, np.isin(data.item, candidates), name="cold items", description=description)
    return replace(split, seed=seed, candidates=candidates)
