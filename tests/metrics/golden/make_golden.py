"""Ask the peers' own functions what their metrics are on one fixed set of random lists, and write their answers down.

    python make_golden.py inputs                  # needs NumPy only; the peers' answers must be made anew after it
    python make_golden.py implicit                # in an environment with implicit (not the fork pm-implicit)
    python make_golden.py lenskit rectools sklearn

Each file records the versions and the calls. tests/metrics/test_compat.py compares with them.
"""

import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
CUTOFFS = (1, 3, 5, 10)
Json = dict[str, Any]


def make_inputs() -> Json:
    """Lists of up to 10 of 60 items, some short, some empty; 0 to 20 relevant items; 300 scored pairs with ties."""
    rng = np.random.default_rng(20240607)
    n_items, n_users = 60, 80
    lengths = np.where(rng.random(n_users) < 0.6, 10, rng.integers(0, 11, n_users))
    lists = [rng.permutation(n_items)[:length].tolist() for length in lengths]
    sizes = np.where(rng.random(n_users) < 0.1, 0, rng.integers(1, 21, n_users))
    relevant = [sorted(rng.permutation(n_items)[:size].tolist()) for size in sizes]
    pairs = {
        "users": rng.integers(0, 25, 300).tolist(),
        "actual": rng.integers(1, 6, 300).tolist(),
        "probability": (rng.integers(0, 21, 300) / 20).tolist(),
        "relevant_from": 4,
        "chosen_from": 0.5,
    }
    return {
        "made_with": f"numpy {version('numpy')}, seed 20240607",
        "n_items": n_items,
        "lists": lists,
        "relevant": relevant,
        "pairs": pairs,
    }


def implicit_answers(inputs: Json) -> Json:
    import scipy.sparse as sp
    from implicit.evaluation import ranking_metrics_at_k

    class Replay:
        """Stands where a fitted model would, and answers the given lists (empty slots: -1)."""

        def recommend(self, userid: Any, user_items: Any, N: int = 10, **_: Any) -> Any:  # noqa: N803
            padded = [(inputs["lists"][user] + [-1] * N)[:N] for user in userid]
            return np.array(padded, dtype=np.int32), np.zeros((len(padded), N), dtype=np.float32)

    shape = (len(inputs["lists"]), inputs["n_items"])
    rows = [u for u, items in enumerate(inputs["relevant"]) for _ in items]
    columns = [item for items in inputs["relevant"] for item in items]
    test = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    train = sp.csr_matrix(shape)
    return {
        "versions": {"implicit": version("implicit")},
        "call": "implicit.evaluation.ranking_metrics_at_k(model that replays the lists, empty, test, K=k)",
        "mean": {
            str(k): ranking_metrics_at_k(Replay(), train, test, K=k, show_progress=False) for k in CUTOFFS
        },
    }


def lenskit_answers(inputs: Json) -> Json:
    from lenskit.data import ItemList, ItemListCollection
    from lenskit.metrics import NDCG, Hit, Precision, Recall, RecipRank, RunAnalysis
    from lenskit.metrics.ranking import AveragePrecision

    metrics = {
        "precision": Precision,
        "recall": Recall,
        "hit_rate": Hit,
        "mrr": RecipRank,
        "map": AveragePrecision,
        "ndcg": NDCG,
    }
    runs = ItemListCollection(["user_id"])
    tests = ItemListCollection(["user_id"])
    for user, (items, relevant) in enumerate(zip(inputs["lists"], inputs["relevant"], strict=True)):
        if relevant:
            runs.add(ItemList(np.array(items, dtype=np.int64), ordered=True), user_id=user)
            tests.add(ItemList(np.array(relevant, dtype=np.int64)), user_id=user)

    def summary(k: int) -> Json:
        analysis = RunAnalysis()
        for name, metric in metrics.items():
            analysis.add_metric(metric(n=k), label=name)
        means = analysis.measure(runs, tests).list_summary()["mean"]
        return {name: float(means[name]) for name in metrics}

    return {
        "versions": {"lenskit": version("lenskit")},
        "call": "lenskit.metrics.RunAnalysis with Precision(n=k), Recall, Hit, RecipRank, AveragePrecision, NDCG; "
        ".measure(lists, test).list_summary()['mean'], on the users with relevant items",
        "mean": {str(k): summary(k) for k in CUTOFFS},
    }


