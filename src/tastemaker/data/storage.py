"""Datasets and catalogues on disk: Arrow tables and a JSON schema, written aside and renamed into place."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.columns import constant, is_constant
from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.past import Past
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError

__all__ = [
    "aside",
    "digest_of",
    "load_catalogue",
    "load_dataset",
    "read_arrow",
    "save_catalogue",
    "save_dataset",
    "sync",
    "sync_all",
    "write_arrow",
    "written_aside",
]

_FORMAT = "tastemaker-dataset"
_VERSION = 1
_ID = "id"
_FEATURE = "feature:"  # before the names of features, which may be called anything
_NUMBERS = {"value": "float32", "weight": "float32", "timestamp": "int64"}


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A fresh folder beside ``path``, gone after the block unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A fresh folder that becomes ``path`` when the block ends well, its files synced to disk; else it goes.

    What stood at ``path`` stands until then.
    """
    with aside(path) as folder:
        yield folder
        sync_all(folder)
        with aside(path) as old:
            if path.exists():
                path.rename(old / path.name)
            try:
                folder.rename(path)
            except OSError:
                if (old / path.name).exists() and not path.exists():
                    (old / path.name).rename(path)
                raise
        sync(path.parent)


def sync_all(folder: Path) -> None:
    """:func:`sync` everything in a folder."""
    for file in sorted(folder.rglob("*")):
        sync(file)


def sync(path: Path) -> None:
    """Have the system write a file or folder to disk, where it knows how to."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(
        path, os.O_RDWR if os.name == "nt" else os.O_RDONLY
    )  # Windows flushes what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_arrow(path: Path, table: pl.DataFrame) -> None:
    """Write a table as uncompressed Arrow IPC, which can be mapped into memory."""
    table.write_ipc(path, compression="uncompressed")


def read_arrow(path: Path) -> pl.DataFrame:
    """Map an Arrow IPC file into memory.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        with pa.memory_map(str(path)) as source:
            return pl.DataFrame(pa.ipc.open_file(source).read_all())
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is missing or damaged: {error}") from error


def _write_columns(
    path: Path, numbers: Dataset | History, codes: Mapping[str, NDArray[np.int32]]
) -> dict[str, float]:
    """Write codes and numbers as one record batch, to be mapped as it is; returns the constant columns, which are not in it."""
    columns = {name: getattr(numbers, name) for name in _NUMBERS}
    constants = {name: column[0].item() for name, column in columns.items() if is_constant(column)}
    table = pa.table({**codes, **{n: c for n, c in columns.items() if n not in constants}})
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)
    return constants


def _read_columns(path: Path, constants: Mapping[str, float]) -> dict[str, NDArray[Any]]:
    """What :func:`_write_columns` wrote, mapped into memory."""
    table = read_arrow(path)
    columns = {name: table[name].to_numpy() for name in table.columns}
    for name, value in constants.items():
        columns[name] = constant(np.array(value, _NUMBERS[name]), table.height)
    return columns


