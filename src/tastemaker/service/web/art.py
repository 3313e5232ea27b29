"""Covers for items without a picture: posters of a few flat shapes, always the same for the same item.

The colours go by the item's mood (its first genre or category), the composition by its id. No text of the catalogue enters the
drawing.
"""

import hashlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PALETTES", "Cover", "cover", "draw", "palette_of"]

_WIDTH, _HEIGHT, _PLATE = 240, 360, 226  # the title stands on the plate, below


@dataclass(frozen=True)
class Palette:
    """A ground, on which the title stands, and three colours that go with it."""

    ground: str
    colours: tuple[str, str, str]
    sign: str  # what stands for it in a chart

    @property
    def ink(self) -> str:
        """``light`` or ``dark``: what can be read on the ground."""
        red, green, blue = (int(self.ground[i : i + 2], 16) for i in (1, 3, 5))
        return "dark" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "light"


def _palette(ground: str, first: str, second: str, third: str, sign: str = "") -> Palette:
    return Palette(ground, (first, second, third), sign or first)


PALETTES: dict[str, Palette] = {
    "night": _palette("#14213d", "#fca311", "#e5383b", "#f1efe7", "#2b4a8f"),
    "rose": _palette("#f4b6bd", "#d1224a", "#5a1a3c", "#fff3ea", "#e8527a"),
    "lemon": _palette("#ffd23f", "#ee4266", "#0f7a5a", "#fff8dc", "#f2b91d"),
    "orbit": _palette("#0b1a3a", "#59c3c3", "#ff5d8f", "#e0fbfc", "#2fa6a6"),
    "moss": _palette("#24594a", "#d9ecd0", "#f4a259", "#0c2a22", "#3f8f6d"),
    "clay": _palette("#8a2f1f", "#e9c46a", "#f5ead3", "#43150d", "#a8452c"),
    "coal": _palette("#16151a", "#c1121f", "#6b7385", "#ece8e1", "#c1121f"),
    "dusk": _palette("#355070", "#eaac8b", "#b56576", "#f7ede2", "#7a8fc0"),
    "plum": _palette("#3b1846", "#22c3a6", "#f9c80e", "#f3d9fa", "#8a3fa6"),
    "play": _palette("#0a9be3", "#ffe14d", "#ff5a5f", "#ffffff", "#0a9be3"),
    "flare": _palette("#c81d11", "#ffba08", "#1c0a12", "#fff3e0", "#f0602d"),
    "sand": _palette("#e4d5bd", "#22333b", "#b5532b", "#fbf6ec", "#b39b72"),
    "mint": _palette("#bfe3d0", "#14594d", "#ef6f53", "#fdf9ee", "#86c9a8"),
    "steel": _palette("#26323b", "#c9ad8c", "#7fa3b5", "#efe6da", "#6f8896"),
}
_MOODS = {
    "thriller": "night", "romance": "rose", "comedy": "lemon", "science fiction": "orbit", "sci-fi": "orbit",
    "documentary": "moss", "history": "clay", "horror": "coal", "drama": "dusk", "fantasy": "plum", "kids": "play",
    "children's": "play", "action": "flare", "crime": "steel", "animation": "mint", "adventure": "sand",
}  # fmt: skip


@dataclass(frozen=True)
class Cover:
    """Where an item's poster is, and in what the title can be written on it."""

    path: str
    ink: str


def cover(item_id: str, mood: str = "") -> Cover:
    """The cover of an item.

    >>> cover("squid-game", "thriller")
    Cover(path='/art/night-10f124c0.svg', ink='light')
    """
    name = palette_of(mood or item_id)
    return Cover(f"/art/{name}-{_number(item_id):08x}.svg", PALETTES[name].ink)


def palette_of(mood: str) -> str:
    """The name of the palette of a mood: chosen for common ones, else always the same for the same word."""
    names = list(PALETTES)
    return _MOODS.get(mood.lower()) or names[_number(mood) % len(names)]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())


def draw(name: str, number: int) -> str:
    """The poster as SVG.

    Args:
        name: of the palette.
        number: what the composition goes by.

    Raises:
        KeyError: if there is no such palette.
    """
    palette, rng = PALETTES[name], random.Random(number)
    colours = list(palette.colours)
    rng.shuffle(colours)
    sky = rng.choice([palette.ground, palette.ground, colours[2]])
    pen = _Pen(rng, palette.ground, colours, sky)
    motif = _MOTIFS[number % len(_MOTIFS)]
    shapes = "".join(motif(pen))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<clipPath id="c"><rect width="{_WIDTH}" height="{_PLATE}"/></clipPath>'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{palette.ground}"/>'
        f'<g clip-path="url(#c)">{pen.box(0, 0, _WIDTH, _PLATE, sky) if sky != palette.ground else ""}{shapes}</g></svg>'
    )