def rectools_answers(inputs: Json) -> Json:
    import pandas as pd
    from rectools.metrics import MAP, MRR, NDCG, HitRate, PartialAUC, Precision, Recall

    metrics = {
        "precision": Precision,
        "recall": Recall,
        "hit_rate": HitRate,
        "mrr": MRR,
        "map": MAP,
        "ndcg": NDCG,
        "auc": PartialAUC,
    }
    reco = pd.DataFrame(
        [
            (user, item, rank)
            for user, items in enumerate(inputs["lists"])
            for rank, item in enumerate(items, 1)
        ],
        columns=["user_id", "item_id", "rank"],
    )
    test = pd.DataFrame(
        [(user, item) for user, items in enumerate(inputs["relevant"]) for item in items],
        columns=["user_id", "item_id"],
    )

    def per_user(metric: Any) -> dict[str, float]:
        values = metric.calc_per_user(reco, test)
        return {str(user): float(value) for user, value in values.items()}

    return {
        "versions": {"rectools": version("rectools"), "pandas": version("pandas")},
        "call": "rectools.metrics.Precision(k=k).calc_per_user(reco, test) and so on; PartialAUC for auc",
        "mean": {
            str(k): {name: float(metric(k=k).calc(reco, test)) for name, metric in metrics.items()}
            for k in CUTOFFS
        },
        "per_user": {
            str(k): {name: per_user(metric(k=k)) for name, metric in metrics.items()} for k in CUTOFFS
        },
    }


def sklearn_answers(inputs: Json) -> Json:
    from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

    def scores(items: list[int], k: int) -> Any:
        score = np.full(inputs["n_items"], -1000.0)
        score[items[:k]] = -np.arange(len(items[:k]))
        return score

    def truth(relevant: list[int]) -> Any:
        return np.isin(np.arange(inputs["n_items"]), relevant).astype(int)

    users = list(zip(inputs["lists"], inputs["relevant"], strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # average_precision_score warns where a user has nothing relevant
        per_user = {
            str(k): {
                "ndcg": [
                    float(ndcg_score([truth(relevant)], [scores(items, 10)], k=k))
                    for items, relevant in users
                ],
                "map": [
                    float(average_precision_score(truth(relevant), scores(items, k)))
                    for items, relevant in users
                ],
                "auc": [
                    float(roc_auc_score(truth(relevant), scores(items, k))) if relevant else None
                    for items, relevant in users
                ],
            }
            for k in CUTOFFS
        }
    return {
        "versions": {"scikit-learn": version("scikit-learn")},
        "call": "per user over the whole catalogue, score -rank and all others tied last: ndcg_score(k=k) of the list; "
        "average_precision_score and roc_auc_score of the list cut at k",
        "per_user": per_user,
        "pairs": _sklearn_pairs(inputs["pairs"]),
        "pairs_call": "sklearn.metrics functions on all pairs; relevant: actual >= 4; chosen: probability >= 0.5",
    }


def _sklearn_pairs(pairs: Json) -> Json:
    from sklearn import metrics

    relevant = np.array(pairs["actual"]) >= pairs["relevant_from"]
    probability = np.array(pairs["probability"])
    chosen = probability >= pairs["chosen_from"]
    return {
        "auc_global": float(metrics.roc_auc_score(relevant, probability)),
        "precision_global": float(metrics.precision_score(relevant, chosen)),
        "recall_global": float(metrics.recall_score(relevant, chosen)),
        "log_loss": float(metrics.log_loss(relevant, probability)),
        "rmse": float(metrics.root_mean_squared_error(pairs["actual"], probability)),
        "mae": float(metrics.mean_absolute_error(pairs["actual"], probability)),
    }


PEERS: dict[str, Callable[[Json], Json]] = {
    "implicit": implicit_answers,
    "lenskit": lenskit_answers,
    "rectools": rectools_answers,
    "sklearn": sklearn_answers,
}


def write(name: str, content: Json) -> None:
    text = json.dumps(content, indent=1, allow_nan=False)
    (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        if name == "inputs":
            write("inputs", make_inputs())
        else:
            write(name, PEERS[name](json.loads((HERE / "inputs.json").read_text())))
