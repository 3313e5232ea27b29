"""BERT4Rec: a transformer that reads what somebody had both ways, and tells hidden items."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.checks import between
from tastemaker.models.neural.transformer import Transformer

__all__ = ["BERT4Rec"]


@dataclass(eq=False, kw_only=True)
class BERT4Rec(Transformer):
    """BERT for recommendation (Sun et al., CIKM 2019): score = <h, v>, h told at a hidden item put after the last one.

    The network is that of :class:`~tastemaker.models.neural.sasrec.SASRec`, but every item attends to all others. It is learned
    as a cloze: some items are hidden, and told from all that is left. Only they teach anything, so that it takes many more
    epochs than SASRec to come as far. See :class:`~tastemaker.models.neural.sequence_model.SequenceModel` for how it learns
    and whom it answers.

    Args:
        hide: the share of items that are hidden in a step.

    >>> from tastemaker import Dataset
    >>> days = {"user": [1, 1, 1, 2, 2, 3, 3], "item": ["egg", "pan", "plate", "pan", "plate", "egg", "pan"]}
    >>> data = Dataset.from_interactions(days)
    >>> model = BERT4Rec(factors=8, length=5, epochs=100, learning_rate=0.01, dropout=0.0).fit(data)
    >>> model.recommend(history=[["egg"], ["egg", "pan"]], k=1).lists()
    [['pan'], ['plate']]
    """

    name: ClassVar[str] = "bert4rec"
    causal: ClassVar[bool] = False
    widening: ClassVar[int] = 4

    hide: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        between("hide", self.hide, high=0.95, open_low=True)
