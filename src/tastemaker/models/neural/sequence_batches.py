"""What an epoch shows of sequences: windows of a bounded length, packed end to end. Imported only by a fit."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tastemaker.models.neural.sequences import Sequences
from tastemaker.models.neural.training import generator_for

__all__ = ["Cloze", "NextItems", "cut"]

Int64 = NDArray[np.int64]


def cut(begin: Int64, end: Int64, length: int, phase: Int64) -> tuple[Int64, Int64]:
    """Ranges of at most ``length``, which together are begin[j]:end[j] for every j.

    Args:
        begin, end: int64[n], ranges that are not empty.
        length: of a piece, at most.
        phase: int64[n], from 1 to ``length``: the first piece of a range that is longer than ``length`` has this length.

    Returns:
        int64[pieces] twice, where each begins and where it ends; the pieces of a range in order.

    >>> [part.tolist() for part in cut(np.array([0, 7]), np.array([7, 9]), 3, np.array([2, 1]))]
    [[0, 2, 5, 7], [2, 5, 7, 9]]
    """
    size = end - begin
    first = np.where(size > length, phase, size)
    pieces = 1 + -(-(size - first) // length)
    number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    stop = np.repeat(begin + first, pieces) + number * length
    start = np.where(number > 0, stop - length, np.repeat(begin, pieces))
    return start, np.minimum(stop, np.repeat(end, pieces))


class _Windows:
    """Windows of the sequences in an order of their own in every epoch, a number of them a batch.

    Long sequences are cut anew in every epoch, so that all of them is seen, and every place in a window by many items.
    """

    _overlap: int  # how many items a window has before the first one to be cut

    def __init__(self, sequences: Sequences, length: int, batch_size: int, device: torch.device) -> None:
        long = sequences.lengths > self._overlap
        self._begin, self._end = sequences.indptr[:-1][long] + self._overlap, sequences.indptr[1:][long]
        self._items = torch.from_numpy(sequences.items.astype(np.int64)).to(device)
        self._length, self._batch_size, self._device = length, batch_size, device
        self._generator = generator_for(0, 0, device)
        self._start, self._stop = self._begin, self._end

    def start_epoch(self, generator: torch.Generator) -> None:
        """Cut and permute."""
        self._generator = generator
        phase = torch.randint(
            1, self._length + 1, (len(self._begin),), generator=generator, device=self._device
        )
        start, stop = cut(self._begin, self._end, self._length, phase.cpu().numpy())
        order = torch.randperm(len(start), generator=generator, device=self._device).cpu().numpy()
        self._start, self._stop = start[order], stop[order]

    def __len__(self) -> int:
        return -(-len(self._start) // self._batch_size)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Where in all items each token of a batch stands (int64[tokens]), and how long its windows are; the longest first."""
        for at in range(0, len(self._start), self._batch_size):
            start, stop = (ends[at : at + self._batch_size] for ends in (self._start, self._stop))
            order = np.argsort(start - stop, kind="stable")
            start, lengths = start[order], (stop - start)[order]
            place = np.arange(lengths.sum()) + np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
            yield torch.from_numpy(place).to(self._device), torch.from_numpy(lengths)


class NextItems(_Windows):
    """For models that read from left to right: every item but a sequence's first is to be told, once an epoch, from those before.

    A batch is

        items    int64[tokens], windows end to end
        lengths  int64[windows], on the CPU, the longest first
        targets  int64[tokens], the item that came next

    Args:
        sequences: to learn from; one without a second item teaches nothing.
        length: items in a window, at most.
        batch_size: windows in a batch.
        device: where the items stay.

    >>> one = Sequences(np.array([0, 4]), np.array([5, 6, 7, 8], np.int32))
    >>> batches = NextItems(one, length=3, batch_size=2, device=torch.device("cpu"))
    >>> batches.start_epoch(torch.Generator().manual_seed(0))
    >>> [[part.tolist() for part in batch] for batch in batches]
    [[[5, 6, 7], [3], [6, 7, 8]]]
    """

    _overlap = 1

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for place, lengths in self._batches():
            yield self._items[place - 1], lengths, self._items[place]


class Cloze(_Windows):
    """For models that read both ways: some items are hidden, and are to be told from all others (Sun et al., CIKM 2019).

    A batch is as that of :class:`NextItems`, with targets for the hidden items alone, and one tensor more:

        places   int64[hidden], which tokens these are

    Args:
        sequences: to learn from.
        length: items in a window, at most.
        batch_size: windows in a batch.
        share: of the items that are hidden, each with this probability; one a window at least.
        mask: what stands in place of a hidden item.
        device: where the items stay.
    """

    _overlap = 0

    def __init__(
        self,
        sequences: Sequences,
        length: int,
        batch_size: int,
        share: float,
        mask: int,
        device: torch.device,
    ) -> None:
        super().__init__(sequences, length, batch_size, device)
        self._share, self._mask = share, mask

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for place, lengths in self._batches():
            items = self._items[place]
            point = torch.rand(len(place), generator=self._generator, device=self._device)
            lowest = torch.segment_reduce(point, "min", lengths=lengths.to(self._device))
            least = lowest.repeat_interleave(lengths.to(self._device))
            places = ((point < self._share) | (point == least)).nonzero().squeeze(1)
            yield items.index_fill(0, places, self._mask), lengths, items[places], places
