"""Progress on the terminal: a bar with the figures of the moment and the time left, gone when the work is done."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from tastemaker.progress import Progress, Task

__all__ = ["TerminalProgress"]


class _BarTask(Task):
    """One bar."""

    def __init__(self, bars: Bars, name: str, total: int, unit: str) -> None:
        self._bars = bars
        self._id = bars.add_task(name, total=total or None, figures=unit)
        self._unit = unit

    def advance(self, steps: int = 1, **figures: float) -> None:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        self._bars.update(self._id, advance=steps, figures=shown or self._unit)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.remove_task(self._id)


class TerminalProgress(Progress):
    """Bars on standard error; nothing when that is no terminal. A context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )

    def start(self, task: str, total: int, unit: str = "") -> Task:
        """A new bar."""
        return _BarTask(self._bars, task, total, unit)

    def __enter__(self) -> Self:
        if self._bars.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars.console.is_terminal:
            self._bars.stop()