@dataclass(frozen=True)
class _Pen:
    """What a motif draws with: chance, the ground, the colours in an order of their own, and what is behind it."""

    rng: random.Random
    ground: str
    colours: list[str]
    sky: str

    def circle(self, x: float, y: float, r: float, fill: str) -> str:
        return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}" fill="{fill}"/>'

    def ring(self, x: float, y: float, r: float, width: float, stroke: str) -> str:
        return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}" fill="none" stroke="{stroke}" stroke-width="{width:.0f}"/>'

    def box(self, x: float, y: float, w: float, h: float, fill: str) -> str:
        return f'<rect x="{x:.0f}" y="{y:.0f}" width="{w:.0f}" height="{h:.0f}" fill="{fill}"/>'

    def path(self, d: str, fill: str) -> str:
        return f'<path d="{d}" fill="{fill}"/>'


def _horizon(pen: _Pen) -> list[str]:
    """A low sun over bands of land."""
    x, level = pen.rng.choice([70, 120, 170]), pen.rng.randint(128, 160)
    bands = [pen.box(0, level + 24 * i, 240, 14, pen.ground if i % 2 else pen.colours[1]) for i in range(5)]
    return [pen.circle(x, level - 18, pen.rng.randint(58, 84), pen.colours[0]), *bands]


def _corner(pen: _Pen) -> list[str]:
    """Rings that spread from a corner."""
    x, y = pen.rng.choice([0, 240]), pen.rng.choice([0, _PLATE])
    return [pen.circle(x, y, r, [*pen.colours, pen.ground][i % 4]) for i, r in enumerate(range(224, 20, -34))]


def _tiles(pen: _Pen) -> list[str]:
    """Quarter circles, turned each its own way."""
    made = []
    for row in range(3):
        for column in range(3):
            x, y, a, b = column * 80, row * 76, *pen.rng.sample([*pen.colours, pen.ground], 2)
            made.append(pen.box(x, y, 80, 76, a))
            if pen.rng.random() < 0.25:
                made.append(pen.circle(x + 40, y + 38, 26, b))
                continue
            cx, cy = x + pen.rng.choice([0, 80]), y + pen.rng.choice([0, 76])
            sx, sy = (80 if cx == x else -80), (76 if cy == y else -76)
            sweep = int((sx > 0) == (sy > 0))
            made.append(pen.path(f"M{cx} {cy}h{sx}A80 76 0 0 {sweep} {cx} {cy + sy}z", b))
    return made


def _slant(pen: _Pen) -> list[str]:
    """Slanting stripes, and a disc before them."""
    step, lean = pen.rng.randint(22, 34), pen.rng.choice([-90, 90])
    stripes = [
        pen.path(f"M{x} 0h{step // 2}l{lean} {_PLATE}h{-(step // 2)}z", pen.colours[1])
        for x in range(-120, 360, step)
    ]
    r = pen.rng.randint(46, 66)
    return [*stripes, pen.circle(pen.rng.randint(80, 160), pen.rng.randint(80, 130), r, pen.colours[0])]


def _sea(pen: _Pen) -> list[str]:
    """Waves, one behind the other, under a moon."""
    made = [
        pen.circle(pen.rng.randint(50, 190), pen.rng.randint(42, 70), pen.rng.randint(24, 38), pen.colours[0])
    ]
    for i in range(4):
        y, start = 96 + i * 34, -pen.rng.randint(0, 80)
        crests = "q20 -26 40 0t40 0" * 5
        made.append(
            pen.path(f"M{start} {y}{crests}V{_PLATE}H{start}z", [*pen.colours[1:], pen.ground][i % 3])
        )
    return made


def _peaks(pen: _Pen) -> list[str]:
    """Mountains with one lit side."""
    made = [pen.circle(pen.rng.randint(40, 200), pen.rng.randint(40, 80), 26, pen.colours[0])]
    for i in range(3):
        x, top = pen.rng.randint(20, 220), 60 + i * 34
        spread = _PLATE - top
        made.append(pen.path(f"M{x} {top}L{x - spread} {_PLATE}H{x}z", pen.colours[1]))
        made.append(
            pen.path(f"M{x} {top}L{x + spread} {_PLATE}H{x}z", pen.ground if i % 2 else pen.colours[2])
        )
    return made


