"""BPR against implicit's: seconds an epoch and the area under the ROC curve of held-out pairs, in turn on the same data.

    python benchmarks/bpr.py INTERACTIONS.npz [--epochs 5] [--rounds 2]      (a SciPy CSR matrix, users by items)

implicit runs in the peers' environment (`make peers`; TASTEMAKER_PEERS says where, default .venv-peers). Both use the same
number of threads. Wall time on a busy machine says little; processor time is printed beside it. implicit draws its negatives by
popularity, so our popularity negatives are the like-for-like line. Its learning rate is constant and ours falls to a twentieth,
so ours starts where the mean over the epochs is the same.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from tastemaker import BPR, Dataset
from tastemaker._native import isa, threads

HELD_OUT = 0.02


def parted(matrix: sp.csr_matrix) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray, np.ndarray]:
    """The training matrix; users, held-out items and unseen items of the test pairs."""
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    test = rng.random(matrix.nnz) < HELD_OUT
    train = sp.csr_matrix((matrix.data[~test], (rows[~test], matrix.indices[~test])), shape=matrix.shape)
    users, items, other = rows[test], matrix.indices[test], rng.integers(0, matrix.shape[1], test.sum())
    unseen = np.asarray(matrix[users, other]).ravel() == 0
    return train, users[unseen], items[unseen], other[unseen]


def area(users: np.ndarray, items: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    user, item, other = pairs
    x = np.einsum("nf,nf->n", users[user], items[item] - items[other])
    return float(((x > 0) + 0.5 * (x == 0)).mean())


def ours(
    data: Dataset, negatives: str, args: argparse.Namespace
) -> tuple[float, float, np.ndarray, np.ndarray]:
    rate = args.learning_rate / np.linspace(1, 0.05, args.epochs).mean()
    model = BPR(factors=args.factors, epochs=args.epochs, learning_rate=float(rate), negatives=negatives)
    start, start_cpu = time.perf_counter(), time.process_time()
    state = model.fit(data)._fitted.state
    wall, processor = time.perf_counter() - start, time.process_time() - start_cpu
    users = np.hstack([state.user_factors, np.ones((len(state.user_factors), 1), np.float32)])
    return wall, processor, users, np.hstack([state.item_factors, state.item_bias[:, None]])


def theirs(train: Path, args: argparse.Namespace) -> tuple[float, float, np.ndarray, np.ndarray]:
    python = Path(os.environ.get("TASTEMAKER_PEERS", ".venv-peers")) / "bin" / "python"
    out = train.with_name("implicit.npz")
    script = Path(__file__).with_name("implicit_bpr.py")
    words = [python, script, train, out, args.factors, args.epochs, args.learning_rate, threads()]
    said = subprocess.run(
        [str(word) for word in words],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    ).stdout
    facts, arrays = json.loads(said.splitlines()[-1]), np.load(out)
    return facts["wall"], facts["processor"], arrays["users"], arrays["items"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("interactions", type=Path)
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    matrix = sp.load_npz(args.interactions).tocsr()
    matrix.sort_indices()
    train, *pairs = parted(matrix)
    rows = train.tocoo()
    data = Dataset.from_interactions({"user": rows.row, "item": rows.col})
    user, item = (v.ids.to_numpy() for v in (data.users, data.items))
    print(
        f"{train.shape[0]:,} x {train.shape[1]:,}, {train.nnz:,} interactions; {threads()} threads, {isa()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.npz"
        sp.save_npz(file, train, compressed=False)
        for turn in range(args.rounds):
            for name in ("popularity", "uniform", "implicit"):
                if name == "implicit":
                    wall, processor, users, items = theirs(file, args)
                else:
                    wall, processor, coded_users, coded_items = ours(data, name, args)
                    users = np.zeros((train.shape[0], coded_users.shape[1]), np.float32)
                    items = np.zeros((train.shape[1], coded_items.shape[1]), np.float32)
                    users[user], items[item] = coded_users, coded_items
                figures = (
                    f"{wall / args.epochs:6.2f} s wall, {processor / args.epochs:6.2f} s processor an epoch"
                )
                print(f"round {turn + 1}  {name:10}  {figures}, area {area(users, items, tuple(pairs)):.4f}")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
