"""f(users, items) → scores: one file a model family, all behind one contract. Names are registered here, loaded on demand."""

import importlib
from typing import Any

from tastemaker.errors import TastemakerError

__all__ = ["model_class", "names", "names_that_answer", "needs_torch"]

_CLASSES = {
    "popularity": "tastemaker.models.popularity:Popularity",
    "random": "tastemaker.models.random:Random",
    "content": "tastemaker.models.content:ContentBased",
    "user_knn": "tastemaker.models.user_knn:UserKNN",
    "item_knn": "tastemaker.models.item_knn:ItemKNN",
    "ease": "tastemaker.models.ease:EASE",
    "slim": "tastemaker.models.slim:SLIM",
    "pure_svd": "tastemaker.models.pure_svd:PureSVD",
    "graph_filter": "tastemaker.models.graph_filter:GraphFilter",
    "als": "tastemaker.models.implicit_als:ImplicitALS",
    "mf": "tastemaker.models.matrix_factorization:MatrixFactorization",
    "bpr": "tastemaker.models.bpr:BPR",
    "logistic_regression": "tastemaker.models.neural.logistic_regression:LogisticRegression",
    "factorization_machine": "tastemaker.models.neural.factorization_machine:FactorizationMachine",
    "wide_and_deep": "tastemaker.models.neural.wide_and_deep:WideAndDeep",
    "deep_fm": "tastemaker.models.neural.deep_fm:DeepFM",
    "two_tower": "tastemaker.models.neural.two_tower:TwoTower",
    "auto_rec": "tastemaker.models.neural.auto_rec:AutoRec",
    "gmf": "tastemaker.models.neural.gmf:GMF",
    "mlp": "tastemaker.models.neural.mlp:MLP",
    "neumf": "tastemaker.models.neural.neumf:NeuMF",
    "lightgcn": "tastemaker.models.neural.light_gcn:LightGCN",
    "pinsage": "tastemaker.models.neural.pin_sage:PinSage",
    "sasrec": "tastemaker.models.neural.sasrec:SASRec",
    "bert4rec": "tastemaker.models.neural.bert4rec:BERT4Rec",
    "gru4rec": "tastemaker.models.neural.gru4rec:GRU4Rec",
    "blend": "tastemaker.models.blend:Blend",
}
_POLICIES = {
    "policy": "tastemaker.policy.policy:Policy"
}  # answer and are saved like models, and are made of some


def names() -> list[str]:
    """The registered names of all models."""
    return list(_CLASSES)


def model_class(name: str) -> type[Any]:
    """The class registered as ``name``, of a model or a policy.

    Raises:
        TastemakerError: for a name that is not registered.

    >>> model_class("mf").__name__
    'MatrixFactorization'
    """
    classes = _CLASSES | _POLICIES
    if name not in classes:
        raise TastemakerError(f"no model is called {name!r}; there are: {', '.join(classes)}")
    module, _, attribute = classes[name].partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def needs_torch(name: str) -> bool:
    """Whether fitting the model called ``name`` takes the extra ``neural``.

    >>> needs_torch("neumf"), needs_torch("mf")
    (True, False)
    """
    return _CLASSES[name].startswith("tastemaker.models.neural.")


def names_that_answer(kind: str) -> list[str]:
    """The names of the models that can score queries of ``kind`` (``known``, ``history``, ``anonymous``, ``seeds``)."""
    return [name for name in names() if kind in model_class(name).answers]
