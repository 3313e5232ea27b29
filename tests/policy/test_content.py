"""Which items are alike by content: against the cosine by the book."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from tastemaker.policy.content import ContentIndex

FILMS = pl.DataFrame(
    {
        "title": ["the last ship", "the first ship", "a garden", "garden of stone", None],
        "genres": [["space", "war"], ["space"], ["nature"], ["nature", "war"], None],
        "year": [1990, 1995, 2001, 2020, None],
        "new": [False, False, True, True, None],
    }
)


def by_the_book(rows: list[list[str]], query: list[str]) -> np.ndarray:
    """Cosines of bags weighted by ln(N / n), of tokens that at least two have."""
    counts = Counter(token for row in rows for token in row)
    weight = {t: np.log(len(rows) / n) if n > 1 else 0.0 for t, n in counts.items()}

    def length(bag: list[str]) -> float:
        return float(np.sqrt(sum(weight.get(t, 0) ** 2 for t in bag)))

    cosine = [sum(weight.get(t, 0) ** 2 for t in set(row) & set(query)) for row in rows]
    return np.array([c / (length(row) * length(query) or 1) for c, row in zip(cosine, rows, strict=True)])


def test_the_cosine_by_the_book() -> None:
    rng = np.random.default_rng(0)
    rows = [[f"t{t}" for t in rng.choice(12, 4, replace=False)] for _ in range(30)]
    query = ["t1", "t2", "t5", "unknown"]
    index = ContentIndex.of(pl.DataFrame({"tags": rows}))
    found = index.nearest(pl.DataFrame({"tags": [query]}), 5)
    expected = by_the_book(rows, query)
    best = np.argsort(-expected, kind="stable")[:5]
    assert found.codes[0].tolist() == best.tolist()
    assert found.weights[0] == pytest.approx(expected[best] / expected[best].sum(), rel=1e-5)


def test_words_numbers_flags_and_lists_count() -> None:
    index = ContentIndex.of(FILMS)

    def nearest(**features: object) -> list[int]:
        return index.nearest(pl.DataFrame([features]), 5).codes[0].tolist()

    assert set(nearest(title="Ship ahoy")) == {0, 1, -1}, "words, in any case"
    assert set(nearest(genres=["war"])) == {0, 3, -1}
    assert set(nearest(new=True)) == {2, 3, -1}
    assert nearest(title="unheard of") == [-1] * 5
    assert nearest(colour="blue") == [-1] * 5, "a column that the catalogue does not have"
    assert nearest(year="not a number", genres=["war"])[0] in (0, 3)


def test_only_what_may_be_found_is() -> None:
    keep = np.array([False, True, True, True, True])
    found = ContentIndex.of(FILMS).nearest(pl.DataFrame({"genres": [["space", "war"]]}), 5, keep)
    assert set(found.codes[0].tolist()) == {1, 3, -1}
    assert found.weights[0].sum() == pytest.approx(1)


def test_a_catalogue_without_features() -> None:
    found = ContentIndex.of(pl.DataFrame()).nearest(pl.DataFrame({"genres": [["space"]]}), 3)
    assert found.codes.tolist() == [[-1, -1, -1]]
