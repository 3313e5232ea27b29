"""Every instruction set, forced in a process of its own, passes the tests of the kernels: the twins' answers, the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tastemaker import _native
from tastemaker._native import kernels

ORDER = ["baseline", "avx2", "avx512"]
HERE = Path(__file__)


@pytest.mark.parametrize("isa", ORDER)
def test_an_instruction_set_passes_the_tests_of_all_kernels(isa):
    if ORDER.index(isa) > ORDER.index(kernels.best_isa()):
        pytest.skip(f"this processor does not run {isa}")
    forced = {**os.environ, "TASTEMAKER_ISA": isa}
    chosen = subprocess.run(
        [sys.executable, "-c", "from tastemaker._native import isa; print(isa())"],
        env=forced,
        capture_output=True,
        text=True,
    )
    if f"No module named 'tastemaker._native._kernels_{isa}'" in chosen.stderr:
        pytest.skip(f"this build has no kernels for {isa}")
    assert chosen.stdout == f"{isa}\n", chosen.stderr
    if isa == _native.isa():
        return  # whose tests are beside this one
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(HERE.parent),
        f"--ignore={HERE}",
    ]
    run = subprocess.run(tests, env=forced, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


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
