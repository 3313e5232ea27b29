"""Dot products of queries and items: every score is one sequential chain of multiply-adds, alone or in any batch."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads

__all__ = ["PackedItems", "dot_scores", "dot_scores_numpy"]

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PackedItems:
    """Item factors with their copy in the kernel's layout, made on first use; keep one with a fitted model.

    Attributes:
        items: float32, items x factors.
        bias: float32, one an item, added to its scores; ``None`` adds nothing.
    """

    items: Float32
    bias: Float32 | None = None

    def __post_init__(self) -> None:
        items = _matrix("items", self.items)
        object.__setattr__(self, "items", items)
        if self.bias is not None:
            bias = np.ascontiguousarray(self.bias, np.float32)
            if bias.shape != (len(items),):
                raise ValueError(
                    f"bias must have one value for each of the {len(items)} items, got shape {bias.shape}"
                )
            object.__setattr__(self, "bias", bias)

    @classmethod
    def of(cls, items: "Float32 | PackedItems") -> "PackedItems":
        """The items themselves when they are packed already."""
        return items if isinstance(items, PackedItems) else cls(items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def factors(self) -> int:
        """The length of an item's vector."""
        return int(self.items.shape[1])

    @cached_property
    def panels(self) -> Float32:
        """All items in the kernel's layout."""
        return self.pack(self.codes)

    def pack(self, codes: Int32) -> Float32:
        """The items named by ``codes``: panels x factors x items of a panel, the last panel filled up with zeros."""
        width = kernels.panel
        panels = _aligned((-(-len(codes) // width), self.factors, width))
        kernels.pack_items(self.items, codes, panels, threads())
        return panels

    def offsets(self, codes: Int32 | None = None, mask: NDArray[np.bool_] | None = None) -> Float32:
        """What each lane of the panels starts from: the item's bias or 0.

        NaN in lanes that fill up, and for items out of the mask.
        """
        if codes is not None:
            return _padded(np.zeros(len(codes), np.float32) if self.bias is None else self.bias[codes])
        if mask is None:
            return self._offsets
        barred = np.subtract(
            mask.view(np.uint8), 1, dtype=np.uint32
        )  # every bit is set, which is NaN, or none
        return _padded((self._offsets[: len(self)].view(np.uint32) | barred).view(np.float32))

    @cached_property
    def codes(self) -> Int32:
        """The items in the lanes of :attr:`panels`."""
        return np.arange(len(self), dtype=np.int32)

    @cached_property
    def _offsets(self) -> Float32:
        return _padded(np.zeros(len(self), np.float32) if self.bias is None else self.bias)


def dot_scores(queries: Float32, items: Float32 | PackedItems) -> Float32:
    """Score every item for every query: ``bias[i] + <queries[q], items[i]>``.

    Args:
        queries: float32, queries x factors.
        items: float32, items x factors; or the same packed once, with a bias if there is one.

    Returns:
        float32, queries x items. A query's row has the same bits alone or in any batch, with any number of threads.

    Raises:
        ValueError: if the factors of the two sides differ.

    >>> dot_scores(np.array([[1, 2]], np.float32), np.array([[3, 4], [5, 6]], np.float32))
    array([[11., 17.]], dtype=float32)
    """
    queries, packed = operands(queries, items)
    scores = np.empty((len(queries), len(packed)), np.float32)
    if scores.size:
        kernels.dot_scores(queries, packed.panels, packed.offsets(), scores, threads())
    return scores


def dot_scores_numpy(queries: Float32, items: Float32 | PackedItems) -> Float32:
    """What :func:`dot_scores` computes, up to rounding: a float64 product, rounded once."""
    packed = PackedItems.of(items)
    scores = queries.astype(np.float64) @ packed.items.T.astype(np.float64)
    if packed.bias is not None:
        scores += packed.bias
    return scores.astype(np.float32)


def operands(queries: Float32, items: Float32 | PackedItems) -> tuple[Float32, PackedItems]:
    """Both sides of the product, checked and in the kernel's types."""
    packed = PackedItems.of(items)
    queries = _matrix("queries", queries)
    if queries.shape[1] != packed.factors:
        raise ValueError(
            f"queries have {queries.shape[1]} factors and items {packed.factors}; they must agree"
        )
    return queries, packed


def _padded(values: NDArray[np.floating]) -> Float32:
    """One value a lane; NaN in the lanes that fill up the last panel."""
    padded = np.empty(-(-len(values) // kernels.panel) * kernels.panel, np.float32)
    padded[: len(values)], padded[len(values) :] = values, np.nan
    return padded


def _matrix(name: str, values: Float32) -> Float32:
    matrix = np.ascontiguousarray(values, np.float32)
    if matrix.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix with one row of factors each, got shape {np.shape(values)}"
        )
    return matrix


def _aligned(shape: tuple[int, ...], alignment: int = 64) -> Float32:
    """An uninitialised array that starts on a cache line, so that no load of a panel straddles two."""
    size = int(np.prod(shape)) * 4
    raw = np.empty(size + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + size].view(np.float32).reshape(shape)
