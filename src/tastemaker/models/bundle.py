"""Saved models: versioned folders of JSON, Arrow and safetensors; never code.

DIR/CURRENT                     the name of the current version and the digest of its bundle.json
DIR/v0001/bundle.json           format, versions, what the catalogue means, every file with its size and digest
DIR/v0001/catalogue/*.arrow     one vocabulary, one table of seen items
DIR/v0001/models/NAME/          model.json (registered name, hyper-parameters, fields), state.safetensors, tables; of a
                                model made of others a folder for each of them, and all share the one catalogue
"""

import dataclasses
import json
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.history import History
from tastemaker.data.storage import (
    aside,
    digest_of,
    load_catalogue,
    read_arrow,
    save_catalogue,
    sync,
    sync_all,
    write_arrow,
)
from tastemaker.errors import BundleError, DataError, TastemakerError
from tastemaker.models import model_class
from tastemaker.models.base import Fitted, Recommender, State

__all__ = ["check_folder", "current_version", "load", "load_all", "notes_of", "promote", "save", "versions"]

FORMAT = "tastemaker-bundle"
VERSION = 1
_COLUMNS = ("indptr", "indices", "value", "weight", "timestamp")
_VERSION = re.compile(r"v[0-9]+")
_OURS = re.compile(r"CURRENT$|v[0-9]+$|\.CURRENT\.|\.version\.")  # a cut-off save may leave any of them
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def save(
    models: Mapping[str, Recommender[Any]], path: str | Path, *, notes: Mapping[str, Any] | None = None
) -> Path:
    """Save fitted models of one catalogue as a new version of the bundle in the folder ``path``, with JSON beside them.

    The version is written aside, synced and renamed; then the pointer is. Whatever was current before stays whole.

    Raises:
        NotFittedError: if a model has not been fitted.
        BundleError: if the folder holds something else, or the models were fitted on different data.
    """
    path = Path(path)
    check_folder(path)
    catalogues = [model.catalogue for model in models.values()]
    if not catalogues or not all(_same(c, catalogues[0]) for c in catalogues):
        raise BundleError("a bundle holds one or more models that were fitted on the same data")
    bad = [name for name in models if not _NAME.fullmatch(name)]
    if bad:
        raise BundleError(f"{bad[0]!r} is not a name for a model: letters, digits, '_', '-' and '.' only")
    with aside(path / "version") as folder:
        (folder / "catalogue").mkdir()
        meta = save_catalogue(catalogues[0], folder / "catalogue")
        for name, model in models.items():
            _save_model(model, folder / "models" / name)
        files = {
            f.relative_to(folder).as_posix(): _facts(f) for f in sorted(folder.rglob("*")) if f.is_file()
        }
        bundle = {
            "format": FORMAT,
            "version": VERSION,
            "models": list(models),
            "catalogue": meta,
            "files": files,
            "notes": dict(notes or {}),
        }
        (folder / "bundle.json").write_text(json.dumps(bundle, indent=1))
        digest = digest_of(folder / "bundle.json")
        version = _as_next_version(folder, path)
    _point(path, version, digest)
    return path


def check_folder(path: Path) -> None:
    """Refuse a folder into which a bundle cannot be saved, before the work that would be lost.

    Raises:
        BundleError: if it holds something else, is a file, or cannot be written to.
    """
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise BundleError(
            f"{path} cannot be a folder for models: {there} is no folder that can be written to"
        )
    if there == path and not all(_OURS.match(p.name) for p in path.iterdir()):
        raise BundleError(f"{path} exists and is not a bundle of saved models; choose another folder")


def _same(a: Catalogue, b: Catalogue) -> bool:
    """Whether two models can share one catalogue: the same ids, interactions and features."""
    return a is b or (
        a.fingerprint == b.fingerprint
        and a.schema == b.schema
        and (a.users.ids.dtype, a.items.ids.dtype) == (b.users.ids.dtype, b.items.ids.dtype)
        and a.user_features.equals(b.user_features)
        and a.item_features.equals(b.item_features)
    )


def _as_next_version(folder: Path, path: Path) -> str:
    """Move ``folder`` in as the first version that is free, which another save cannot take in between."""
    sync_all(folder)
    number = 1 + max((int(p.name[1:]) for p in path.iterdir() if _VERSION.fullmatch(p.name)), default=0)
    while True:
        try:
            folder.rename(path / f"v{number:04d}")
            return f"v{number:04d}"
        except OSError:
            if not (path / f"v{number:04d}").exists():
                raise
            number += 1


