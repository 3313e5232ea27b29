"""Progress of long work as a null object: the work reports, and whoever wants to show it installs a :class:`Progress`.

>>> with current().start("fit", total=3, unit="epoch") as task:
...     task.advance(1, rmse=0.93)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

__all__ = ["SILENT", "Progress", "Task", "current", "use"]


class Task:
    """One piece of work under way. This one shows nothing; the command line's shows a bar with time left."""

    def advance(self, steps: int = 1, **figures: float) -> None:
        """Say that ``steps`` more of the total are done, with the figures of the moment (``rmse=0.93``)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Progress:
    """Where tasks are reported. This one is silent."""

    def start(self, task: str, total: int, unit: str = "") -> Task:
        """Begin a task of ``total`` steps, each a ``unit`` (``"epoch"``, ``"byte"``)."""
        return Task()


SILENT = Progress()
_current = SILENT


def current() -> Progress:
    """The progress in use: silent unless :func:`use` installed another."""
    return _current


@contextmanager
def use(progress: Progress) -> Iterator[None]:
    """Report to ``progress`` within the ``with`` block."""
    global _current
    before, _current = _current, progress
    try:
        yield
    finally:
        _current = before
