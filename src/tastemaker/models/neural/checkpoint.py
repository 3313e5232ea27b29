"""Checkpoints of a training: one safetensors file with a JSON head, written aside, synced and renamed; no pickle."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tastemaker.data.storage import sync
from tastemaker.errors import FitError

__all__ = ["read_checkpoint", "refuse_place", "write_checkpoint"]

_HEAD = "tastemaker"
_FORMAT = "tastemaker-checkpoint-1"


def refuse_place(path: Path) -> None:
    """Refuse a place where no checkpoint can be written, before there is one to lose.

    Raises:
        FitError: if it is a folder, or its folder can be neither made nor written to.
    """
    if path.is_dir():
        raise FitError(f"checkpoint {path} is a folder; name a file")
    part = _beside(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.unlink()


def write_checkpoint(
    path: Path,
    facts: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, Tensor]],
    optimizers: Sequence[torch.optim.Optimizer],
) -> None:
    """Replace the checkpoint ``path`` in one step; until then the one before stands.

    Args:
        path: a file; its folder is made if it is missing.
        facts: what JSON can hold, ``identity`` among it.
        weights: named sets of weights.
        optimizers: saved whole, with their moments and settings.

    Raises:
        FitError: if it cannot be written.
    """
    tensors = {f"{kind}/{name}": value for kind, named in weights.items() for name, value in named.items()}
    states = [
        _unpacked(optimizer.state_dict(), f"optimizer/{n}", tensors) for n, optimizer in enumerate(optimizers)
    ]
    head = {"format": _FORMAT, **facts, "kinds": list(weights), "optimizers": states}
    part = _beside(path)
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(kept, part, metadata={_HEAD: json.dumps(head)})
        sync(part)
        part.replace(path)
        sync(path.parent)


def _beside(path: Path) -> Path:
    """Where a checkpoint is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise FitError(f"checkpoint {path} cannot be written: {error}; name another place") from error


def read_checkpoint(
    path: Path, identity: Mapping[str, Any], optimizers: Sequence[torch.optim.Optimizer]
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The facts and weights of a checkpoint; the optimizers go on from where they were.

    Raises:
        FitError: if it is damaged, or of a fit with another ``identity``, with the first thing that differs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads((file.metadata() or {})[_HEAD])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if head["format"] != _FORMAT:
            raise FitError(f"checkpoint {path} has format {head['format']!r}, this package reads {_FORMAT!r}")
        _check_identity(path, head["identity"], json.loads(json.dumps(identity)))
        weights = {kind: _named(tensors, f"{kind}/") for kind in head["kinds"]}
        for n, (optimizer, state) in enumerate(zip(optimizers, head["optimizers"], strict=True)):
            optimizer.load_state_dict(_packed(state, _named(tensors, f"optimizer/{n}/")))
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        if isinstance(error, FitError):
            raise
        raise FitError(f"checkpoint {path} is damaged: {error}; delete it to start anew") from error
    return head, weights


def _check_identity(path: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in wanted:
        if saved.get(key) != wanted[key]:
            raise FitError(
                f"checkpoint {path} is of another fit: its {key} is {saved.get(key)!r}, here it is {wanted[key]!r}; "
                "delete it to start anew, or name another file"
            )


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _unpacked(state: Mapping[str, Any], prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """An optimizer's state as JSON can hold it; its tensors go to ``tensors``."""
    numbers: dict[str, dict[str, Any]] = {}
    for place, entries in state["state"].items():
        numbers[str(place)] = {k: v for k, v in entries.items() if not isinstance(v, Tensor)}
        tensors |= {f"{prefix}/{place}/{k}": v for k, v in entries.items() if isinstance(v, Tensor)}
    return {"numbers": numbers, "groups": state["param_groups"]}


def _packed(saved: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """What :func:`_unpacked` took apart."""
    state: dict[int, dict[str, Any]] = {
        int(place): dict(numbers) for place, numbers in saved["numbers"].items()
    }
    for name, value in tensors.items():
        place, _, key = name.partition("/")
        state[int(place)][key] = value
    groups = [
        {k: tuple(v) if isinstance(v, list) and k != "params" else v for k, v in group.items()}
        for group in saved["groups"]
    ]
    return {"state": state, "param_groups": groups}