def _orbits(pen: _Pen) -> list[str]:
    """A planet, its orbits, its moons."""
    x, y, made = 120, 112, []
    for i, r in enumerate((100, 78, 56)):
        made.append(pen.ring(x, y, r, 3, pen.colours[i % 2 + 1]))
        angle = pen.rng.uniform(0, 2 * math.pi)
        made.append(
            pen.circle(x + r * math.cos(angle), y + r * math.sin(angle), 7 + 3 * i, pen.colours[(i + 2) % 3])
        )
    return [*made, pen.circle(x, y, 32, pen.colours[0])]


def _rays(pen: _Pen) -> list[str]:
    """Rays from a point, and what sends them."""
    x, y, count = pen.rng.choice([60, 120, 180]), pen.rng.choice([90, _PLATE]), 14
    made = []
    for i in range(0, 2 * count, 2):
        a, b = (2 * math.pi * (i + j) / (2 * count) for j in (0, 1))
        points = " ".join(f"L{x + 400 * math.cos(t):.0f} {y + 400 * math.sin(t):.0f}" for t in (a, b))
        made.append(pen.path(f"M{x} {y}{points}z", pen.colours[1]))
    return [*made, pen.circle(x, y, 54, pen.colours[0]), pen.circle(x, y, 26, pen.ground)]


def _doors(pen: _Pen) -> list[str]:
    """Arched doors, one within the other."""
    colours = [*pen.colours, pen.ground]
    x, made = pen.rng.choice([96, 120, 144]), []
    for i, half in enumerate((92, 70, 48, 26)):
        top = 24 + i * 30
        made.append(
            pen.path(
                f"M{x - half} {_PLATE}V{top + half}A{half} {half} 0 0 1 {x + half} {top + half}V{_PLATE}z",
                colours[i],
            )
        )
    return made


def _skyline(pen: _Pen) -> list[str]:
    """A row of towers with a few lights on."""
    made, x = [pen.circle(pen.rng.randint(50, 190), 70, 42, pen.colours[0])], 0
    while x < 240:
        width, top = pen.rng.choice([26, 34, 44]), pen.rng.randint(60, 170)
        walls = pen.rng.choice([c for c in (pen.ground, pen.colours[1]) if c != pen.sky])
        made.append(pen.box(x, top, width, _PLATE, walls))
        for y in range(top + 10, _PLATE - 8, 20):
            if pen.rng.random() < 0.6:
                lit = pen.colours[2] if walls != pen.colours[2] else pen.colours[0]
                made.append(pen.box(x + pen.rng.choice([6, width - 14]), y, 8, 10, lit))
        x += width
    return made


def _eye(pen: _Pen) -> list[str]:
    """An eye that looks at you."""
    y, iris = pen.rng.randint(100, 120), pen.rng.randint(42, 52)
    look = pen.rng.randint(-24, 24)
    return [
        pen.path(f"M8 {y}Q120 {y - 140} 232 {y}Q120 {y + 140} 8 {y}z", pen.colours[1]),
        pen.circle(120 + look, y, iris, pen.colours[0]),
        pen.circle(120 + look, y, iris // 2, pen.ground),
        pen.circle(120 + look + 12, y - 14, 8, pen.colours[2]),
    ]


def _halves(pen: _Pen) -> list[str]:
    """A disc cut in two, its halves slipped along the cut."""
    r, slip = pen.rng.randint(74, 92), pen.rng.choice([-38, -24, 24, 38])
    y, made = 112, []
    for half, colour in ((0, pen.colours[0]), (1, pen.colours[1])):
        at = y + (slip if half else -slip) / 2
        made.append(pen.path(f"M120 {at - r:.0f}A{r} {r} 0 0 {half} 120 {at + r:.0f}z", colour))
    return [*made, pen.circle(120, y, pen.rng.randint(14, 26), pen.colours[2])]


_MOTIFS: tuple[Callable[[_Pen], list[str]], ...] = (
    _horizon, _corner, _tiles, _slant, _sea, _peaks, _orbits, _rays, _doors, _skyline, _eye, _halves,
)  # fmt: skip
