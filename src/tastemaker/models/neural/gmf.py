"""Generalized matrix factorization: the product of two vectors, factor by factor, weighed by what is learned."""

from dataclasses import dataclass
from typing import ClassVar

from tastemaker._native.topk import TopK, top_k_dot
from tastemaker.data.queries import Queries
from tastemaker.models.answer import Rules
from tastemaker.models.base import Fitted
from tastemaker.models.checks import whole
from tastemaker.models.neural.ncf import NCF, NCFState, Shape

__all__ = ["GMF"]


@dataclass(eq=False, kw_only=True)
class GMF(NCF):
    """Generalized matrix factorization (He et al., WWW 2017): s(u, i) = h·(p_u ⊙ q_i) + b.

    With h = 1 it is matrix factorization with logistic loss; a weight for each factor is learned with the rest. See
    :class:`tastemaker.models.neural.ncf.NCF` for the other hyper-parameters, how it is learned and whom it answers.

    Args:
        factors: length of the vectors.

    >>> from tastemaker import Dataset
    >>> bought = {"user": [1, 1, 2, 2, 3, 4, 4], "item": ["bread", "butter", "bread", "butter", "bread", "nails", "hammer"]}
    >>> model = GMF(factors=4, epochs=200, learning_rate=0.01).fit(Dataset.from_interactions(bought))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "gmf"

    factors: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("factors", self.factors)

    @property
    def shape(self) -> Shape:
        """A product and no tower."""
        return Shape(self.factors, ())

    def _top_k(self, fitted: Fitted[NCFState], queries: Queries, k: int, rules: Rules) -> TopK:
        """By the fused kernel: the score is a dot product, and the score matrix is never held."""
        state = fitted.state
        users = state.user_factors[queries.users] * state.head
        return top_k_dot(users, self._prepared(fitted).product, k, **rules.keywords())
