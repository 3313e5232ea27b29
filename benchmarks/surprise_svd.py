"""The peer's side of ratings.py: fit Surprise's SVD once, in a Python that has scikit-surprise.

Usage: python surprise_svd.py FOLD.npz  (train and test, int64[n, 3] of user, item, rating)
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
import surprise


def main(fold: str) -> None:
    rows = np.load(fold)
    frame = pd.DataFrame(rows["train"], columns=["user", "item", "rating"])
    trainset = surprise.Dataset.load_from_df(
        frame, surprise.Reader(rating_scale=(1, 5))
    ).build_full_trainset()
    model = surprise.SVD(random_state=0)  # the defaults: 100 factors, 20 epochs
    start = time.perf_counter()
    model.fit(trainset)
    seconds = time.perf_counter() - start
    predictions = model.test([tuple(row) for row in rows["test"].tolist()])
    rmse = surprise.accuracy.rmse(predictions, verbose=False)
    versions = {name: version(name) for name in ("scikit-surprise", "numpy")}
    print(json.dumps({"seconds": seconds, "rmse": rmse, "versions": versions}))


if __name__ == "__main__":
    main(*sys.argv[1:])
