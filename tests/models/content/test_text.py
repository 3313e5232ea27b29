"""Words as vectors, against the formulas."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

from tastemaker.errors import DataError
from tastemaker.models.content.text import encode, join_texts, text_rows, words_block
from tastemaker.models.content.words import cooccurrences, positive_pmi, word_vectors

TEXTS = [
    "deadly game for money",
    "a game of money and twists",
    "queen of the royal palace",
    "royal wedding at the palace, a royal scandal",
    "",
    "2049!",
]


def test_tfidf_by_hand() -> None:
    """Of 2 texts, "game" is in both (idf 1), the other words in one (idf 1 + ln(3/2)); "rome" twice: tf 1 + ln 2."""
    block = words_block(["Game: Rome, Rome", "the GAME"])
    assert block.labels == ["game", "rome"]
    rome = (1 + math.log(2)) * (1 + math.log(3 / 2))
    length = math.hypot(1, rome)
    assert block.rows.toarray() == pytest.approx(np.array([[1 / length, rome / length], [1, 0]]))


def test_what_is_a_word() -> None:
    assert words_block(["Amélie, R2D2 & the 3 of 2049: naïve_x! a"]).labels == ["amelie", "naive_x", "r2d2"]
    assert words_block(["오징어 게임", "がっこう"]).labels == ["がっこう", "게임", "오징어"]


def test_lsa_with_all_factors_has_the_cosines_of_tfidf() -> None:
    words = words_block(TEXTS).rows.toarray()
    lsa = text_rows(TEXTS, "lsa", 64, seed=0)
    assert lsa @ lsa.T == pytest.approx(words @ words.T, abs=1e-5)


def test_lsa_with_few_factors_joins_what_shares_company() -> None:
    """Two topics and two factors: texts of a topic coincide, those of the other are orthogonal."""
    rows = text_rows(TEXTS, "lsa", 2, seed=0)
    near = rows @ rows.T
    assert near[0, 1] == pytest.approx(1, abs=1e-4)
    assert near[2, 3] == pytest.approx(1, abs=1e-4)
    assert near[:2, 2:4] == pytest.approx(np.zeros((2, 2)), abs=1e-4)


def test_embeddings_know_words_by_their_company() -> None:
    """Series and saga never meet, but both stand beside Korean and drama; engine does not."""
    texts = ["korean drama series", "korean drama saga", "diesel engine oil", "diesel engine repair"] * 3
    rows = text_rows([*texts, "series", "saga", "engine"], "embeddings", 4, seed=0)
    series, saga, engine = rows[-3:]
    assert series @ saga > 0.9
    assert abs(series @ engine) < 0.1


@pytest.mark.parametrize("method", ["lsa", "embeddings"])
def test_dense_texts_have_length_1_or_say_nothing(method: str) -> None:
    rows = text_rows(TEXTS, method, 3, seed=0)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 1, 0, 0])
    assert (text_rows(TEXTS, method, 3, seed=0) == rows).all()


def test_cooccurrences_and_ppmi_against_counting() -> None:
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 6, size).astype(np.int32) for size in (9, 0, 1, 14, 5)]
    counts = np.zeros((6, 6))
    for document in documents:
        for i, word in enumerate(document):
            for j in range(max(0, i - 2), min(len(document), i + 3)):
                counts[word, document[j]] += i != j
    found = cooccurrences(documents, 6, window=2)
    assert (found.toarray() == counts).all()
    with np.errstate(divide="ignore"):
        pmi = np.log(counts * counts.sum() / np.outer(counts.sum(axis=1), counts.sum(axis=1)))
    assert positive_pmi(found).toarray() == pytest.approx(np.maximum(pmi, 0), abs=1e-6)


def test_word_vectors_are_the_svd_of_ppmi() -> None:
    """U √Σ, so that the Gram matrix of all factors is that of U Σ Uᵀ = (P Pᵀ)^(1/2)."""
    rng = np.random.default_rng(1)
    counts = csr_array(np.triu(rng.integers(0, 4, (8, 8))).astype(np.float32))
    counts = csr_array(counts + counts.T)
    left, scale, _ = np.linalg.svd(positive_pmi(counts).toarray())
    vectors = word_vectors(counts, 50, seed=0)
    assert vectors @ vectors.T == pytest.approx((left * scale) @ left.T, abs=1e-4)


@pytest.mark.parametrize("method", ["lsa", "embeddings"])
def test_texts_without_a_word(method: str) -> None:
    assert text_rows(["", "1 2"], method, 3, seed=0).shape == (2, 0)
    assert words_block(["", "1 2"]).labels == []


def test_columns_are_joined_and_missing_ones_left_out() -> None:
    table = pl.DataFrame({"title": ["Dark", None, None], "plot": ["A cave.", "A plane.", None]})
    assert join_texts(table, ["title", "plot"]) == ["Dark\nA cave.", "A plane.", ""]


def test_an_encoder_sees_texts_only_and_its_rows_are_normalised() -> None:
    def lengths(texts: list[str]) -> np.ndarray:
        assert "" not in texts
        return np.array([[3.0 * len(text), 4.0 * len(text)] for text in texts])

    assert encode(lengths, ["abc", "", "d"]) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0.6, 0.8]]))
    with pytest.raises(DataError, match="1 item vectors have NaN"):
        encode(lambda texts: np.full((len(texts), 2), np.nan), ["abc"])
