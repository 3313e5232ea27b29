"""The errors that this package raises on purpose. Each message says what was received, what was expected and what to do."""

__all__ = [
    "BundleError",
    "CannotAnswerError",
    "DataError",
    "FitError",
    "MissingExtraError",
    "NotFittedError",
    "StoreError",
    "StoreUnavailable",
    "TastemakerError",
    "require",
]

import importlib
from types import ModuleType


class TastemakerError(Exception):
    """The root of every error that this package raises on purpose."""


class DataError(TastemakerError, ValueError):
    """Input data that cannot be used: names the column, how many rows, and the first of them."""


class FitError(TastemakerError, ValueError):
    """Training that went wrong with these hyper-parameters; the message says which to change."""


class NotFittedError(TastemakerError, RuntimeError):
    """A question to a model that has not been fitted or loaded yet."""


class BundleError(TastemakerError, ValueError):
    """A saved model that is damaged, foreign or newer than this version can read."""


class CannotAnswerError(TastemakerError, ValueError):
    """A kind of question that this model cannot answer."""


class StoreError(TastemakerError):
    """A database that this version cannot work with; the message says what to do."""


class StoreUnavailable(StoreError):  # noqa: N818 - a state that passes, not a mistake
    """The database cannot be read or written now: disk full, read-only, locked, gone. What was asked has not been done."""


class MissingExtraError(TastemakerError, ImportError):
    """An optional part that is not installed; the message has the line that installs it."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional ``module``, or say which extra of this package brings it.

    Raises:
        MissingExtraError: if the module is not installed.

    >>> require("json", "plots").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{module} is not installed; it comes with: pip install 'tastemaker[{extra}]'"
        ) from error
