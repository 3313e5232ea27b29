"""Word embeddings trained on the catalogue's own texts: co-occurrence counts, positive PMI, truncated SVD.

Levy & Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", NeurIPS 2014: skip-gram with negative
sampling factorises a matrix of pointwise mutual information; doing so openly needs no gradient and no file:

    PPMI(w, c) = max(0, log(#(w, c) · N / (#(w) · #(c))))  ≈  U Σ Vᵀ,   vector of word w = row w of U √Σ

where #(w, c) counts how often c stands within ``window`` words of w, and N is the sum of all counts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

__all__ = ["cooccurrences", "positive_pmi", "word_vectors"]


def cooccurrences(documents: Sequence[NDArray[np.int32]], n_words: int, window: int) -> csr_array:
    """How often two words stand within ``window`` words of each other.

    Args:
        documents: each a sequence of word numbers 0..n_words-1.
        n_words: the size of the vocabulary.
        window: how far apart, in words, two words may stand; never across documents.

    Returns:
        A symmetric words x words matrix of counts, float32.

    Example:
        >>> cooccurrences([np.array([0, 1, 2], np.int32)], 3, window=1).toarray().astype(int).tolist()
        [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    words = np.concatenate([np.empty(0, np.int32), *documents])
    document = np.repeat(np.arange(len(documents)), [len(d) for d in documents])

    def at(distance: int) -> csr_array:
        together = document[:-distance] == document[distance:]
        left, right = words[:-distance][together], words[distance:][together]
        ones = np.ones(len(left), dtype=np.float32)
        return coo_array((ones, (left, right)), shape=(n_words, n_words)).tocsr()

    counts = sum((at(distance) for distance in range(2, window + 1)), start=at(1))
    return csr_array(counts + counts.T)


def positive_pmi(counts: csr_array) -> csr_array:
    """Positive pointwise mutual information of co-occurrence counts; absent where it would be negative.

    Example:
        >>> positive_pmi(csr_array(np.array([[0.0, 2.0], [2.0, 0.0]]))).toarray().round(3)
        array([[0.   , 0.693],
               [0.693, 0.   ]], dtype=float32)
    """
    pairs = counts.tocoo()
    row, column = pairs.coords
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    pmi = np.log(pairs.data * total.sum() / (total[row] * total[column]))
    keep = pmi > 0
    values = pmi[keep].astype(np.float32)
    return csr_array((values, (row[keep], column[keep])), shape=counts.shape)


def word_vectors(counts: csr_array, factors: int, seed: int) -> NDArray[np.float32]:
    """U √Σ of the truncated SVD of the positive PMI: one row of at most ``factors`` numbers for each word."""
    from sklearn.utils.extmath import randomized_svd

    factors = min(factors, counts.shape[0])
    left, scale, _ = randomized_svd(positive_pmi(counts), n_components=factors, random_state=seed)
    return np.ascontiguousarray(left * np.sqrt(scale), dtype=np.float32)
