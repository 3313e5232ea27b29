"""Bars for the page on the system: from numbers to places on a drawing of 600 x 180."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bar", "Chart", "chart", "paired_chart"]

_WIDTH, _FLOOR, _TALL = 600, 156, 132


@dataclass(frozen=True)
class Bar:
    """A bar, in the units of the drawing, and what it says."""

    label: str
    text: str
    tick: str
    x: float
    y: float
    width: float
    height: float
    middle: float
    kind: str = "bar"


@dataclass(frozen=True)
class Chart:
    """Bars under a heading; ``most`` is what the tallest stands for, ``paired`` the names of the two kinds of bars."""

    title: str
    note: str
    bars: Sequence[Bar]
    most: str
    empty: str
    paired: tuple[str, str] | None = None


def chart(
    title: str,
    note: str,
    values: Sequence[float],
    labels: Sequence[str],
    *,
    unit: str,
    ticks: Sequence[str] | None = None,
    empty: str = "Nothing yet.",
) -> Chart:
    """One bar a value.

    >>> chart("Lists", "", [1, 2], ["then", "now"], unit="lists").bars[1].height
    132.0
    """
    top = max(values, default=0)
    if top <= 0:
        return Chart(title, note, [], "", empty)
    step = _WIDTH / len(values)
    bars = [
        _bar(
            i * step + step * 0.12,
            step * 0.76,
            value / top,
            label,
            f"{value:g} {unit}",
            tick,
            i * step + step / 2,
        )
        for i, (value, label, tick) in enumerate(zip(values, labels, ticks or labels, strict=True))
    ]
    return Chart(title, note, bars, f"{top:g} {unit}", empty)


def paired_chart(
    title: str,
    note: str,
    values: Sequence[tuple[float, float]],
    labels: Sequence[str],
    names: tuple[str, str],
    *,
    empty: str = "Nothing yet.",
) -> Chart:
    """Two bars a label, both shares: what it is about, and what to compare it with."""
    top = max((max(pair) for pair in values), default=0)
    if not values or sum(pair[0] for pair in values) <= 0:
        return Chart(title, note, [], "", empty, names)
    step, bars = _WIDTH / len(values), []
    for i, (pair, label) in enumerate(zip(values, labels, strict=True)):
        for j, (value, kind) in enumerate(zip(pair, ("bar", "base"), strict=True)):
            x = i * step + step * (0.1 + 0.42 * j)
            tick = "" if j else label
            text = f"{names[j]}, {100 * value:.1f}%"
            bars.append(_bar(x, step * 0.38, value / top, label, text, tick, i * step + step / 2, kind))
    return Chart(title, note, bars, f"{100 * top:.0f}%", empty, names)


def _bar(
    x: float, width: float, height: float, label: str, text: str, tick: str, middle: float, kind: str = "bar"
) -> Bar:
    tall = round(_TALL * height, 1)
    return Bar(
        label, text, tick, round(x, 1), round(_FLOOR - tall, 1), round(width, 1), tall, round(middle, 1), kind
    )
