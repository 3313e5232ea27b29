"""Which features the types and values of a Dataset's tables suggest."""

import polars as pl

from tastemaker.data.dataset import Dataset
from tastemaker.models.content.features import infer_kinds
from tastemaker.models.neural.specs import (
    Bag,
    Categorical,
    Feature,
    FeatureSpec,
    Id,
    Numeric,
    Side,
    Time,
    Vector,
)

__all__ = ["infer_spec"]

_FEW = (
    32  # whole numbers with no more different values are names of groups (of age, of occupation), not amounts
)
_SEPARATORS = ("|", ";", ",")


def infer_spec(data: Dataset, ids: bool = True) -> FeatureSpec:
    """The features that types and values of the tables suggest.

    ================================================== ==========================================================
    strings that repeat, booleans, few whole numbers   ``Categorical``
    lists, strings such as ``Drama|War``               ``Bag``
    other numbers                                      ``Numeric``, standardised
    lists of floats                                    ``Vector``
    dates                                              ``Time``: the recency of users and items; of a context
                                                       the weekday and, if it has one, the hour
    prose, strings that rarely repeat, web addresses   nothing: encode them to vectors first
    ================================================== ==========================================================

    The times of the interactions, histories and crosses are for whoever writes the specification to add.

    Args:
        data: whose ``user_features``, ``item_features`` and ``context`` to look at.
        ids: with the users and items themselves.

    >>> data = Dataset.from_interactions(
    ...     {"user": [1, 2], "item": ["tea", "jam"]},
    ...     item_features={"item": ["tea", "jam"], "price": [2.5, 3.5], "diet": [["vegan"], []]},
    ... )
    >>> for feature in infer_spec(data, ids=False).item:
    ...     print(feature)
    Numeric(column='price', transform='standard', buckets=10)
    Bag(column='diet', pooling='mean', min_count=1, buckets=None, separator=None)
    """
    return FeatureSpec(
        user=(*((Id("user"),) if ids else ()), *_features("user", data.user_features)),
        item=(*((Id("item"),) if ids else ()), *_features("item", data.item_features)),
        context=_features("context", data.context),
    )


def _features(side: Side, table: pl.DataFrame) -> tuple[Feature, ...]:
    kinds = infer_kinds(table, {})
    found = (_feature(side, table[name], kind) for name, kind in kinds.items())
    return tuple(feature for feature in found if feature is not None)


def _feature(side: Side, column: pl.Series, kind: str) -> Feature | None:
    match kind:
        case "categorical" | "flag":
            return Categorical(column.name)
        case "multi":
            return Bag(column.name, separator=_separator(column) if column.dtype == pl.String else None)
        case "vector":
            return Vector(column.name)
        case "number":
            return _number(side, column)
    return None


def _number(side: Side, column: pl.Series) -> Feature:
    if column.dtype == pl.Date:
        return Time(column.name, ("weekday",) if side == "context" else ("recency",))
    if isinstance(column.dtype, pl.Datetime):
        return Time(column.name, ("hour", "weekday") if side == "context" else ("recency",))
    if column.dtype.is_integer() and column.n_unique() <= _FEW:
        return Categorical(column.name)
    return Numeric(column.name)


def _separator(text: pl.Series) -> str:
    """The first of ``|``, ``;`` and ``,`` that occurs anywhere."""
    return next((s for s in _SEPARATORS if text.str.contains(s, literal=True).any()), _SEPARATORS[0])
