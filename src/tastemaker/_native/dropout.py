"""Dropout in training, with its NumPy twin: a key tells what is left out, so that nothing need be kept for the gradient."""

import numpy as np
from numpy.typing import NDArray

from tastemaker._native import kernels

__all__ = ["dropout", "dropout_numpy", "kept", "threshold"]

Float32 = NDArray[np.float32]


def dropout(x: Float32, key: int, rate: float) -> Float32:
    """float32[n]: x, of which a share of about ``rate`` becomes 0 and the rest is raised to keep the mean.

    With the same key the same places become 0: so it is its own gradient.

    Args:
        x: float32[n].
        key: below 2³²; says which.
        rate: below 1.
    """
    out = np.empty_like(x)
    kernels.dropout(x, key, threshold(rate), 1 / (1 - rate), out)
    return out


def dropout_numpy(x: Float32, key: int, rate: float) -> Float32:
    """What :func:`dropout` computes."""
    return np.where(kept(x.shape, key, rate), x * np.float32(1 / (1 - rate)), np.float32(0))


def threshold(rate: float) -> int:
    """What 31 random bits must be below for a number to be kept."""
    return round((1 - rate) * (1 << 31))


def kept(shape: tuple[int, ...], key: int, rate: float) -> NDArray[np.bool_]:
    """Which numbers are not dropped: a counter, scrambled as by the finalizer of MurmurHash3, tells."""
    n = np.uint32(key) + np.arange(np.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B9)
    n = (n ^ (n >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    n = (n ^ (n >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    found: NDArray[np.bool_] = (n ^ (n >> np.uint32(16))) >> np.uint32(1) < threshold(rate)
    return found.reshape(shape)
