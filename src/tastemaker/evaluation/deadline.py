"""Work that reports progress, broken off when its time is over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tastemaker.progress import Progress, Task, current, use

__all__ = ["OutOfTime", "until"]


class OutOfTime(Exception):  # noqa: N818  # it ends the work, and is no error
    """The time is over."""


class _Clock(Progress):
    """Passes progress on, and ends the work when the time is over."""

    def __init__(self, shown: Progress, deadline: float) -> None:
        self._shown, self._deadline = shown, deadline

    def start(self, task: str, total: int, unit: str = "") -> Task:
        return _ClockTask(self._shown.start(task, total, unit), self._deadline)


class _ClockTask(Task):
    def __init__(self, shown: Task, deadline: float) -> None:
        self._shown, self._deadline = shown, deadline

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._shown.advance(steps, **figures)
        if time.monotonic() > self._deadline:
            raise OutOfTime

    def __exit__(self, *outcome: Any) -> None:
        self._shown.__exit__(*outcome)


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Break off what reports progress within when the time is over."""
    with use(_Clock(current(), deadline)):
        yield
