"""A small network over every pair of a query and an item, whose first layer is a sum of what each of the two adds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels, threads
from tastemaker._native.dot import PackedItems, operands

__all__ = ["PairLayers", "add_pair_scores", "add_pair_scores_numpy"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PairLayers:
    """The layers after the sum.

    Attributes:
        weights: float32[out, in] of each layer, the last one with one output.
        biases: float32[out] of each.
        relu: for the sum itself and then each layer: whether what is negative becomes 0.
    """

    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]
    relu: tuple[bool, ...]

    def __post_init__(self) -> None:
        outputs = [len(weight) for weight in self.weights]
        inputs = [weight.shape[1] for weight in self.weights]
        fits = inputs[1:] == outputs[:-1] and [len(bias) for bias in self.biases] == outputs
        if not fits or outputs[-1:] not in ([], [1]) or len(self.relu) != len(outputs) + 1:
            raise ValueError(
                f"layers must fit together and end in one output, got inputs {inputs}, outputs {outputs}, "
                f"{len(self.biases)} biases and {len(self.relu)} choices of relu"
            )

    def sizes(self, hidden: int) -> NDArray[np.int32]:
        """The width of the sum, ``hidden``, and of each layer's output."""
        if self.weights and self.weights[0].shape[1] != hidden:
            raise ValueError(
                f"the first layer takes {self.weights[0].shape[1]} numbers, queries and items have {hidden}"
            )
        if not self.weights and hidden != 1:
            raise ValueError(f"without layers queries and items must have one number each, got {hidden}")
        return np.array([hidden, *(len(weight) for weight in self.weights)], np.int32)


def add_pair_scores(
    queries: Float32, items: Float32 | PackedItems, layers: PairLayers, start: Float32
) -> Float32:
    """start[q, i] + the network's output for queries[q] + items[i].

    Args:
        queries: float32[q, hidden].
        items: float32[n, hidden], or the same packed once.
        layers: what comes after the sum.
        start: float32[q, n], C-contiguous; it is added to in place. NaN stays.

    Returns:
        ``start``. A query's row has the same bits alone or in any batch, with any number of threads.

    Raises:
        ValueError: if shapes do not fit.

    >>> layers = PairLayers((np.array([[1, 10]], np.float32),), (np.array([0.5], np.float32),), (True, False))
    >>> query, items = np.array([[1, -1]], np.float32), np.array([[0, 3], [2, 0]], np.float32)
    >>> add_pair_scores(query, items, layers, np.zeros((1, 2), np.float32))
    array([[21.5,  3.5]], dtype=float32)
    """
    queries, packed = operands(queries, items)
    sizes = layers.sizes(packed.factors)
    if start.shape != (len(queries), len(packed)):
        raise ValueError(
            f"start must have one row a query and one column an item, ({len(queries)}, {len(packed)}), got {start.shape}"
        )
    weights, biases = (_flat(arrays) for arrays in (layers.weights, layers.biases))
    relu = np.array(layers.relu, np.int32)
    kernels.add_pair_scores(queries, packed.panels, weights, biases, sizes, relu, threads(), start)
    return start


def add_pair_scores_numpy(
    queries: Float32, items: Float32 | PackedItems, layers: PairLayers, start: Float32
) -> Float32:
    """What :func:`add_pair_scores` computes, up to rounding, in float64."""
    vectors = PackedItems.of(items).items.astype(np.float64)
    hidden = queries.astype(np.float64)[:, None, :] + vectors
    hidden = np.maximum(hidden, 0) if layers.relu[0] else hidden
    for weight, bias, relu in zip(layers.weights, layers.biases, layers.relu[1:], strict=True):
        hidden = hidden @ weight.T + bias
        hidden = np.maximum(hidden, 0) if relu else hidden
    start += hidden[:, :, 0].astype(np.float32)
    return start


def _flat(arrays: tuple[Float32, ...]) -> Float32:
    return np.concatenate([np.empty(0, np.float32), *(array.ravel() for array in arrays)]).astype(np.float32)
