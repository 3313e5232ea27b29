"""What a click model has learned, and what users, contexts and items bring to its logit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted
from tastemaker.models.neural.click_terms import Parts, SideTables, Terms, beside, pooled, terms
from tastemaker.models.neural.encoded import Encoded
from tastemaker.models.neural.features import FeatureState

__all__ = ["Asked", "ClickState", "asked_by", "crossed", "item_terms", "items_of"]

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class ClickState(FeatureState):
    """The fitted features and what is learned about them; a part that a model does not have is empty.

    Attributes:
        bias: of every logit.
        linear: float32[rows], a weight for each row of the features' table.
        factors: float32[rows, f], an embedding for each.
        dense_linear: float32[d], a weight for each number: those of users, of contexts, of items.
        dense_factors: float32[d, f], a vector for each number.
        crosses: float32[any], a weight for each cross.
        weights, biases: the layers of the deep part, whose input is what is known of whoever asks, then of the item.
    """

    bias: float
    linear: Float32
    factors: Float32
    dense_linear: Float32
    dense_factors: Float32
    crosses: Float32
    weights: tuple[Float32, ...]
    biases: tuple[Float32, ...]


@dataclass(frozen=True, eq=False)
class Asked:
    """Whoever asks, encoded, with what that brings to the logit."""

    users: Encoded
    context: Encoded
    terms: Terms


def asked_by(fitted: Fitted[ClickState], queries: Queries, parts: Parts) -> Asked:
    """The queries' side."""
    features = fitted.state.pipeline
    users, context = features.queries(queries, fitted.catalogue)
    both = beside(users, context)
    return Asked(users, context, terms(both, _tables(fitted.state, slice(None, both.dense.shape[1])), parts))


def item_terms(fitted: Fitted[ClickState], parts: Parts) -> Terms:
    """The side of all items, computed on first use."""
    if "terms" not in fitted.memo:
        items = items_of(fitted)
        numbers = slice(len(fitted.state.dense_linear) - items.dense.shape[1], None)
        fitted.memo["terms"] = terms(items, _tables(fitted.state, numbers), parts)
    found: Terms = fitted.memo["terms"]
    return found


def items_of(fitted: Fitted[ClickState]) -> Encoded:
    """All items, encoded on first use."""
    if "items encoded" not in fitted.memo:
        catalogue = fitted.catalogue
        codes = np.arange(catalogue.n_items, dtype=np.int32)
        fitted.memo["items encoded"] = fitted.state.pipeline.item(catalogue.item_features, codes)
    items: Encoded = fitted.memo["items encoded"]
    return items


def _tables(state: ClickState, numbers: slice) -> SideTables:
    """What was learned for a side that has these of the numbers."""
    return SideTables(state.linear, state.factors, state.dense_linear[numbers], state.dense_factors[numbers])


def crossed(
    fitted: Fitted[ClickState], asked: Asked, rows: NDArray[np.int64], items: NDArray[np.int32]
) -> Float32:
    """float32[n]: the weights of the crosses of rows ``rows[j]`` of whoever asks with item ``items[j]``."""
    places = (asked.users.take(rows), items_of(fitted).take(items), asked.context.take(rows))
    found = fitted.state.pipeline.cross_ids(*places)
    return pooled(found, fitted.state.crosses[:, None])[:, 0]
