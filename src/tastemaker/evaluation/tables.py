"""Tables in plain text that fit the terminal; 100 columns where there is none."""

import math
import shutil
import textwrap
from collections.abc import Sequence

__all__ = ["lay_out", "number", "paragraph", "seconds"]


def _width() -> int:
    """Columns to write in; text wider than 120 is hard to read."""
    return min(120, max(60, shutil.get_terminal_size((100, 24)).columns))


def number(value: float) -> str:
    """Four significant digits at most, in the fewest columns; a dash for what could not be measured.

    >>> number(0.91234), number(12.3456), number(3141.59), number(float("nan"))
    ('0.9123', '12.35', '3,142', '–')
    """
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 100 else f"{value:,.0f}"


def seconds(value: float) -> str:
    """A time span.

    >>> seconds(0.0421), seconds(75.3)
    ('0.04 s', '75 s')
    """
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def paragraph(text: str, indent: str = "") -> str:
    """Text wrapped to the width, further lines indented."""
    return textwrap.fill(text, _width(), subsequent_indent=indent, break_on_hyphens=False)


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """A table with the header first; the first column left-aligned and repeated when the others need several parts.

    >>> print(lay_out([["model", "rmse"], ["mf", "0.91 *"]]))
    model  rmse
    mf     0.91 *
    """
    lengths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    parts, used, width = [[0]], lengths[0], _width()
    for column, length in enumerate(lengths[1:], start=1):
        if used + 2 + length > width and len(parts[-1]) > 1:
            parts.append([0])
            used = lengths[0]
        parts[-1].append(column)
        used += 2 + length
    return "\n\n".join(_part(rows, columns, lengths) for columns in parts)


def _part(rows: Sequence[Sequence[str]], columns: Sequence[int], lengths: Sequence[int]) -> str:
    lines = ("  ".join(row[c].ljust(lengths[c]) for c in columns).rstrip() for row in rows)
    return "\n".join(lines)
