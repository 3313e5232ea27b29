"""The highest inner products among very many items, nearly all of them, in a fraction of the time: inverted lists, by faiss.

Items are parted by k-means; of the parts, those are searched whose centers have the highest inner products with the query. Where
a condition leaves so few items that lists would come out short, or poor, the exact search over what it leaves is quick, and
takes over.
"""

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker.errors import require

__all__ = ["Approximate", "installed"]

_PROBED = 64  # parts that are searched of those of a million items; in proportion to their number
_ROWS_A_PART = 64  # vectors that k-means sees
_SELECTIVE = 0.02  # below this share of the items, the exact search over them takes over


def installed() -> bool:
    """Whether the extra ``ann`` is there."""
    return importlib.util.find_spec("faiss") is not None


@dataclass(frozen=True, eq=False)
class Approximate:
    """An index of item vectors.

    Attributes:
        index: of faiss, by item code.
        parts: how many there are.
        n_items: how many item codes there are, those without a vector included.
    """

    index: Any
    parts: int
    n_items: int

    @classmethod
    def of(cls, vectors: NDArray[np.float32], seed: int = 0) -> "Approximate":
        """The index of vectors; those with a NaN are left out.

        Raises:
            MissingExtraError: without the extra ``ann``.
        """
        faiss = require("faiss", "ann")
        codes = np.flatnonzero(~np.isnan(vectors).any(axis=1))
        parts = max(1, int(math.sqrt(len(codes))))
        chosen = np.random.default_rng(seed).permutation(codes)[: _ROWS_A_PART * parts]
        quantizer = faiss.IndexFlatIP(vectors.shape[1])
        index = faiss.IndexIVFFlat(quantizer, vectors.shape[1], parts, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.niter, index.cp.min_points_per_centroid = seed, 10, 1
        index.train(np.ascontiguousarray(vectors[np.sort(chosen)]))
        index.add_with_ids(np.ascontiguousarray(vectors[codes]), codes.astype(np.int64))
        return cls(index, parts, len(vectors))

    def suits(self, mask: NDArray[np.bool_] | None) -> bool:
        """Whether enough items meet a condition."""
        return mask is None or int(np.count_nonzero(mask)) >= _SELECTIVE * self.n_items

    def top(
        self, queries: NDArray[np.float32], depth: int, mask: NDArray[np.bool_] | None
    ) -> list[NDArray[np.int32]]:
        """For each query the codes of about ``depth`` items with the highest inner products, falling.

        Args:
            queries: float32[q, f].
            depth: how many.
            mask: bool[items], which may be found; None for all. A condition that leaves fewer has more parts searched.
        """
        faiss = require("faiss", "ann")
        share = 1.0 if mask is None else max(np.count_nonzero(mask) / self.n_items, _SELECTIVE)
        probed = math.ceil(_PROBED * max(1.0, self.parts / 1000) / math.sqrt(share))
        settings = faiss.SearchParametersIVF(nprobe=min(self.parts, probed))
        if mask is not None:
            settings.sel = selector = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            assert selector is not None  # held until the search is done
        faiss.omp_set_num_threads(1)
        _, found = self.index.search(np.ascontiguousarray(queries), depth, params=settings)
        return [row[row >= 0].astype(np.int32) for row in found]
