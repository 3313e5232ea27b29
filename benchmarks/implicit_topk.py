"""implicit's side of `topk.py`, run by the peers' Python: python implicit_topk.py arrays.npz k threads."""

import json
import sys
import time

import implicit
import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main() -> None:
    arrays = np.load(sys.argv[1])
    k, threads = int(sys.argv[2]), int(sys.argv[3])
    users, items = arrays["users"], arrays["items"]
    seen = csr_matrix(
        (np.ones(len(arrays["indices"]), np.float32), arrays["indices"], arrays["indptr"]),
        shape=(len(users), len(items)),
    )
    seen.sort_indices()
    model = AlternatingLeastSquares(factors=users.shape[1], num_threads=threads)
    model.user_factors, model.item_factors = users, items
    everyone = np.arange(len(users))
    for question in sys.stdin:
        if question.strip() == "version":
            print(json.dumps(implicit.__version__), flush=True)
            continue
        start = time.perf_counter()
        model.recommend(everyone, seen, N=k)
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
