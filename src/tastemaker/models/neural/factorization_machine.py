"""Factorization machine: a vector for every feature, and the products of every two of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted
from tastemaker.models.checks import whole
from tastemaker.models.neural.click_reasons import feature_reasons
from tastemaker.models.neural.click_state import ClickState, item_terms
from tastemaker.models.neural.click_terms import Parts
from tastemaker.models.neural.ctr import FactorModel
from tastemaker.ranking.reasons import Reason

__all__ = ["FactorizationMachine"]


@dataclass(eq=False, kw_only=True)
class FactorizationMachine(FactorModel):
    """Factorization machine of order 2 (Rendle, ICDM 2010).

        P(click) = σ(b + Σ_f w_f x_f + Σ_{f<g} <v_f, v_g> x_f x_g)

    over the features of user, item and context. The double sum costs n·k instead of n²·k for n features and vectors of length k:
    Σ_{f<g} <v_f, v_g> x_f x_g = ½ Σ_k ((Σ_f v_fk x_f)² − Σ_f (v_fk x_f)²). A feature with several values enters as one: the mean
    or the sum of its vectors. With nothing but the two ids it is matrix factorization with biases.

    Lists come from the fused kernel: all that depends on both user and item is one inner product. See
    :class:`tastemaker.models.neural.ctr.ClickModel` for the other hyper-parameters and what it learns from.

    Args:
        factors: length of the vectors.

    >>> from tastemaker.data.dataset import Dataset
    >>> taken = {"user": [1, 1, 2, 2, 3], "item": ["bread", "butter", "bread", "butter", "bread"]}
    >>> model = FactorizationMachine(factors=4, epochs=50, learning_rate=0.05).fit(Dataset.from_interactions(taken))
    >>> model.recommend([3], k=1).lists()
    [['butter']]
    """

    name: ClassVar[str] = "factorization_machine"
    answers: ClassVar[frozenset[str]] = frozenset(
        {"known", "history", "anonymous", "features", "context", "seeds"}
    )

    factors: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("factors", self.factors)

    def _parts(self, crosses: int) -> Parts:
        return Parts(linear=True, pairwise=True, factors=self.factors)

    def _diversity_vectors(self, fitted: Fitted[ClickState]) -> NDArray[np.float32]:
        """The sum of the vectors of each item's features, without what is the same for all who ask."""
        return item_terms(fitted, self._parts(0)).total

    def _explain(self, fitted: Fitted[ClickState], query: Queries, item: int) -> list[Reason]:
        """What each feature adds to the logit, a product of two being half of either's; with the bias they sum to it."""
        return feature_reasons(fitted, query, item, self._parts(0))
