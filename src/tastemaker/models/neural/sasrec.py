"""SASRec: a transformer that reads what somebody had from left to right, and tells the next item."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.neural.transformer import Transformer

__all__ = ["SASRec"]


@dataclass(eq=False, kw_only=True)
class SASRec(Transformer):
    """Self-attentive sequential recommendation (Kang and McAuley, ICDM 2018): score = <h, v>, h told at the last item.

        x_j = √factors · v(item j) + place(j)
        x ← x + W·attention(norm(x)),  x ← x + W₂·max(0, W₁·norm(x)),  block after block
        h = norm(x_last)

    An item attends to itself and those before it, so that one pass learns from every item of a history at once. Places are
    counted from the end. The vector of an item is the same where it is read and where it is told. With the loss of the paper,
    a single negative, it is far below what it can do; the default weighs all items (Klenitskiy and Vasilev, RecSys 2023). See
    :class:`~tastemaker.models.neural.sequence_model.SequenceModel` for how it learns and whom it answers.

    >>> from tastemaker import Dataset
    >>> days = {"user": [1, 1, 1, 2, 2, 3, 3], "item": ["egg", "pan", "plate", "pan", "plate", "egg", "pan"]}
    >>> model = SASRec(factors=8, length=5, epochs=60, learning_rate=0.01, dropout=0.0).fit(Dataset.from_interactions(days))
    >>> model.recommend(history=[["egg"], ["egg", "pan"]], k=1).lists()
    [['pan'], ['plate']]
    """

    name: ClassVar[str] = "sasrec"
    causal: ClassVar[bool] = True
    widening: ClassVar[int] = 1
