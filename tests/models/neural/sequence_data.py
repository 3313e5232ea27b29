"""Small networks over sequences with weights that are not near 0, and what they tell."""

from typing import TypeVar

import numpy as np
import torch

from tastemaker.models.neural.sequence_training import SequenceNetwork
from tastemaker.models.neural.sequences import Sequences

N = TypeVar("N", bound=SequenceNetwork)


def shaken(network: N) -> N:
    """The network with random numbers added to all of its weights, ready to answer."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0, 0.4, generator=generator))
    return network.eval()


def sequences_of(*rows: list[int]) -> Sequences:
    return Sequences(np.cumsum([0, *map(len, rows)]), np.array([i for row in rows for i in row], np.int32))


def told(network: SequenceNetwork, *rows: list[int]) -> list[torch.Tensor]:
    """What the network in torch tells at each item of each sequence."""
    items = torch.tensor([i for row in rows for i in row])
    lengths = torch.tensor([len(row) for row in rows])
    with torch.no_grad():
        return list(torch.split(network(network.items(), items, lengths), lengths.tolist()))
