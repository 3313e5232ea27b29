"""DeepFM: a factorization machine and a deep network over the same embeddings."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.checks import between, whole
from tastemaker.models.neural.click_terms import Parts
from tastemaker.models.neural.ctr import DeepClickModel, hidden_sizes

__all__ = ["DeepFM"]


@dataclass(eq=False, kw_only=True)
class DeepFM(DeepClickModel):
    """DeepFM (Guo, Tang, Ye, Li and He, IJCAI 2017): low and high orders of interaction from one table of embeddings.

        P(click) = σ(b + Σ_f w_f x_f + Σ_{f<g} <e_f, e_g> + MLP([e_1 | … | e_n | numbers]))

    The first two sums are a factorization machine, the last is a network of rectified layers; no crosses need to be made by hand.
    Numbers go into the network as they are. See :class:`tastemaker.models.neural.ctr.ClickModel` for the other hyper-parameters
    and what it learns from.

    Args:
        factors: length of the embeddings.
        hidden: widths of the hidden layers.
        dropout: the share of hidden units that a step of training leaves out.

    >>> from tastemaker.data.dataset import Dataset
    >>> taken = {"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]}
    >>> model = DeepFM(factors=4, hidden=(8,), epochs=50, learning_rate=0.02).fit(Dataset.from_interactions(taken))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "deep_fm"
    answers: ClassVar[frozenset[str]] = frozenset(
        {"known", "history", "anonymous", "features", "context", "seeds"}
    )

    factors: int = 16
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("factors", self.factors)
        self.hidden = hidden_sizes(self.hidden)
        between("dropout", self.dropout, high=0.95)

    def _parts(self, crosses: int) -> Parts:
        return Parts(
            linear=True, pairwise=True, factors=self.factors, hidden=self.hidden, dropout=self.dropout
        )
