"""Item profiles from words: titles and descriptions as TF-IDF, latent semantic analysis or word embeddings.

An item's text is all its text columns, one after another. Words are lower-case runs of two or more letters and
digits, at least one of them a letter, without accents and without English stop words. For a language written
without spaces, give an encoder instead.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args
from unicodedata import normalize

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from tastemaker.errors import DataError
from tastemaker.models.content.features import Block, normalize_rows
from tastemaker.models.content.vectors import unit_rows
from tastemaker.models.content.words import cooccurrences, word_vectors

__all__ = ["Encoder", "TextMethod", "encode", "join_texts", "text_rows", "words_block"]

Encoder = Callable[[list[str]], ArrayLike]
TextMethod = Literal["tfidf", "lsa", "embeddings"]
METHODS: tuple[TextMethod, ...] = get_args(TextMethod)

_WORD = r"(?u)\b(?=\w*[^\W\d_])\w{2,}\b"
_ACCENTS = re.compile("[\u0300-\u036f]")
_WINDOW = 5


def join_texts(table: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """One text for each item: its text columns joined by line ends, missing ones left out.

    Example:
        >>> table = pl.DataFrame({"title": ["Squid Game", "Dark"], "plot": ["A deadly game.", None]})
        >>> join_texts(table, ["title", "plot"])
        ['Squid Game\\nA deadly game.', 'Dark']
    """
    texts = [pl.col(column).cast(pl.String) for column in columns]
    return table.select(pl.concat_str(texts, separator="\n", ignore_nulls=True)).to_series().to_list()


def _vectorizer() -> Any:
    """TF-IDF with tf = 1 + log count, idf = 1 + log((1 + n) / (1 + document frequency)), rows of length 1."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        token_pattern=_WORD,
        preprocessor=_plain,
        stop_words="english",
        sublinear_tf=True,
        dtype=np.float32,
    )


def _plain(text: str) -> str:
    """Lower case without accents; the voicing marks of kana and the parts of Hangul stay together."""
    if text.isascii():
        return text.lower()
    return normalize("NFC", _ACCENTS.sub("", normalize("NFKD", text.lower())))


def _fit(texts: list[str]) -> tuple[Any, csr_array]:
    """The fitted vectoriser and its texts x words matrix, which has no columns where no text has a word."""
    vectorizer = _vectorizer()
    analyze = vectorizer.build_analyzer()
    if not any(analyze(text) for text in texts):
        return vectorizer, csr_array(np.zeros((len(texts), 0), dtype=np.float32))
    return vectorizer, csr_array(vectorizer.fit_transform(texts))


def words_block(texts: list[str]) -> Block:
    """TF-IDF weights of the words of each text, as rows of length 1.

    Example:
        >>> words_block(["deadly game", "The Crown"]).labels
        ['crown', 'deadly', 'game']
    """
    vectorizer, rows = _fit(texts)
    labels = list(vectorizer.get_feature_names_out()) if rows.shape[1] else []
    return Block("text", normalize_rows(rows), labels)


def text_rows(texts: list[str], method: TextMethod, factors: int, seed: int) -> NDArray[np.float32]:
    """A dense vector for each text.

    ``"lsa"`` is the truncated SVD of the TF-IDF matrix (Deerwester et al. 1990); ``"embeddings"`` the mean of the
    text's word vectors, weighted by TF-IDF.

    Args:
        texts: one for each item.
        method: ``"lsa"`` or ``"embeddings"``.
        factors: how many numbers a vector has at most.
        seed: of the randomised SVD.

    Returns:
        float32[texts, factors or fewer], rows of length 1, or 0 for a text without words.
    """
    vectorizer, rows = _fit(texts)
    if rows.shape[1] == 0:
        return np.zeros((len(texts), 0), dtype=np.float32)
    if method == "lsa":
        from sklearn.decomposition import TruncatedSVD

        svd = TruncatedSVD(n_components=min(factors, *rows.shape), random_state=seed)
        return unit_rows(svd.fit_transform(rows))
    analyze, number = vectorizer.build_analyzer(), vectorizer.vocabulary_
    documents = [np.array([number[word] for word in analyze(text)], dtype=np.int32) for text in texts]
    vectors = word_vectors(cooccurrences(documents, rows.shape[1], _WINDOW), factors, seed)
    return unit_rows(rows @ vectors)


def encode(encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
    """The caller's own vectors of the texts that are not empty; zeros for the others.

    Raises:
        DataError: if the encoder does not return one row of finite numbers for each text.
    """
    filled = [row for row, text in enumerate(texts) if text.strip()]
    if not filled:
        return np.zeros((len(texts), 0), dtype=np.float32)
    vectors = np.asarray(encoder([texts[row] for row in filled]), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(filled):
        raise DataError(
            f"the encoder returned an array of shape {vectors.shape} for {len(filled)} texts; it must return "
            "one vector for each text, all of one length"
        )
    rows = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    rows[filled] = vectors
    return unit_rows(rows)
