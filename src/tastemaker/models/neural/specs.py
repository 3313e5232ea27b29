"""What a model looks at: typed features of users, items and context, and their crosses; plain data, written by hand or inferred.

=============== ============================================== =================================================
feature         of a column with                               becomes
=============== ============================================== =================================================
``Id``          (the user or the item itself)                  one row of the embedding table
``Categorical`` one value a row                                one row
``Bag``         several values a row (genres, installed apps)  several rows, their mean or sum
``HistoryBag``  (the items that the user had)                  several rows, their mean or sum
``Numeric``     numbers                                        a number, or by ``"buckets"`` one row
``Vector``      the output of any text or image encoder        numbers
``Time``        dates                                          hour and weekday: one row each; recency: a number
=============== ============================================== =================================================
"""

import json
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Any, ClassVar

from tastemaker.data.dataset import Dataset
from tastemaker.models.neural.feature_kinds import (
    SIDES,
    Bag,
    Categorical,
    Feature,
    HistoryBag,
    Id,
    Numeric,
    Output,
    Pooling,
    Side,
    Time,
    Vector,
    check_counts,
    names_of,
)

__all__ = [
    "SIDES",
    "Bag",
    "Categorical",
    "Cross",
    "Feature",
    "FeatureSpec",
    "HistoryBag",
    "Id",
    "Numeric",
    "Output",
    "Pooling",
    "Side",
    "Time",
    "Vector",
    "as_spec",
    "names_of",
]


@dataclass(frozen=True)
class Cross:
    """AND of several features, each combination of values with a weight of its own: what the wide part remembers.

    ``Cross("user.gender", "user.age", "item.genre")`` is one combination for each genre of the item. A feature with several
    values named twice is crossed with itself: ``Cross("user.installed", "user.installed")`` has AND(installed Spotify,
    installed Shazam) and all other pairs of different apps, in either order the same. A combination with a missing, rare or
    unseen value says nothing.

    Args:
        features: names with their side; a part of a time as ``"context.time.hour"``.
        min_count: combinations in fewer training interactions say nothing.
        buckets: hash the combinations into so many weights instead.
    """

    features: tuple[str, ...]
    min_count: int
    buckets: int | None

    def __init__(self, *features: str, min_count: int = 1, buckets: int | None = None) -> None:
        if len(features) < 2 or not all(isinstance(name, str) for name in features):
            raise ValueError(
                f"a cross is of two or more features by name, as Cross('user.gender', 'item.genre'), got {features}"
            )
        check_counts(min_count, buckets)
        for name, value in (("features", features), ("min_count", min_count), ("buckets", buckets)):
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """For messages and plots: ``user.gender × item.genre``."""
        return " × ".join(self.features)


