from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastemaker.service.web.art import PALETTES, cover, draw


@given(st.sampled_from(sorted(PALETTES)), st.integers(0, 2**32 - 1))
def test_a_poster_is_sound_svg_of_its_palette_alone(name: str, number: int) -> None:
    picture = draw(name, number)
    root = ElementTree.fromstring(picture)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    palette = PALETTES[name]
    used = {node.get(kind) for node in root.iter() for kind in ("fill", "stroke")} - {None, "none"}
    assert used <= {palette.ground, *palette.colours}
    assert len(used) >= 3
    assert {node.tag.split("}")[1] for node in root.iter()} <= {
        "svg",
        "g",
        "clipPath",
        "rect",
        "circle",
        "path",
    }


@given(st.text(max_size=50), st.text(max_size=20))
def test_the_same_item_has_the_same_cover_and_nothing_of_its_text_is_in_it(item: str, mood: str) -> None:
    found = cover(item, mood)
    assert found == cover(item, mood)
    name, number = found.path.removeprefix("/art/").removesuffix(".svg").split("-")
    assert name in PALETTES
    assert draw(name, int(number, 16)) == draw(name, int(number, 16))


def test_titles_can_be_read_on_every_ground() -> None:
    for palette in PALETTES.values():
        assert contrast(palette.ground, "#ffffff" if palette.ink == "light" else "#14171a") >= 3  # large text


def contrast(first: str, second: str) -> float:
    """The contrast ratio of the Web Content Accessibility Guidelines."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_an_unknown_palette_is_an_error() -> None:
    with pytest.raises(KeyError):
        draw("nonsense", 1)
