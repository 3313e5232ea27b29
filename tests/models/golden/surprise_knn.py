"""Make surprise_knn.json: what Surprise's neighborhood models predict on a small random table.

Run with a Python that has scikit-surprise: python tests/models/golden/surprise_knn.py
"""

import json
import random
import sys
from importlib.metadata import version
from pathlib import Path

CONFIGS = [
    {"algorithm": algorithm, "similarity": similarity, "k": k, "min_support": support}
    for algorithm in ("KNNBasic", "KNNWithMeans")
    for similarity in ("cosine", "pearson")
    for k in (40, 3)
    for support in (1, 3)
]


def table(seed: int = 0, users: int = 25, items: int = 15) -> list[tuple[str, str, float]]:
    """Whole ratings, in random order, so that many similarities are equal and Pearson's are often negative."""
    rng = random.Random(seed)
    pairs = [(u, i) for u in range(users) for i in range(items) if rng.random() < 0.45]
    rng.shuffle(pairs)
    return [(f"u{u}", f"i{i}", float(rng.randint(1, 5))) for u, i in pairs]


def main() -> None:
    import pandas as pd
    import surprise

    rows = table()
    frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
    trainset = surprise.Dataset.load_from_df(
        frame, surprise.Reader(rating_scale=(1, 5))
    ).build_full_trainset()
    rated = {(u, i) for u, i, _ in rows}
    asked = [(u, i) for u in sorted({r[0] for r in rows}) for i in sorted({r[1] for r in rows})]
    asked = [pair for pair in asked if pair not in rated]
    answers = []
    for config in CONFIGS:
        options = {"name": config["similarity"], "user_based": True, "min_support": config["min_support"]}
        model = getattr(surprise, config["algorithm"])(
            k=config["k"], min_k=1, sim_options=options, verbose=False
        )
        model.fit(trainset)
        answers.append({**config, "predictions": [model.predict(u, i).est for u, i in asked]})
    made = {"scikit-surprise": version("scikit-surprise"), "python": sys.version.split()[0]}
    golden = {"made_with": made, "ratings": rows, "asked": asked, "answers": answers}
    Path(__file__).with_suffix(".json").write_text(json.dumps(golden))


if __name__ == "__main__":
    main()
