"""Neural matrix factorization: the product and the network side by side, each with vectors of its own."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.checks import whole
from tastemaker.models.neural.ncf import NCF, Shape, a_tower

__all__ = ["NeuMF"]


@dataclass(eq=False, kw_only=True)
class NeuMF(NCF):
    """Neural matrix factorization (He et al., WWW 2017): GMF and MLP with four tables, joined before the last layer.

    s(u, i) = [h | g]·[p_u ⊙ q_i | φ_L(… φ_1([p'_u | q'_i]))] + b. With ``pretraining`` GMF and MLP are first learned alone, and
    their tables, layers and halved last layers (α = 0.5) are what NeuMF starts from; as in the paper it then goes on by plain
    SGD, since Adam would soon overfit. See :class:`tastemaker.models.neural.ncf.NCF` for the other hyper-parameters, how it is
    learned and whom it answers.

    Args:
        factors: length of the product's vectors.
        tower: numbers that go into the tower, half of them a user's and half an item's, and the outputs of the layers after.
        pretraining: epochs in which GMF and MLP are each learned alone first; 0 starts from random numbers.

    >>> from tastemaker import Dataset
    >>> bought = {"user": [1, 1, 2, 2, 3, 4, 4], "item": ["bread", "butter", "bread", "butter", "bread", "nails", "hammer"]}
    >>> model = NeuMF(factors=4, tower=(8, 8), epochs=200, learning_rate=0.01).fit(Dataset.from_interactions(bought))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "neumf"

    factors: int = 32
    tower: tuple[int, ...] = (64, 32, 16, 8)
    pretraining: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("factors", self.factors)
        self.tower = a_tower(self.tower)
        whole("pretraining", self.pretraining, low=0)

    @property
    def shape(self) -> Shape:
        """A product and a tower."""
        return Shape(self.factors, self.tower)

    @property
    def epochs_alone(self) -> int:
        """Epochs of pre-training."""
        return self.pretraining
