"""The peer's side of ratings_knn.py, run by a Python that has scikit-surprise.

Usage: python surprise_knn.py FOLD.npz OUT.npz  (FOLD: train and test, int64[n, 3] of user, item, rating)
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np


def main(fold: str, out: str) -> None:
    import pandas as pd
    import surprise

    rows = np.load(fold)
    frame = pd.DataFrame(rows["train"], columns=["user", "item", "rating"])
    trainset = surprise.Dataset.load_from_df(
        frame, surprise.Reader(rating_scale=(1, 5))
    ).build_full_trainset()
    asked = [tuple(row) for row in rows["test"].tolist()]
    answers, seconds = {}, {}
    for algorithm in ("KNNBasic", "KNNWithMeans"):
        for similarity in ("cosine", "pearson"):
            start = time.perf_counter()
            options = {"name": similarity, "user_based": True}
            model = getattr(surprise, algorithm)(k=40, min_k=1, sim_options=options, verbose=False)
            predictions = model.fit(trainset).test(asked)
            seconds[f"{algorithm} {similarity}"] = time.perf_counter() - start
            answers[f"{algorithm} {similarity}"] = np.array([p.est for p in predictions])
    np.savez(out, **answers)
    print(json.dumps({"version": version("scikit-surprise"), "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
