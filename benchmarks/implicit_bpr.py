"""implicit's side of `bpr.py`, run by the peers' Python: python implicit_bpr.py train.npz out.npz factors epochs rate threads."""

import json
import sys
import time

import implicit
import numpy as np
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import load_npz


def main() -> None:
    train = load_npz(sys.argv[1]).tocsr()
    factors, epochs, threads = int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[6])
    model = BayesianPersonalizedRanking(
        factors=factors - 1,  # it adds one for the items' biases
        iterations=epochs,
        learning_rate=float(sys.argv[5]),
        regularization=0.01,
        num_threads=threads,
        random_state=0,
    )
    start, start_cpu = time.perf_counter(), time.process_time()
    model.fit(train, show_progress=False)
    wall, processor = time.perf_counter() - start, time.process_time() - start_cpu
    np.savez(sys.argv[2], users=model.user_factors, items=model.item_factors)
    print(json.dumps({"version": implicit.__version__, "wall": wall, "processor": processor}))


if __name__ == "__main__":
    main()
