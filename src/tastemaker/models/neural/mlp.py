"""A network over a user's and an item's vector side by side, in place of their dot product."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker.models.neural.ncf import NCF, Shape, a_tower

__all__ = ["MLP"]


@dataclass(eq=False, kw_only=True)
class MLP(NCF):
    """A multi-layer perceptron over both vectors (He et al., WWW 2017).

    s(u, i) = g·φ_L(… φ_1([p'_u | q'_i])) + b with φ_l(x) = max(0, W_l x + b_l). See :mod:`tastemaker.models.neural.ncf` for
    how it is learned and whom it answers.

    Args:
        tower: numbers that go in, half of them a user's and half an item's, and the outputs of the layers after.
        epochs: passes over the interactions.
        learning_rate: of Adam.
        decay: whether it falls in equal steps from epoch to epoch, to 1 / epochs of it in the last.
        batch_size: examples in a step, positives and negatives together.
        regularization: L2 on all weights at every step.
        negatives: items drawn for each interaction, in every epoch anew.
        validation_fraction: the share of interactions that are held out to tell the best epoch; 0 keeps the last.
        patience: stop after so many epochs that were not better.
        seed: of the first weights, the order and the negatives.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        checkpoint: a file for the state after each epoch, from which a fit that was killed goes on.

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
