"""The lecture's ranking examples, worked by hand."""

from fractions import Fraction

import pytest

from tastemaker.metrics import Evidence, RankedLists, parse


def shown(*rows: list[int]) -> Evidence:
    """Lists given as the lecture gives them: 1 for a recommendation that was right, 0 for one that was not."""
    lists = [list(range(len(row))) for row in rows]
    relevant = [{slot for slot, right in enumerate(row) if right} for row in rows]
    return Evidence(lists=RankedLists.from_lists(lists, relevant))


@pytest.mark.parametrize(("k", "expected"), [(3, Fraction(1, 3)), (6, Fraction(3, 6))])
def test_precision_at_k_of_the_product_list(k: int, expected: Fraction) -> None:
    products = shown([1, 0, 0, 0, 1, 1, 0])
    assert parse(f"precision@{k}")(products).value == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0, 0, 1], Fraction(1, 9)),
        ([0, 1, 1], Fraction(7, 18)),  # (1/3)(1/2 + 2/3); the slide writes .38
        ([1, 1, 1], Fraction(1)),
        ([1, 0, 0], Fraction(1, 3)),
        ([0, 1, 0], Fraction(1, 6)),  # the slide writes .15
    ],
)
def test_average_precision_at_3(row: list[int], expected: Fraction) -> None:
    assert parse("map@3")(shown(row)).value == pytest.approx(float(expected), abs=1e-12)


def test_mean_average_precision_at_3_of_three_users_with_one_hit_each() -> None:
    # (1/3 + 1/6 + 1/9) / 3 = 11/54 = .2037. The slide gets .197: it writes 1/6 as .15 (and, above, 7/18 = .389 as .38).
    measured = parse("map@3")(shown([1, 0, 0], [0, 1, 0], [0, 0, 1]))
    assert measured.value == pytest.approx(11 / 54, abs=1e-12)
    assert measured.per_user == pytest.approx([1 / 3, 1 / 6, 1 / 9], abs=1e-12)


def test_dividing_by_the_relevant_items_instead_has_its_own_name() -> None:
    # One relevant item each, so min(k, relevant) = 1 where the lecture divides by 3.
    one_hit = shown([1, 0, 0], [0, 1, 0], [0, 0, 1])
    assert parse("map_min@3")(one_hit).value == pytest.approx(11 / 18, abs=1e-12)
