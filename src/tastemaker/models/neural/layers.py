"""How a fitted network computes: dense layers in NumPy and our kernel, a row's bits the same alone or in any batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.dot import PackedItems, dot_scores
from tastemaker._native.mlp import PairLayers, add_pair_scores

__all__ = ["Dense", "Mlp", "PairMlp"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Dense:
    """x → W·x + b, then max(0, ·) if ``relu``.

    Attributes:
        weight: float32[out, in].
        bias: float32[out].
        relu: whether what is negative becomes 0.

    >>> layer = Dense(np.array([[1, -1]], np.float32), np.array([0.5], np.float32), relu=True)
    >>> layer(np.array([[2, 1], [1, 2]], np.float32))
    array([[1.5],
           [0. ]], dtype=float32)
    """

    weight: Float32
    bias: Float32
    relu: bool

    @cached_property
    def _packed(self) -> PackedItems:
        return PackedItems(self.weight, self.bias)

    def __call__(self, x: Float32) -> Float32:
        """float32[n, out] of float32[n, in]."""
        out = dot_scores(x, self._packed)
        return np.maximum(out, 0, out=out) if self.relu else out


@dataclass(frozen=True, eq=False)
class Mlp:
    """Dense layers one after another.

    In a State it is two fields of type ``tuple[NDArray[np.float32], ...]``: :attr:`weights` and :attr:`biases`; :meth:`of`
    brings it back.
    """

    layers: tuple[Dense, ...]

    @classmethod
    def of(cls, weights: Sequence[Float32], biases: Sequence[Float32], *, relu_last: bool = False) -> "Mlp":
        """Layers with ReLU between them, and after the last if ``relu_last``."""
        last = len(weights) - 1
        pairs = enumerate(zip(weights, biases, strict=True))
        return cls(tuple(Dense(w, b, relu=n < last or relu_last) for n, (w, b) in pairs))

    @property
    def weights(self) -> tuple[Float32, ...]:
        """The weight of each layer."""
        return tuple(layer.weight for layer in self.layers)

    @property
    def biases(self) -> tuple[Float32, ...]:
        """The bias of each layer."""
        return tuple(layer.bias for layer in self.layers)

    def __call__(self, x: Float32) -> Float32:
        """float32[n, out] of float32[n, in]; without layers x itself."""
        for layer in self.layers:
            x = layer(x)
        return x


@dataclass(frozen=True, eq=False)
class PairMlp:
    """A network over [query vector | item vector] with one number at the end, for every query with every item.

    The first layer is a sum, W₁·[q | i] = W₁q·q + W₁i·i, and each part is computed once a query and once an item.

    Attributes:
        first: the first layer; its input is the query's vector and then the item's.
        rest: the layers after it; the last one gives one number.
        query_width: the length of a query's vector.
    """

    first: Dense
    rest: Mlp
    query_width: int

    @classmethod
    def of(cls, mlp: Mlp, query_width: int) -> "PairMlp":
        """The same network, cut where the query's vector ends."""
        return cls(mlp.layers[0], Mlp(mlp.layers[1:]), query_width)

    @cached_property
    def _query_part(self) -> Dense:
        return Dense(self.first.weight[:, : self.query_width], self.first.bias, relu=False)

    @cached_property
    def _item_part(self) -> Dense:
        nothing = np.zeros_like(self.first.bias)
        return Dense(self.first.weight[:, self.query_width :], nothing, relu=False)

    def queries(self, x: Float32) -> Float32:
        """float32[q, hidden] of float32[q, query_width]: what a query adds to the first layer, the bias included."""
        return self._query_part(x)

    def items(self, x: Float32) -> Float32:
        """float32[n, hidden] of the items' vectors: what an item adds to the first layer. Keep it with the fitted model."""
        return self._item_part(x)

    def score(self, queries: Float32, items: Float32 | PackedItems, start: Float32 | None = None) -> Float32:
        """float32[q, n]: the output for every query with every item.

        Args:
            queries: float32[q, hidden], from :meth:`queries`.
            items: float32[n, hidden], from :meth:`items`; packed once if they are used again.
            start: float32[q, n] that the output is added to, in place; NaN stays NaN. None: zeros.
        """
        if start is None:
            start = np.zeros((len(queries), len(items)), np.float32)
        return add_pair_scores(queries, items, self._after, start)

    def pairs(self, queries: Float32, items: Float32) -> Float32:
        """float32[n]: the output for row ``j`` of ``queries`` with row ``j`` of ``items``, the same bits as in :meth:`score`."""
        nobody = np.zeros((1, len(self.first.bias)), np.float32)
        scores: Float32 = self.score(nobody, queries + items)[0]
        return scores

    @cached_property
    def _after(self) -> PairLayers:
        relu = (self.first.relu, *(layer.relu for layer in self.rest.layers))
        return PairLayers(self.rest.weights, self.rest.biases, relu)
