"""Logistic regression on features: the click model that every other is measured against."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted, Recommender
from tastemaker.models.neural.click_reasons import feature_reasons
from tastemaker.models.neural.click_state import ClickState
from tastemaker.models.neural.click_terms import Parts
from tastemaker.models.neural.ctr import FactorModel
from tastemaker.ranking.reasons import Reason

__all__ = ["LogisticRegression"]


@dataclass(eq=False, kw_only=True)
class LogisticRegression(FactorModel):
    """P(click) = σ(b + Σ_j w_j x_j) over the features of user, item and context: interactions of order 1 alone.

    What is the same for all items moves the probability and no list: without crosses, everybody is shown the same order of
    items. See :class:`tastemaker.models.neural.ctr.ClickModel` for the hyper-parameters and what it learns from.

    >>> from tastemaker.data.dataset import Dataset
    >>> shown = {"user": ["ann", "bob"] * 50, "item": ["tea", "tea", "jam", "jam"] * 25, "label": [1, 1, 0, 0] * 25}
    >>> model = LogisticRegression(learning_rate=0.05).fit(Dataset.from_impressions(shown))
    >>> [round(float(p)) for p in model.predict(["ann", "ann"], ["tea", "jam"])]
    [1, 0]
    """

    name: ClassVar[str] = "logistic_regression"

    learning_rate: float = 0.01

    def _parts(self, crosses: int) -> Parts:
        return Parts(linear=True)

    def _diversity_vectors(self, fitted: Fitted[ClickState]) -> NDArray[np.float32]:
        """None: a weight is no vector."""
        return Recommender._diversity_vectors(self, fitted)

    def _explain(self, fitted: Fitted[ClickState], query: Queries, item: int) -> list[Reason]:
        """What each feature adds to the logit; with the bias they sum to it."""
        return feature_reasons(fitted, query, item, self._parts(0))