def _vocabulary_table(vocabulary: Vocabulary, features: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame([vocabulary.ids.alias(_ID)]).hstack(features.rename(_FEATURE.__add__))


def _split_vocabulary(table: pl.DataFrame, is_uuid: bool) -> tuple[Vocabulary, pl.DataFrame]:
    features = table.drop(_ID).rename(lambda name: name.removeprefix(_FEATURE))
    return Vocabulary(table[_ID], uuid=is_uuid), features


def _meta(data: Dataset | Catalogue) -> dict[str, Any]:
    return {
        "schema": asdict(data.schema),
        "user_uuid": data.users.uuid,
        "item_uuid": data.items.uuid,
        "fingerprint": data.fingerprint,
    }


def _schema(meta: Mapping[str, Any]) -> Schema:
    fields = dict(meta["schema"])
    if fields["scale"] is not None:
        fields["scale"] = tuple(fields["scale"])
    return Schema(**fields)


def save_dataset(data: Dataset, path: Path) -> Path:
    """Write ``data`` into the folder ``path``, replacing a saved Dataset that is there.

    Raises:
        DataError: if something else is there.
    """
    if path.exists() and not (path / "dataset.json").is_file():
        raise DataError(f"{path} exists and is not a saved Dataset; choose another folder")
    with written_aside(path) as folder:
        write_arrow(folder / "users.arrow", _vocabulary_table(data.users, data.user_features))
        write_arrow(folder / "items.arrow", _vocabulary_table(data.items, data.item_features))
        constants = _write_columns(
            folder / "interactions.arrow", data, {"user": data.user, "item": data.item}
        )
        if data.context.width:
            write_arrow(folder / "context.arrow", data.context)
        files = {file.name: digest_of(file) for file in sorted(folder.iterdir())}
        meta = {"format": _FORMAT, "version": _VERSION, "files": files, "constants": constants, **_meta(data)}
        (folder / "dataset.json").write_text(json.dumps(meta, indent=1))
    return path


def load_dataset(path: Path) -> Dataset:
    """Read what :func:`save_dataset` wrote.

    Raises:
        DataError: if it is missing, damaged, foreign or newer.
    """
    try:
        meta = json.loads((path / "dataset.json").read_text())
        found = (meta["format"], meta["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a saved Dataset: {error}") from error
    if found != (_FORMAT, _VERSION):
        raise DataError(f"{path}: expected {_FORMAT} version {_VERSION}, got {found[0]} {found[1]}")
    try:
        _check_digests(path, meta["files"])
        return _read_dataset(path, meta)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged: dataset.json lacks {error}") from error


def _check_digests(path: Path, files: Mapping[str, str]) -> None:
    for name, digest in files.items():
        if not (path / name).is_file() or digest_of(path / name) != digest:
            raise DataError(
                f"{path / name} is missing or damaged: it does not match its fingerprint; save the Dataset again"
            )


def digest_of(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _read_dataset(path: Path, meta: Mapping[str, Any]) -> Dataset:
    users, user_features = _split_vocabulary(read_arrow(path / "users.arrow"), meta["user_uuid"])
    items, item_features = _split_vocabulary(read_arrow(path / "items.arrow"), meta["item_uuid"])
    columns = _read_columns(path / "interactions.arrow", meta["constants"])
    context = read_arrow(path / "context.arrow") if (path / "context.arrow").exists() else pl.DataFrame()
    return Dataset(
        **columns,
        users=users,
        items=items,
        user_features=user_features,
        item_features=item_features,
        context=context,
        schema=_schema(meta),
    )


def save_catalogue(catalogue: Catalogue, folder: Path) -> dict[str, Any]:
    """Write the tables of ``catalogue`` into ``folder``; returns what :func:`load_catalogue` needs beside them."""
    history = catalogue.history
    write_arrow(folder / "users.arrow", _vocabulary_table(catalogue.users, catalogue.user_features))
    write_arrow(folder / "items.arrow", _vocabulary_table(catalogue.items, catalogue.item_features))
    write_arrow(folder / "offsets.arrow", pl.DataFrame({"indptr": history.indptr}))
    constants = _write_columns(folder / "seen.arrow", history, {"item": history.indices})
    return {"constants": constants, **_meta(catalogue)}


def load_catalogue(folder: Path, meta: Mapping[str, Any]) -> Catalogue:
    """Read what :func:`save_catalogue` wrote, mapped into memory.

    Raises:
        DataError: if a table is missing, damaged, or does not fit the others.
    """
    users, user_features = _split_vocabulary(read_arrow(folder / "users.arrow"), meta["user_uuid"])
    items, item_features = _split_vocabulary(read_arrow(folder / "items.arrow"), meta["item_uuid"])
    seen = _read_columns(folder / "seen.arrow", meta["constants"])
    indptr = read_arrow(folder / "offsets.arrow")["indptr"].to_numpy()
    item = seen.pop("item")
    fits = (
        len(indptr) == len(users) + 1
        and indptr[0] == 0
        and indptr[-1] == len(item)
        and (np.diff(indptr) >= 0).all()
    )
    if not fits or (len(item) and not 0 <= item.min() <= item.max() < len(items)):
        raise DataError(f"{folder} is damaged: the seen items do not fit the users and items")
    return Catalogue(
        users=users,
        items=items,
        user_features=user_features,
        item_features=item_features,
        past=Past(History(indptr, item, **seen)),
        schema=_schema(meta),
        fingerprint=meta["fingerprint"],
    )
