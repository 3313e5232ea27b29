"""Where to look for good hyper-parameters: a range or a choice for each, by model."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tastemaker.errors import TastemakerError
from tastemaker.models.base import Recommender

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["Choice", "Range", "Space", "space_of", "with_settings"]


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, whole ones if both are; ``log``: evenly by ratio instead of by difference."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: "Trial", name: str) -> float:
        """A number for the trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of ``options``."""

    options: tuple[Any, ...]

    def suggest(self, trial: "Trial", name: str) -> Any:
        """An option for the trial."""
        return trial.suggest_categorical(name, self.options)

    def __contains__(self, value: Any) -> bool:
        return value in self.options


Space = Mapping[str, Range | Choice]
"""By hyper-parameter; ``weights.mf`` is the entry ``mf`` of the hyper-parameter ``weights``."""

# What these names mean in every model that has them.
_COMMON: dict[str, Range | Choice] = {
    "factors": Range(16, 256, log=True),
    "epochs": Range(5, 60, log=True),
    "learning_rate": Range(0.003, 0.3, log=True),
    "regularization": Range(0.0003, 0.3, log=True),
    "neighbors": Range(5, 500, log=True),
    "min_support": Range(1, 10),
}

# Of networks learned by Adam.
_NEURAL: dict[str, Range | Choice] = {
    "learning_rate": Range(0.0001, 0.01, log=True),
    "regularization": Range(1e-8, 1e-3, log=True),
    "negatives": Range(1, 8),
}

# Of those that read histories in their order.
_SEQUENCE: dict[str, Range | Choice] = {
    "factors": Choice((32, 64, 128, 256)),  # heads divide them
    "learning_rate": Range(0.0003, 0.003, log=True),
    "dropout": Range(0.0, 0.5),
    "batch_size": Range(16, 256, log=True),
    "length": Choice((20, 50, 100, 200)),
}

# What differs, and what only one model has.
_OWN: dict[str, dict[str, Range | Choice]] = {
    "popularity": {"by": Choice(("count", "bayesian"))},
    "content": {
        "factors": Range(16, 256, log=True),
        "text": Choice(("tfidf", "lsa")),
        "center": Choice(("user", "scale")),
        "half_life_days": Choice((None, 7.0, 30.0, 90.0, 365.0)),
    },
    "user_knn": {
        "similarity": Choice(("cosine", "pearson", "jaccard")),
        "aggregation": Choice(("weighted", "centred")),
        "min_support": Range(1, 5),
    },
    "item_knn": {
        "similarity": Choice(("cosine", "jaccard", "bm25")),
        "neighbors_of": Choice(("history", "candidate")),
    },
    "mf": {"learning_rate": Range(0.003, 0.1, log=True), "regularization": Range(0.005, 0.3, log=True)},
    "bpr": {
        "epochs": Range(10, 200, log=True),
        "learning_rate": Range(0.01, 0.5, log=True),
        "regularization": Range(0.0001, 0.1, log=True),
        "negatives": Choice(("uniform", "popularity")),
    },
    "gmf": _NEURAL,
    "mlp": _NEURAL,
    "logistic_regression": _NEURAL,
    "factorization_machine": {**_NEURAL, "factors": Range(4, 64, log=True)},
    "wide_and_deep": {
        **_NEURAL,
        "factors": Range(4, 64, log=True),
        "learning_rate": Range(0.005, 0.2, log=True),
        "wide_learning_rate": Range(0.01, 1.0, log=True),
        "l1": Range(1e-6, 1e-2, log=True),
        "dropout": Range(0.0, 0.5),
    },
    "deep_fm": {**_NEURAL, "factors": Range(4, 64, log=True), "dropout": Range(0.0, 0.5)},
    "two_tower": {
        "learning_rate": Range(0.0003, 0.03, log=True),
        "regularization": Range(1e-8, 1e-3, log=True),
        "temperature": Range(0.03, 1.0, log=True),
        "id_dropout": Range(0.0, 0.5),
    },
    "lightgcn": {
        "factors": Range(32, 256, log=True),
        "layers": Range(1, 4),
        "epochs": Range(20, 400, log=True),
        "learning_rate": Range(0.001, 0.2, log=True),
        "regularization": Range(1e-6, 1e-2, log=True),
    },
    "pinsage": {
        "factors": Range(16, 128, log=True),
        "layers": Range(1, 3),
        "neighbors": Range(5, 100, log=True),
        "epochs": Range(1, 20, log=True),
        "learning_rate": Range(0.0003, 0.01, log=True),
        "regularization": Range(1e-8, 1e-3, log=True),
        "restart": Range(0.05, 0.9),
        "margin": Range(0.02, 0.5, log=True),
        "hide": Range(0.0, 0.9),
    },
    "neumf": {**_NEURAL, "pretraining": Choice((0, 10))},
    "als": {
        "factors": Range(32, 512, log=True),
        "regularization": Range(0.0005, 0.05, log=True),
        "unobserved_weight": Range(0.003, 1.0, log=True),
        "epochs": Range(5, 30, log=True),
    },
    "ease": {"regularization": Range(5.0, 5000.0, log=True)},
    "slim": {"l1": Range(0.01, 10.0, log=True), "l2": Range(1.0, 500.0, log=True)},
    "graph_filter": {
        "factors": Range(32, 1024, log=True),
        "low_pass": Range(0.0, 1.0),
        "sharpen": Range(0.0, 3.0),
        "user_exponent": Range(0.0, 0.8),
        "item_exponent": Range(0.0, 0.8),
        "popularity": Range(0.0, 0.5),
    },
    "auto_rec": {
        "factors": Range(100, 600, log=True),
        "epochs": Range(15, 120, log=True),
        "learning_rate": Range(0.0003, 0.003, log=True),
        "regularization": Range(3e-5, 0.003, log=True),
        "dropout": Range(0.0, 0.8),
        "hide": Range(0.0, 0.7),
    },
    "sasrec": {**_SEQUENCE, "blocks": Range(1, 4), "heads": Choice((1, 2, 4))},
    "gru4rec": {**_SEQUENCE, "hidden": Range(32, 512, log=True), "layers": Range(1, 3)},
    "bert4rec": {**_SEQUENCE, "blocks": Range(1, 4), "heads": Choice((1, 2, 4)), "hide": Range(0.1, 0.6)},
    "blend": {"normalize": Choice(("z-score", "min-max", "rank"))},
}


def space_of(model: Recommender[Any], kept: Collection[str] = ()) -> Space:
    """The default ranges of a model's hyper-parameters.

    Args:
        model: whose.
        kept: hyper-parameters that stay as the model has them; the ranges of others are cut to what goes with them.

    Raises:
        TastemakerError: if it has none to tune.

    >>> from tastemaker import ItemKNN
    >>> list(space_of(ItemKNN()))
    ['neighbors', 'min_support', 'similarity', 'neighbors_of']
    """
    parameters = model.parameters()
    space = {name: where for name, where in _COMMON.items() if name in parameters}
    space |= _OWN.get(model.name, {})
    if model.name == "blend":
        space |= {f"weights.{member}": Range(0.03, 3.0, log=True) for member in parameters["models"]}
    if not space:
        raise TastemakerError(f"{model.name} has no hyper-parameters to tune")
    space = {name: where for name, where in space.items() if name.partition(".")[0] not in kept}
    return _heads_that_divide(space, parameters) if "heads" in parameters else space


def _heads_that_divide(space: Space, kept: Mapping[str, Any]) -> Space:
    """Where one of heads and factors is kept: those options for the other that go with it; without any, it is kept, too."""
    heads, factors = space.get("heads"), space.get("factors")
    if factors is None and isinstance(heads, Choice):
        name, options = "heads", tuple(h for h in heads.options if kept["factors"] % h == 0)
    elif heads is None and isinstance(factors, Choice):
        name, options = "factors", tuple(f for f in factors.options if f % kept["heads"] == 0)
    else:
        return space
    if options:
        return {**space, name: Choice(options)}
    return {other: where for other, where in space.items() if other != name}


def with_settings(model: Recommender[Any], settings: Mapping[str, Any]) -> Recommender[Any]:
    """A copy of the model, not fitted, with these hyper-parameters, named as in a :data:`Space`."""
    return replace(model, **parameters_of(model, settings))


def parameters_of(model: Recommender[Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as arguments of the model: ``{"weights.mf": 2}`` is an entry of the model's weights."""
    arguments: dict[str, Any] = {}
    for name, value in settings.items():
        field, dot, entry = name.partition(".")
        if dot:
            arguments[field] = {**arguments.get(field, model.parameters()[field]), entry: value}
        else:
            arguments[name] = value
    return arguments


def current_settings(model: Recommender[Any], space: Space) -> dict[str, Any]:
    """The model's own settings as far as they lie in the space."""
    parameters, found = model.parameters(), {}
    for name, where in space.items():
        field, dot, entry = name.partition(".")
        value = parameters[field][entry] if dot else parameters[field]
        if value in where:
            found[name] = value
    return found
