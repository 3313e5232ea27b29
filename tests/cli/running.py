"""How tests run the command line in their own process."""

from collections.abc import Callable
from typing import NamedTuple


class Run(NamedTuple):
    """The exit code, and what was printed."""

    code: int
    out: str
    err: str


Cli = Callable[..., Run]
