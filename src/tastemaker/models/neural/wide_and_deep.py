"""Wide & Deep: a linear part that remembers crosses, and a deep part that generalises, trained jointly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from tastemaker.models.checks import between, one_of, whole
from tastemaker.models.neural.click_terms import Parts
from tastemaker.models.neural.ctr import DeepClickModel, hidden_sizes

if TYPE_CHECKING:
    import torch

    from tastemaker.models.neural.click_network import ClickNetwork

__all__ = ["WideAndDeep"]

Part = Literal["both", "wide", "deep"]

_LARGE = 1 << 24  # numbers in the embeddings beyond which a step should not go over all of them


@dataclass(eq=False, kw_only=True)
class WideAndDeep(DeepClickModel):
    """Wide & Deep learning (Cheng et al., DLRS 2016): the wide part remembers, the deep part generalises.

        P(click) = σ(b + Σ_f w_f x_f + Σ_c w_c φ_c(x) + MLP([e_1 | … | e_n | numbers]))

    φ_c are the crosses of the features, ``FeatureSpec(crosses=(Cross("user.gender", "item.genre"), …))``: products that are 1
    where all their values are there. The wide part, weights of features and crosses, is learned by FTRL with L1, so that most
    crosses are exactly 0; the deep part, embeddings and layers, by AdaGrad; both from the gradient of the one loss. Without
    crosses, the wide part is a logistic regression. Embeddings of more than 16 million numbers in all, without L2, have one sum
    of squares for each row, and a step moves only those that it looks up. See
    :class:`tastemaker.models.neural.ctr.ClickModel` for the other hyper-parameters and what it learns from.

    Args:
        part: ``"both"``, or only the ``"wide"`` or the ``"deep"`` one.
        factors: length of the embeddings.
        hidden: widths of the hidden layers.
        dropout: the share of hidden units that a step of training leaves out.
        learning_rate: of AdaGrad, for the layers of the deep part.
        embedding_learning_rate: of AdaGrad, for the embeddings: each is seen in few steps, and all layers in every one.
        wide_learning_rate: α of FTRL.
        l1: λ₁ of FTRL, which has the gradients of single examples for its unit as in the paper, not their mean over a batch:
            a weight stays 0 while what clicks there were beyond the expected ones, or fewer, add up to no more than this.
        regularization: L2 on all embeddings in every step, and λ₂ of FTRL.

    >>> from tastemaker.data.dataset import Dataset
    >>> taken = {"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]}
    >>> model = WideAndDeep(factors=4, hidden=(8,), epochs=50).fit(Dataset.from_interactions(taken))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "wide_and_deep"
    answers: ClassVar[frozenset[str]] = frozenset(
        {"known", "history", "anonymous", "features", "context", "seeds"}
    )

    part: Part = "both"
    factors: int = 16
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.0
    learning_rate: float = 0.02
    embedding_learning_rate: float = 0.05
    wide_learning_rate: float = 0.1
    l1: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("part", self.part, get_args(Part))
        whole("factors", self.factors)
        self.hidden = hidden_sizes(self.hidden)
        between("dropout", self.dropout, high=0.95)
        between("embedding_learning_rate", self.embedding_learning_rate, open_low=True)
        between("wide_learning_rate", self.wide_learning_rate, open_low=True)
        between("l1", self.l1)
        if self.part == "wide":  # it has no vectors to compare items by
            self.__dict__["answers"] = type(self).answers - {"seeds"}

    def _parts(self, crosses: int) -> Parts:
        wide, deep = self.part != "deep", self.part != "wide"
        return Parts(
            linear=wide,
            factors=self.factors if deep else 0,
            hidden=self.hidden if deep else (),
            dropout=self.dropout,
            crosses=crosses if wide else 0,
        )

    def _optimizers(self, network: "ClickNetwork") -> "Sequence[torch.optim.Optimizer]":
        """FTRL for the wide part, AdaGrad for layers and embeddings.

        FTRL's β and λ₁ have the gradients of single examples for their unit. The gradients of a loss that is a mean over B
        examples are B times smaller, and B times smaller β and λ₁ make the same weights of them.
        """
        import torch

        from tastemaker.models.neural.optimizers import FTRL, RowwiseAdaGrad

        l2, rate = self.regularization, self.embedding_learning_rate
        wide = network.parameters_of("linear", "dense_linear", "crosses")
        tables, layers = network.parameters_of("factors"), network.parameters_of("bias", "deep")
        found: list[torch.optim.Optimizer] = [torch.optim.Adagrad(layers, lr=self.learning_rate)]
        if wide:
            unit = 1 / self.batch_size
            found.append(FTRL(wide, alpha=self.wide_learning_rate, beta=unit, l1=self.l1 * unit, l2=l2))
        if tables and not l2 and sum(table.numel() for table in tables) > _LARGE:
            found.append(RowwiseAdaGrad(tables, lr=rate))
        elif tables:
            found.append(torch.optim.Adagrad(tables, lr=rate, weight_decay=l2))
        return found
