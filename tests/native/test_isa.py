"""Every instruction set, forced in a process of its own, gives the twin's answers, and the same bits with 1 and 2 threads."""

import json
import os
import subprocess
import sys

import pytest

from tastemaker._native import kernels

SCRIPT = """
import json
import numpy as np
from tastemaker._native import isa, set_threads
from tastemaker._native.dot import PackedItems, dot_scores, dot_scores_numpy
from tastemaker._native.topk import Rows, top_k, top_k_dot, top_k_numpy

rng = np.random.default_rng(3)
queries = rng.normal(size=(203, 29)).astype(np.float32)
items = PackedItems(rng.normal(size=(517, 29)).astype(np.float32), rng.normal(size=517).astype(np.float32))
rules = {
    "seen": Rows(np.arange(204, dtype=np.int64) * 9, rng.integers(0, 517, 203 * 9).astype(np.int32)),
    "mask": rng.random(517) < 0.8,
}

def answers(threads):
    set_threads(threads)
    return dot_scores(queries, items), *top_k_dot(queries, items, 10, **rules)

one, two = answers(1), answers(2)
print(json.dumps({
    "isa": isa(),
    "threads agree": all(a.tobytes() == b.tobytes() for a, b in zip(one, two)),
    "error": float(np.abs(one[0] - dot_scores_numpy(queries, items)).max()),
    "lists agree": bool((one[1] == top_k_numpy(one[0], 10, **rules).items).all()),
    "fused agrees": all(a.tobytes() == b.tobytes() for a, b in zip(one[1:], top_k(one[0], 10, **rules))),
}))
"""


@pytest.mark.parametrize("isa", ["baseline", "avx2", "avx512"])
def test_an_instruction_set_gives_the_twins_answers(isa):
    order = ["baseline", "avx2", "avx512"]
    if order.index(isa) > order.index(kernels.best_isa()):
        pytest.skip(f"this processor does not run {isa}")
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TASTEMAKER_ISA": isa},
        capture_output=True,
        text=True,
    )
    if f"No module named 'tastemaker._native._kernels_{isa}'" in run.stderr:
        pytest.skip(f"this build has no kernels for {isa}")
    assert run.returncode == 0, run.stderr
    got = json.loads(run.stdout)
    assert got.pop("error") < 2e-5
    assert got == {"isa": isa, "threads agree": True, "lists agree": True, "fused agrees": True}


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("TASTEMAKER_ISA", "sse9", "is not one of baseline, avx2, avx512"),
        ("TASTEMAKER_THREADS", "0", "is not a positive whole number"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(variable, value, message):
    run = subprocess.run(
        [sys.executable, "-c", "import tastemaker._native"],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert f"{variable}='{value}' {message}" in run.stderr
