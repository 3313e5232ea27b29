"""Checks of hyper-parameters at construction, and of arguments: what was received, what was expected."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError

__all__ = ["a_dataset", "a_file", "between", "flag", "one_of", "stopping", "whole"]


def a_dataset(method: str, data: Any) -> None:
    """Refuse what is not a Dataset."""
    if not isinstance(data, Dataset):
        raise DataError(
            f"{method} expects a Dataset, got {type(data).__name__}; see Dataset.from_interactions"
        )


def a_file(name: str, value: Any) -> None:
    """Refuse what is neither None nor the place of a file."""
    if not (value is None or isinstance(value, Path) or (isinstance(value, str) and value)):
        raise ValueError(f"{name} must be the path of a file, or None for none, got {value!r}")


def whole(name: str, value: Any, low: int = 1) -> None:
    """Refuse what is not a whole number of at least ``low``.

    >>> whole("factors", 0)
    Traceback (most recent call last):
    ValueError: factors must be a whole number of at least 1, got 0
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")


def between(
    name: str, value: Any, low: float = 0.0, high: float = math.inf, *, open_low: bool = False
) -> None:
    """Refuse what is not a finite number from ``low`` to ``high`` (``open_low``: above ``low``)."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < low or value > high or (open_low and value == low):
        least = f"above {low:g}" if open_low else f"at least {low:g}"
        most = "" if math.isinf(high) else f" and at most {high:g}"
        raise ValueError(f"{name} must be a number {least}{most}, got {value!r}")


def flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def stopping(patience: Any, validation_fraction: Any, most: float = 0.5) -> None:
    """Refuse a ``patience`` that is no number of epochs (None: never stop early), or has nothing to tell the best epoch from.

    Args:
        patience: epochs without a better one after which a fit stops.
        validation_fraction: the share of the examples that is held out to tell the best one.
        most: what it may be at most.
    """
    between("validation_fraction", validation_fraction, high=most)
    if patience is None:
        return
    whole("patience", patience)
    if not validation_fraction:
        raise ValueError("patience needs a validation_fraction above 0, from which the best epoch is told")
