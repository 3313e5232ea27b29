"""The files of the NCF paper for MovieLens-1M: what others have reached on them, and our models for them."""

import tastemaker as tm
from accuracy_lists import Entry, Task
from tastemaker.evaluation.search_spaces import Choice, Range

NCF = Task(
    title="Accuracy on NCF's MovieLens-1M files",
    data="ncf-ml-1m",
    fold="test",
    metrics=("hit_rate@10", "ndcg@10"),
    chooses="ndcg@10",
    held_out=None,
    sampled=99,
    published={
        "iALS of irspack, 192 factors": (0.7310, 0.4521),
        "matrix factorization (Rendle et al., 2020)": (0.7294, 0.4523),
        "EASE, as published": (0.7192, 0.4494),
        "NeuMF, as published by others": (0.7093, 0.4349),
        "ItemKNN, as published": (0.6694, 0.3979),
        "TopPopular, as published": (0.4533, 0.2542),
    },
    least=(),
    entries=(
        Entry("TopPopular", tm.Popularity(), published=(0.4533, 0.2542)),
        Entry(
            "ImplicitALS",
            # the search starts where the literature stands
            tm.ImplicitALS(factors=192, epochs=12, regularization=0.007, unobserved_weight=0.3),
            space={
                "factors": Range(64, 512, log=True),
                "epochs": Range(5, 30, log=True),
                "regularization": Range(0.001, 0.03, log=True),
                "unobserved_weight": Range(0.03, 1.0, log=True),
            },
            trials=60,
            found={
                "factors": 215,
                "epochs": 19,
                "regularization": 0.006673952063839234,
                "unobserved_weight": 0.3212004544294536,
            },
            validation=0.5040,
            seeds=(0, 1, 2),
            least=(0.728, 0.449),
        ),
        Entry(
            "NeuMF",
            # GMF and MLP are learned alone first, as in the paper; a finer search costs hours
            tm.NeuMF(
                factors=64,
                tower=(128, 64, 32, 16),
                negatives=8,
                pretraining=7,
                decay=True,
                epochs=1,
                batch_size=4096,
            ),
            space={
                "learning_rate": Choice((0.002, 0.003, 0.004)),
                "regularization": Choice((1e-6, 1.5e-6, 2.5e-6, 3.5e-6)),
            },
            trials=6,
            found={"learning_rate": 0.004, "regularization": 2.5e-6},
            validation=0.4913,
            seeds=(0, 1, 2),
            least=(0.705, 0.430),
        ),
        Entry(
            "EASE",
            tm.EASE(),
            space={"regularization": Range(50.0, 5000.0, log=True)},
            trials=20,
            found={"regularization": 994.5364607221011},
            validation=0.4989,
        ),
        Entry("GraphFilter, as GF-CF", tm.GraphFilter()),
        Entry(
            "ItemKNN",
            tm.ItemKNN(),
            space={
                "neighbors": Range(10, 500, log=True),
                "similarity": Choice(("cosine", "jaccard", "bm25")),
            },
            trials=15,
            found={"neighbors": 214, "similarity": "bm25"},
            validation=0.4269,
        ),
    ),
)
