"""Models that read what somebody had in its order: what SASRec, BERT4Rec and GRU4Rec share."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError, require
from tastemaker.models.base import DotProduct, Fitted, State
from tastemaker.models.checks import a_file, between, flag, one_of, stopping, whole
from tastemaker.models.neural.sequences import Sequences
from tastemaker.models.neural.specs import FeatureSpec, as_spec
from tastemaker.models.similarity import cosines
from tastemaker.progress import Progress

__all__ = ["LOSSES", "SequenceModel", "SequenceState", "in_parts"]

Float32 = NDArray[np.float32]

LOSSES = ("auto", "softmax", "sampled", "gbce")
_TOKENS = 1 << 13  # items of sequences that are read together


@dataclass(frozen=True, eq=False, kw_only=True)
class SequenceState(State):
    """What every one of these models learns.

    Attributes:
        items: float32[items, factors], the vectors of the items, both where they are read and where they are told.
        known: bool[items], whether the item has a vector.
    """

    items: Float32
    known: NDArray[np.bool_]

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        """int32[items]: the row of ``items`` that an item is read by; −1 for one without a vector."""
        return np.where(self.known, np.arange(len(self.known), dtype=np.int32), np.int32(-1))


S = TypeVar("S", bound=SequenceState)


@dataclass(eq=False, kw_only=True)
class SequenceModel(DotProduct[S], Generic[S]):
    """A model of the next item: score = <h, v>, with h made of a history by a network and v the vector of an item.

    A known user is read from the stored history, anyone else from the history that is given, in its order: a session needs no id.
    Every interaction counts as taken, whatever its rating or weight; one of weight 0 is left out. Without times, the order of the
    rows is the order; interactions of equal time stay in the order of the rows.

    With ``loss="softmax"`` every item is weighed against the right one at every place; ``"sampled"`` takes ``negatives`` of them,
    drawn anew in each step, with a correction for how often each is drawn; ``"gbce"`` is logistic loss against such negatives,
    with the positive's part tempered so that scores are not overconfident (Petrov and Macdonald, RecSys 2023).
    ``"auto"`` is the full softmax up to 50,000 items and sampled above.

    Args:
        factors: length of the vectors.
        length: how many of the most recent items are looked at.
        loss: ``"auto"``, ``"softmax"``, ``"sampled"`` or ``"gbce"``.
        negatives: items drawn in a step, for the losses that draw.
        calibration: t of ``"gbce"``: 0 leaves its logistic loss as it is, 1 undoes all that drawing negatives adds to the scores.
        dropout: the share of numbers that a step leaves out after every part of the network.
        features: of the items, whose vectors are added to those of the items; None looks at the ids alone.
        epochs: passes over the interactions.
        learning_rate: of Adam.
        decay: whether it falls in equal steps from epoch to epoch, to 1 / epochs of it in the last.
        batch_size: histories in a step.
        validation_fraction: the share of the histories whose last item is held out to tell the best epoch; 0 keeps the last.
        patience: stop after so many epochs that were not better.
        seed: of the first weights, the order and all that is drawn.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        checkpoint: a file; a fit that was cut off goes on from it, to the same bits on a CPU. Not saved with the model.
    """

    score_kind: ClassVar[str] = "score"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "A new user is read from the history in the query; a new item has a vector if there are features, else it has no "
        "score and is never recommended."
    )
    state_type: ClassVar[type[State]] = SequenceState

    factors: int = 64
    length: int = 200
    loss: str = "auto"
    negatives: int = 256
    calibration: float = 0.75
    dropout: float = 0.2
    features: FeatureSpec | str | None = None
    epochs: int = 20
    learning_rate: float = 1e-3
    decay: bool = False
    batch_size: int = 32
    validation_fraction: float = 0.0
    patience: int | None = None
    seed: int = 0
    device: str = "auto"
    checkpoint: str | Path | None = None

    def __post_init__(self) -> None:
        self.features = as_spec(self.features)
        for name in ("factors", "negatives", "epochs", "batch_size"):
            whole(name, getattr(self, name))
        whole("length", self.length, low=2)
        whole("seed", self.seed, low=0)
        one_of("loss", self.loss, LOSSES)
        between("learning_rate", self.learning_rate, open_low=True)
        between("calibration", self.calibration, high=1.0)
        flag("decay", self.decay)
        between("dropout", self.dropout, high=0.95)
        stopping(self.patience, self.validation_fraction, most=1.0)
        a_file("checkpoint", self.checkpoint)

    def saved_parameters(self) -> dict[str, Any]:
        """The features as text; not the place of the checkpoint."""
        spec = self.features.to_json() if isinstance(self.features, FeatureSpec) else None
        return self.parameters() | {"features": spec, "checkpoint": None}

    @abstractmethod
    def _learn(self, data: Dataset, progress: Progress) -> S:
        """Fit the network; torch is there."""

    @abstractmethod
    def _read(self, fitted: Fitted[S], sequences: Sequences) -> Float32:
        """float32[n, factors]: h of each sequence, none of which is empty; the same bits alone or with any others."""

    @property
    def read_length(self) -> int:
        """How many items of a history are read."""
        return self.length

    def _fit(self, data: Dataset, progress: Progress) -> S:
        counts = data.weight > 0
        if not counts.any():
            raise DataError(
                f"{self.name} needs interactions with a weight above 0, and {data.schema.name} has none"
            )
        require("torch", "neural")
        return self._learn(data if counts.all() else data.select(counts), progress)

    def _query_vectors(self, fitted: Fitted[S], queries: Queries) -> Float32:
        """NaN for a query of which the model knows no item."""
        sequences = Sequences.of(queries.history, fitted.state.rows, self.read_length)
        vectors = np.full((len(queries), self.factors), np.nan, np.float32)
        some = np.flatnonzero(sequences.lengths)
        for part in in_parts(sequences.lengths[some], _TOKENS):
            vectors[some[part]] = self._read(fitted, sequences.take(some[part]))
        return vectors

    def _item_vectors(self, fitted: Fitted[S]) -> Float32:
        state = fitted.state
        return np.where(state.known[:, None], state.items, np.float32(np.nan))

    def _diversity_vectors(self, fitted: Fitted[S]) -> Float32:
        return fitted.state.items

    def _similar(self, fitted: Fitted[S], seeds: NDArray[np.int32]) -> Float32:
        """Cosine of the item vectors; NaN without one."""
        return cosines(fitted.state.items, seeds)


def in_parts(lengths: NDArray[np.integer], tokens: int) -> list[slice]:
    """Runs of sequences that have about ``tokens`` items together, one sequence at least.

    >>> in_parts(np.array([5, 5, 5, 30, 1]), 10)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    parts: list[slice] = []
    begin, held = 0, 0
    for at, length in enumerate(lengths.tolist()):
        if held and held + length > tokens:
            parts.append(slice(begin, at))
            begin, held = at, 0
        held += length
    return [*parts, slice(begin, len(lengths))] if len(lengths) else parts
