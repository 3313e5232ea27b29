import itertools

from hypothesis import given
from hypothesis import strategies as st

from tastemaker.service.web.templating import environment
from tastemaker.service.web.view import card_of, features_of, taste_of

KINDS = st.lists(st.sampled_from(["noir", "war", "space", "sea", "love", "law", "food", "ice"]), max_size=3)


@given(st.lists(KINDS, max_size=20))
def test_a_strip_of_taste_is_filled_to_the_end(history: list[list[str]]) -> None:
    strip = taste_of([{"genres": kinds} for kinds in history])
    if any(history):
        assert strip[0].start == 0
        assert strip[-1].start + strip[-1].width == 1000
        assert all(a.start + a.width == b.start for a, b in itertools.pairwise(strip))
    else:
        assert strip == []


def test_a_card_takes_what_the_catalogue_has() -> None:
    card = card_of("a/b?c", {"name": "Heat", "category": "noir|war", "year": 1995}, "al ice")
    assert (card.title, card.line) == ("Heat", "noir · war · 1995")
    assert card.href == "/item/a%2Fb%3Fc?user=al+ice"
    assert card_of("x", {}, None).title == "x"


def test_pictures_come_from_this_host_alone() -> None:
    assert card_of("x", {"picture": "/pictures/x.png"}, None).picture == "/pictures/x.png"
    for elsewhere in (
        "https://elsewhere.example/x.png",
        "//elsewhere.example/x.png",
        "/\\\\elsewhere.example/x.png",
    ):
        assert card_of("x", {"picture": elsewhere}, None).picture == ""


def test_features_are_shown_in_words() -> None:
    assert features_of({"title": "Heat", "cast": ["A", "B"], "price": 3.14159, "note": None}) == [
        ("Cast", "A, B"),
        ("Price", "3.142"),
    ]


def test_text_of_the_catalogue_is_escaped() -> None:
    card = card_of("<script>", {"title": "<script>alert(1)</script>"}, '"><script>')
    module = environment().get_template("parts.html").module
    drawn = str(module.card(card))  # type: ignore[attr-defined]
    assert "<script>" not in drawn
    assert "&lt;script&gt;alert(1)" in drawn
