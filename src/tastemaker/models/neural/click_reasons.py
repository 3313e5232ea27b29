"""What each feature adds to a logit of order 2 at most."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.queries import Queries
from tastemaker.models.base import Fitted
from tastemaker.models.neural.click_state import ClickState, asked_by, items_of
from tastemaker.models.neural.click_terms import Parts, beside, field_vectors
from tastemaker.ranking.reasons import Reason

__all__ = ["contributions", "feature_reasons"]


def feature_reasons(fitted: Fitted[ClickState], query: Queries, item: int, parts: Parts) -> list[Reason]:
    """One reason a feature of the user, the context and the item, the strongest first."""
    names, amounts = contributions(fitted, query, item, parts)
    order = np.argsort(-np.abs(amounts), kind="stable")
    return [Reason("feature", names[n], float(amounts[n]), _words(fitted, names[n], item)) for n in order]


def contributions(
    fitted: Fitted[ClickState], query: Queries, item: int, parts: Parts
) -> tuple[list[str], NDArray[np.float32]]:
    """What each feature adds: w_f x_f + ½ <e_f, S − e_f>, with S the sum of all features' vectors e_f = v_f x_f.

    Returns:
        names with their side, and float32[features]; their sum is the logit less its bias.
    """
    state, features = fitted.state, fitted.state.pipeline
    asked = asked_by(fitted, query, parts)
    encoded = beside(beside(asked.users, asked.context), items_of(fitted).take(np.array([item])))
    layouts = [features.layout(side) for side in ("user", "context", "item")]
    names = [n for layout in layouts for n in layout.ids] + [n for layout in layouts for n in layout.bags]
    names += [n for layout in layouts for n in layout.dense]
    numbers = encoded.dense[0]
    amounts = np.array([w[0, 0] for w in field_vectors(encoded, state.linear[:, None])], np.float32)
    amounts = np.concatenate([amounts, numbers * state.dense_linear])
    if parts.pairwise:
        vectors = [v[0] for v in field_vectors(encoded, state.factors)]
        stacked = np.vstack([*vectors, *(numbers[:, None] * state.dense_factors)])
        amounts = amounts + 0.5 * ((stacked.sum(0) - stacked) * stacked).sum(1)
    return names, amounts.astype(np.float32)


def _words(fitted: Fitted[ClickState], name: str, item: int) -> str:
    """A feature of the item with its value."""
    side, _, column = name.partition(".")
    table = fitted.catalogue.item_features
    if side != "item" or column not in table.columns:
        return name
    value = table[column][item]
    shown = ", ".join(map(str, value)) if isinstance(value, pl.Series) else str(value)
    return f"{name}: {shown}"
