"""Parts of networks for training, whose every random number comes from a generator that is given."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tastemaker.models.neural.functions import dropped, relu_layers

__all__ = ["Dropout", "Norm", "Tower", "arrays_of", "linear", "normal_table"]


class Dropout(nn.Module):
    """Dropout that draws from :attr:`generator`, which the training loop sets, and never from torch's global one."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x with each number set to 0 with probability ``rate``, the others raised to keep the mean; in training only."""
        if not self.training or self.rate == 0:
            return x
        return dropped(x, self.rate, self.generator)


class Tower(Dropout):
    """Dense layers from ``sizes[0]`` inputs to ``sizes[-1]`` outputs, ReLU and then dropout after each."""

    def __init__(self, sizes: Sequence[int], generator: torch.Generator, dropout: float = 0.0) -> None:
        super().__init__(dropout)
        self.layers = nn.ModuleList(linear(inputs, outputs, generator) for inputs, outputs in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """float32[n, outputs] of float32[n, inputs]; dropout in training only."""
        parameters = list(self.parameters())  # a layer's weight, then its bias
        rate = self.rate if self.training else 0.0
        return relu_layers(x, parameters[::2], parameters[1::2], rate, self.generator)


class Norm(nn.Module):
    """Each row with mean 0 and variance 1, then scaled and shifted (Ba, Kiros and Hinton, 2016).

    As ``nn.LayerNorm``, whose gradients of scale and shift depend on the number of threads.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """float32[n, width]."""
        return torch.addcmul(self.shift, functional.layer_norm(x, x.shape[1:]), self.scale)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A dense layer with weights from U(±√(6 / (inputs + outputs))) (Glorot and Bengio, AISTATS 2010) and biases of 0."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    reach = (6 / (inputs + outputs)) ** 0.5
    with torch.no_grad():
        layer.weight.uniform_(-reach, reach, generator=generator)
        layer.bias.zero_()
    assert isinstance(layer, nn.Linear)
    return layer


def normal_table(rows: int, width: int, std: float, generator: torch.Generator) -> nn.Parameter:
    """An embedding table of numbers from N(0, std²)."""
    return nn.Parameter(torch.empty(rows, width).normal_(0, std, generator=generator))


def arrays_of(parts: nn.Module) -> tuple[tuple[NDArray[np.float32], ...], tuple[NDArray[np.float32], ...]]:
    """The weights and the biases of all dense layers in ``parts``, in order, as NumPy arrays for a State."""
    layers = [part for part in parts.modules() if isinstance(part, nn.Linear)]
    weights = tuple(layer.weight.detach().cpu().numpy().copy() for layer in layers)
    return weights, tuple(layer.bias.detach().cpu().numpy().copy() for layer in layers)
