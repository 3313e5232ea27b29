"""A network over a user's and an item's vector side by side, in place of their dot product."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.neural.ncf import NCF, Shape, a_tower

__all__ = ["MLP"]


@dataclass(eq=False, kw_only=True)
class MLP(NCF):
    """A multi-layer perceptron over both vectors (He et al., WWW 2017).

    s(u, i) = g·φ_L(… φ_1([p'_u | q'_i])) + b with φ_l(x) = max(0, W_l x + b_l). See :class:`tastemaker.models.neural.ncf.NCF`
    for the other hyper-parameters, how it is learned and whom it answers.

    Args:
        tower: numbers that go in, half of them a user's and half an item's, and the outputs of the layers after.

    >>> from tastemaker import Dataset
    >>> bought = {"user": [1, 1, 2, 2, 3, 4, 4], "item": ["bread", "butter", "bread", "butter", "bread", "nails", "hammer"]}
    >>> model = MLP(tower=(8, 8), epochs=200, learning_rate=0.01).fit(Dataset.from_interactions(bought))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "mlp"

    tower: tuple[int, ...] = (64, 32, 16, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.tower = a_tower(self.tower)

    @property
    def shape(self) -> Shape:
        """A tower and no product."""
        return Shape(0, self.tower)
