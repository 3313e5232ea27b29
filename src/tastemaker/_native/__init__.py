"""The C++ kernels and, beside each, its NumPy twin: the specification that a reader trusts and that the tests compare with.

The extension is built once for each instruction set. The widest one that this processor runs is imported; the environment
variable ``TASTEMAKER_ISA`` (``baseline``, ``avx2`` or ``avx512``) forces another, and ``TASTEMAKER_THREADS`` sets how many
threads the kernels use (default: the processors that this process may run on).
"""

import importlib
import os
from typing import Any

__all__ = ["isa", "kernels", "set_threads", "threads"]

_ISAS = ("baseline", "avx2", "avx512")


def _load() -> Any:
    """Import the extension for the forced or the widest instruction set, else the next narrower one that was built."""
    baseline = importlib.import_module("tastemaker._native._kernels_baseline")
    forced = os.environ.get("TASTEMAKER_ISA", "").strip().lower()
    if forced and forced not in _ISAS:
        raise ImportError(f"TASTEMAKER_ISA={forced!r} is not one of {', '.join(_ISAS)}")
    best = _ISAS.index(baseline.best_isa())
    if forced:
        if _ISAS.index(forced) > best:
            raise ImportError(f"TASTEMAKER_ISA={forced} is set, but this processor runs at most {_ISAS[best]}")
        return importlib.import_module(f"tastemaker._native._kernels_{forced}")
    for isa in reversed(_ISAS[1 : best + 1]):
        try:
            return importlib.import_module(f"tastemaker._native._kernels_{isa}")
        except ModuleNotFoundError:  # this build left it out
            continue
    return baseline


def _default_threads() -> int:
    text = os.environ.get("TASTEMAKER_THREADS", "").strip()
    if text:
        if not text.isdigit() or int(text) < 1:
            raise ImportError(f"TASTEMAKER_THREADS={text!r} is not a positive whole number")
        return int(text)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


kernels: Any = _load()
_threads = _default_threads()


def isa() -> str:
    """The instruction set of the kernels in use: ``"baseline"``, ``"avx2"`` or ``"avx512"``."""
    return str(kernels.isa)


def threads() -> int:
    """How many threads the kernels use."""
    return _threads


def set_threads(count: int) -> None:
    """Let the kernels use ``count`` threads from now on. Results do not depend on it.

    Raises:
        ValueError: if ``count`` is below 1.
    """
    global _threads
    if count < 1:
        raise ValueError(f"threads must be at least 1, got {count}")
    _threads = int(count)