@dataclass(frozen=True)
class FeatureSpec:
    """All that a model looks at.

    Args:
        user, item, context: the features of each side; names within a side differ.
        crosses: for models with a wide part.

    Raises:
        ValueError: for names that repeat, features on the wrong side, or crosses of what has no values to combine.

    >>> spec = FeatureSpec(user=(Id("user"), Categorical("gender")), item=(Bag("genres"),),
    ...                    crosses=(Cross("user.gender", "item.genres"),))
    >>> FeatureSpec.from_json(spec.to_json()) == spec
    True
    """

    user: tuple[Feature, ...] = ()
    item: tuple[Feature, ...] = ()
    context: tuple[Feature, ...] = ()
    crosses: tuple[Cross, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in (*SIDES, "crosses"):
            given = getattr(self, name)
            if not isinstance(given, list | tuple):
                raise ValueError(
                    f"{name}: expected a tuple of features or crosses, got {given!r}; write ({given!r},)"
                )
            object.__setattr__(self, name, tuple(given))
        for side in SIDES:
            self._check_side(side)
        for cross in self.crosses:
            self._check_cross(cross)

    def _check_side(self, side: Side) -> None:
        features: tuple[Feature, ...] = getattr(self, side)
        for feature in features:
            if not isinstance(feature, Feature):
                raise ValueError(f"{side}: expected features such as Categorical('gender'), got {feature!r}")
            belongs = "user" if isinstance(feature, HistoryBag) else getattr(feature, "side", side)
            if belongs != side:
                raise ValueError(f"{feature} is a feature of the {belongs}, not of the {side}")
        for column in names_of(features):
            if not isinstance(column, str):
                raise ValueError(f"{side}: expected the name of a column, got {column!r}")
        names = list(chain.from_iterable([n for n, _ in f.outputs()] for f in features))
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"{side}: two features are called {twice[0]!r}")

    def _check_cross(self, cross: Cross) -> None:
        if not isinstance(cross, Cross):
            raise ValueError(f"crosses: expected Cross('user.gender', 'item.genre') and so on, got {cross!r}")
        outputs = self.outputs()
        for name in cross.features:
            if outputs.get(name) not in ("id", "bag"):
                can = ", ".join(n for n, output in outputs.items() if output != "dense") or "none"
                raise ValueError(
                    f"{cross.name}: {name!r} has no values to combine; features that have some: {can}"
                )
            if outputs[name] == "id" and cross.features.count(name) > 1:
                raise ValueError(
                    f"{cross.name}: {name!r} has one value a row, which nothing can be combined with"
                )

    def outputs(self) -> dict[str, Output]:
        """Everything that the features become, by name with the side (``"user.gender"``), in order."""
        return {
            f"{side}.{name}": output
            for side in SIDES
            for feature in getattr(self, side)
            for name, output in feature.outputs()
        }

    @classmethod
    def infer(cls, data: Dataset, ids: bool = True) -> "FeatureSpec":
        """The features that types and values of a Dataset's tables suggest; see :func:`infer_spec`."""
        from tastemaker.models.neural.spec_inference import infer_spec

        return infer_spec(data, ids=ids)

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it."""
        sides = {side: [_described(f) for f in getattr(self, side)] for side in SIDES}
        return json.dumps({**sides, "crosses": [asdict(c) for c in self.crosses]})

    @classmethod
    def from_json(cls, text: str) -> "FeatureSpec":
        """The specification that :meth:`to_json` wrote; what is left out is as by default.

        Raises:
            ValueError: for text that is none.

        >>> FeatureSpec.from_json('{"item": [{"kind": "numeric", "column": "price", "transform": "log"}]}').item
        (Numeric(column='price', transform='log', buckets=10),)
        """
        try:
            facts = json.loads(text)
            sides = {side: tuple(map(_read, facts.pop(side, []))) for side in SIDES}
            crosses = tuple(Cross(*c.pop("features"), **c) for c in facts.pop("crosses", []))
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            example = '{"item": [{"kind": "categorical", "column": "genre"}]}'
            raise ValueError(
                f"not a specification of features ({error!r}): {text}; expected such as {example}"
            ) from error
        if facts:
            raise ValueError(f"features: expected {', '.join(SIDES)} and crosses, got {min(facts)!r}")
        return cls(**sides, crosses=crosses)


class _Kinds:
    """The features by the names under which they are saved."""

    by_name: ClassVar[dict[str, type[Feature]]] = {
        "id": Id,
        "categorical": Categorical,
        "bag": Bag,
        "history": HistoryBag,
        "numeric": Numeric,
        "vector": Vector,
        "time": Time,
    }


def _described(feature: Feature) -> dict[str, Any]:
    kind = next(name for name, kind in _Kinds.by_name.items() if kind is type(feature))
    return {"kind": kind, **asdict(feature)}


def _read(facts: dict[str, Any]) -> Feature:
    return _Kinds.by_name[facts.pop("kind")](**facts)


def as_spec(features: object) -> FeatureSpec | None:
    """What a model is given as ``features``: a specification, the text or the mapping of one, or None for what suits the data.

    Raises:
        ValueError: for anything else.
    """
    if features is None or isinstance(features, FeatureSpec):
        return features
    if isinstance(features, str | dict):
        return FeatureSpec.from_json(features if isinstance(features, str) else json.dumps(features))
    raise ValueError(f"features must be a FeatureSpec, its JSON or None, got {features!r}")