def _point(path: Path, version: str, digest: str) -> None:
    """Make ``version`` the current one, in one step."""
    pointer = path / f".CURRENT.{uuid.uuid4().hex}"
    pointer.write_text(json.dumps({"version": version, "sha256": digest}))
    sync(pointer)
    pointer.replace(path / "CURRENT")
    sync(path)


def load(path: str | Path, *, name: str | None = None, verify: bool = True) -> Recommender[Any]:
    """Load a saved model, its arrays mapped from disk.

    Args:
        path: the folder that ``save`` wrote.
        name: which model, if the bundle holds several; by default the first.
        verify: compare the digest of every file first. Without it only sizes and headers are checked: for large bundles
            on trusted disks.

    Raises:
        BundleError: if the bundle is missing, damaged, foreign or newer, with the reason.
    """
    models = load_all(path, verify=verify)
    if name is not None and name not in models:
        raise BundleError(f"{path} has no model {name!r}; it has: {', '.join(models)}")
    return models[name or next(iter(models))]


def load_all(
    path: str | Path, *, version: str | None = None, verify: bool = True
) -> dict[str, Recommender[Any]]:
    """All models of a bundle by name, over one shared catalogue; see :func:`load`. By default of the current version."""
    folder, bundle = _open(Path(path), version)
    try:
        _check_files(folder, bundle["files"], verify)
        catalogue = load_catalogue(folder / "catalogue", bundle["catalogue"])
        return {name: _load_model(folder / "models" / name, catalogue) for name in bundle["models"]}
    except BundleError:
        raise
    except (TastemakerError, KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise BundleError(f"{folder} is damaged: {error}") from error


def versions(path: str | Path) -> list[str]:
    """The names of the saved versions, oldest first; whether each can be loaded is another question."""
    found = [p.name for p in Path(path).iterdir() if _VERSION.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=lambda name: int(name[1:]))


def notes_of(path: str | Path, version: str) -> dict[str, Any]:
    """What was saved beside the models of a version."""
    return dict(_open(Path(path), version)[1].get("notes", {}))


def current_version(path: str | Path) -> str:
    """The version that :func:`load` reads.

    Raises:
        BundleError: if there is none.
    """
    return _current(Path(path))[0]


def promote(path: str | Path, version: str) -> None:
    """Make a saved version the current one, after a look at all of it.

    Raises:
        BundleError: if it is missing, damaged, foreign or newer; the current version stays.
    """
    path = Path(path)
    load_all(path, version=version)
    _point(path, version, digest_of(path / version / "bundle.json"))


def _current(path: Path) -> tuple[str, str]:
    try:
        pointer = json.loads((path / "CURRENT").read_text())
        version, digest = str(pointer["version"]), str(pointer["sha256"])
    except OSError as error:
        raise BundleError(f"{path} is not a saved model: it has no file CURRENT") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is damaged: CURRENT does not name a version") from error
    if not _VERSION.fullmatch(version):
        raise BundleError(f"{path} is damaged: CURRENT names {version!r}")
    return version, digest


def _open(path: Path, version: str | None) -> tuple[Path, dict[str, Any]]:
    """A version of the bundle, by default the current one, whose index must be as it was saved."""
    current, digest = _current(path) if version is None else (version, None)
    if not _VERSION.fullmatch(current):
        raise BundleError(f"{current!r} is not the name of a version, such as v0001")
    folder = path / current
    if not (folder / "bundle.json").is_file():
        raise BundleError(f"{path} is damaged: {current}/bundle.json is missing")
    if digest is not None and digest_of(folder / "bundle.json") != digest:
        raise BundleError(f"{folder} is damaged: bundle.json was changed after it was saved")
    try:
        bundle: dict[str, Any] = dict(json.loads((folder / "bundle.json").read_text()))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{folder} is damaged: bundle.json cannot be read") from error
    if bundle.get("format") != FORMAT:
        raise BundleError(f"{folder} is not a bundle of this package: its format is {bundle.get('format')!r}")
    if bundle.get("version") != VERSION:
        raise BundleError(
            f"{folder} has format version {bundle.get('version')}, this package reads {VERSION}; upgrade tastemaker"
        )
    return folder, bundle


def _check_files(folder: Path, files: Mapping[str, Any], verify: bool) -> None:
    for name, facts in files.items():
        file = folder / name
        if not file.is_file():
            raise BundleError(f"{folder} is damaged: {name} is missing")
        if file.stat().st_size != facts["size"]:
            raise BundleError(
                f"{folder} is damaged: {name} has {file.stat().st_size} bytes instead of {facts['size']}"
            )
        if (verify or name.endswith(".json")) and digest_of(file) != facts["sha256"]:
            raise BundleError(f"{folder} is damaged: {name} was changed after it was saved")


def _facts(file: Path) -> dict[str, Any]:
    return {"size": file.stat().st_size, "sha256": digest_of(file)}


def _save_model(model: Recommender[Any], folder: Path) -> None:
    folder.mkdir(parents=True)
    state = model._fitted.state
    arrays: dict[str, NDArray[Any]] = {}
    kinds: dict[str, str] = {}
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(state):
        value = getattr(state, field.name)
        if isinstance(value, np.ndarray):
            kinds[field.name] = "array"
            arrays[field.name] = np.ascontiguousarray(value)
        elif isinstance(value, tuple) and all(isinstance(part, np.ndarray) for part in value):
            kinds[field.name] = "arrays"
            plain[field.name] = len(value)
            arrays |= {f"{field.name}.{n}": np.ascontiguousarray(part) for n, part in enumerate(value)}
        elif isinstance(value, History):
            kinds[field.name] = "history"
            arrays |= {f"{field.name}.{c}": np.ascontiguousarray(getattr(value, c)) for c in _COLUMNS}
        elif isinstance(value, pl.DataFrame):
            kinds[field.name] = "table"
            write_arrow(folder / f"{field.name}.arrow", value)
        elif isinstance(value, Mapping) and all(isinstance(m, Recommender) for m in value.values()):
            kinds[field.name] = "models"
            plain[field.name] = list(value)
            for name, member in value.items():
                _save_model(member, folder / field.name / name)
        else:
            kinds[field.name] = "plain"
            plain[field.name] = value
    save_file(arrays, folder / "state.safetensors")
    facts = {"model": model.name, "parameters": model.saved_parameters(), "fields": kinds, "plain": plain}
    (folder / "model.json").write_text(json.dumps(facts, indent=1))


def _load_model(folder: Path, catalogue: Catalogue) -> Recommender[Any]:
    facts = json.loads((folder / "model.json").read_text())
    kind = model_class(facts["model"])
    arrays = _map_arrays(folder / "state.safetensors")
    values: dict[str, Any] = {}
    for name, what in facts["fields"].items():
        if what == "array":
            values[name] = arrays[name]
        elif what == "arrays":
            values[name] = tuple(arrays[f"{name}.{n}"] for n in range(facts["plain"][name]))
        elif what == "history":
            values[name] = History(*(arrays[f"{name}.{c}"] for c in _COLUMNS))
        elif what == "table":
            values[name] = read_arrow(folder / f"{name}.arrow")
        elif what == "models":
            members = facts["plain"][name]
            values[name] = {m: _load_model(folder / name / m, catalogue) for m in members}
        else:
            values[name] = facts["plain"][name]
    model: Recommender[Any] = kind(**facts["parameters"])
    state: State = kind.state_type(**values)
    model._hold(Fitted(state, catalogue))
    return model


def _map_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, mapped. The library checks the header; the offsets are then safe to use."""
    with safe_open(file, framework="numpy") as checked:
        names = list(checked.keys())
    with file.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(size))
    content = np.memmap(file, np.uint8, "r") if names else np.empty(0, np.uint8)
    arrays = {}
    for name in names:
        start, stop = (8 + size + offset for offset in header[name]["data_offsets"])
        dtype = _DTYPES.get(header[name]["dtype"])
        if dtype is None:
            raise DataError(f"{file} has an array of type {header[name]['dtype']}, which no model here saves")
        arrays[name] = np.asarray(content[start:stop]).view(dtype).reshape(header[name]["shape"])
    return arrays


_DTYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "U32": np.uint32,
    "I64": np.int64,
    "U64": np.uint64,
    "F32": np.float32,
    "F64": np.float64,
}
