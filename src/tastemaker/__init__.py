"""tastemaker: from a table of who-liked-what to a list worth showing.

>>> import tastemaker as tm
>>> data = tm.Dataset.from_interactions({"user": ["ann", "ann", "bob"], "item": ["tea", "jam", "tea"]})
>>> tm.ItemKNN().fit(data).recommend(["bob"], k=1).lists()
[['jam']]
"""

import importlib
from typing import TYPE_CHECKING, Any

from tastemaker.errors import (
    BundleError,
    CannotAnswerError,
    DataError,
    MissingExtraError,
    NotFittedError,
    TastemakerError,
)

if TYPE_CHECKING:
    from tastemaker import datasets
    from tastemaker.data.dataset import Dataset
    from tastemaker.evaluation import compare, evaluate, tune
    from tastemaker.models.blend import Blend
    from tastemaker.models.bpr import BPR
    from tastemaker.models.bundle import load
    from tastemaker.models.content import ContentBased
    from tastemaker.models.ease import EASE
    from tastemaker.models.graph_filter import GraphFilter
    from tastemaker.models.implicit_als import ImplicitALS
    from tastemaker.models.item_knn import ItemKNN
    from tastemaker.models.matrix_factorization import MatrixFactorization
    from tastemaker.models.neural.auto_rec import AutoRec
    from tastemaker.models.neural.bert4rec import BERT4Rec
    from tastemaker.models.neural.deep_fm import DeepFM
    from tastemaker.models.neural.factorization_machine import FactorizationMachine
    from tastemaker.models.neural.gmf import GMF
    from tastemaker.models.neural.gru4rec import GRU4Rec
    from tastemaker.models.neural.light_gcn import LightGCN
    from tastemaker.models.neural.logistic_regression import LogisticRegression
    from tastemaker.models.neural.mlp import MLP
    from tastemaker.models.neural.neumf import NeuMF
    from tastemaker.models.neural.pin_sage import PinSage
    from tastemaker.models.neural.sasrec import SASRec
    from tastemaker.models.neural.two_tower import TwoTower
    from tastemaker.models.neural.wide_and_deep import WideAndDeep
    from tastemaker.models.popularity import Popularity
    from tastemaker.models.pure_svd import PureSVD
    from tastemaker.models.random import Random
    from tastemaker.models.slim import SLIM
    from tastemaker.models.user_knn import UserKNN
    from tastemaker.policy.policy import Policy

__version__ = "0.1.0"

__all__ = [
    "BPR",
    "EASE",
    "GMF",
    "MLP",
    "SLIM",
    "AutoRec",
    "BERT4Rec",
    "Blend",
    "BundleError",
    "CannotAnswerError",
    "ContentBased",
    "DataError",
    "Dataset",
    "DeepFM",
    "FactorizationMachine",
    "GRU4Rec",
    "GraphFilter",
    "ImplicitALS",
    "ItemKNN",
    "LightGCN",
    "LogisticRegression",
    "MatrixFactorization",
    "MissingExtraError",
    "NeuMF",
    "NotFittedError",
    "PinSage",
    "Policy",
    "Popularity",
    "PureSVD",
    "Random",
    "SASRec",
    "TastemakerError",
    "TwoTower",
    "UserKNN",
    "WideAndDeep",
    "compare",
    "datasets",
    "evaluate",
    "load",
    "tune",
]

# What is loaded when it is first asked for, so that the import stays light.
_LAZY = {
    "EASE": "tastemaker.models.ease",
    "SLIM": "tastemaker.models.slim",
    "AutoRec": "tastemaker.models.neural.auto_rec",
    "Blend": "tastemaker.models.blend",
    "BERT4Rec": "tastemaker.models.neural.bert4rec",
    "BPR": "tastemaker.models.bpr",
    "ContentBased": "tastemaker.models.content",
    "Dataset": "tastemaker.data.dataset",
    "DeepFM": "tastemaker.models.neural.deep_fm",
    "FactorizationMachine": "tastemaker.models.neural.factorization_machine",
    "GMF": "tastemaker.models.neural.gmf",
    "GRU4Rec": "tastemaker.models.neural.gru4rec",
    "GraphFilter": "tastemaker.models.graph_filter",
    "ImplicitALS": "tastemaker.models.implicit_als",
    "ItemKNN": "tastemaker.models.item_knn",
    "LightGCN": "tastemaker.models.neural.light_gcn",
    "LogisticRegression": "tastemaker.models.neural.logistic_regression",
    "MLP": "tastemaker.models.neural.mlp",
    "MatrixFactorization": "tastemaker.models.matrix_factorization",
    "NeuMF": "tastemaker.models.neural.neumf",
    "PinSage": "tastemaker.models.neural.pin_sage",
    "Policy": "tastemaker.policy.policy",
    "Popularity": "tastemaker.models.popularity",
    "PureSVD": "tastemaker.models.pure_svd",
    "Random": "tastemaker.models.random",
    "SASRec": "tastemaker.models.neural.sasrec",
    "TwoTower": "tastemaker.models.neural.two_tower",
    "UserKNN": "tastemaker.models.user_knn",
    "WideAndDeep": "tastemaker.models.neural.wide_and_deep",
    "compare": "tastemaker.evaluation",
    "evaluate": "tastemaker.evaluation",
    "load": "tastemaker.models.bundle",
    "tune": "tastemaker.evaluation",
}


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("tastemaker.datasets")
    if name not in _LAZY:
        raise AttributeError(f"module 'tastemaker' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
