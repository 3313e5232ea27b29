"""Datasets and catalogues on disk: Arrow tables and a JSON schema, written aside and renamed into place."""

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

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset, Schema
from tastemaker.data.history import History
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError

__all__ = [
    "load_catalogue",
    "load_dataset",
    "read_arrow",
    "save_catalogue",
    "save_dataset",
    "write_arrow",
    "written_aside",
]

_FORMAT = "tastemaker-dataset"
_VERSION = 1
_ID = "__id__"
_COLUMNS = ("user", "item", "value", "weight", "timestamp")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A fresh folder that becomes ``path`` when the block ends well, its files synced to disk; else it goes.

    What stood at ``path`` stands until then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    aside.mkdir()
    try:
        yield aside
        for file in sorted(aside.rglob("*")):
            sync(file)
        if path.exists():
            old = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
            path.rename(old)
            aside.rename(path)
            shutil.rmtree(old)
        else:
            aside.rename(path)
        sync(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sync(path: Path) -> None:
    """Have the system write a file or folder to disk, where it knows how to."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
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


def _vocabulary_table(vocabulary: Vocabulary, features: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({_ID: vocabulary.ids}).hstack(features)


def _split_vocabulary(table: pl.DataFrame, is_uuid: bool) -> tuple[Vocabulary, pl.DataFrame]:
    return Vocabulary(table[_ID], uuid=is_uuid), table.drop(_ID)


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
        write_arrow(folder / "interactions.arrow", pl.DataFrame({c: getattr(data, c) for c in _COLUMNS}))
        if data.context.width:
            write_arrow(folder / "context.arrow", data.context)
        meta = {"format": _FORMAT, "version": _VERSION, **_meta(data)}
        (folder / "dataset.json").write_text(json.dumps(meta, indent=1))
    return path


def load_dataset(path: Path) -> Dataset:
    """Read what :func:`save_dataset` wrote.

    Raises:
        DataError: if it is missing, damaged, foreign or newer.
    """
    try:
        meta = json.loads((path / "dataset.json").read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a saved Dataset: {error}") from error
    if meta.get("format") != _FORMAT or meta.get("version") != _VERSION:
        raise DataError(
            f"{path}: expected {_FORMAT} version {_VERSION}, got {meta.get('format')} {meta.get('version')}"
        )
    users, user_features = _split_vocabulary(read_arrow(path / "users.arrow"), meta["user_uuid"])
    items, item_features = _split_vocabulary(read_arrow(path / "items.arrow"), meta["item_uuid"])
    interactions = read_arrow(path / "interactions.arrow")
    context = read_arrow(path / "context.arrow") if (path / "context.arrow").exists() else pl.DataFrame()
    data = Dataset(
        **{c: interactions[c].to_numpy() for c in _COLUMNS},
        users=users,
        items=items,
        user_features=user_features,
        item_features=item_features,
        context=context,
        schema=_schema(meta),
    )
    if data.fingerprint != meta["fingerprint"]:
        raise DataError(f"{path} is damaged: its content does not match its fingerprint; save it again")
    return data


def save_catalogue(catalogue: Catalogue, folder: Path) -> dict[str, Any]:
    """Write the tables of ``catalogue`` into ``folder``; returns what :func:`load_catalogue` needs beside them."""
    history = catalogue.history
    write_arrow(folder / "users.arrow", _vocabulary_table(catalogue.users, catalogue.user_features))
    write_arrow(folder / "items.arrow", _vocabulary_table(catalogue.items, catalogue.item_features))
    write_arrow(folder / "offsets.arrow", pl.DataFrame({"indptr": history.indptr}))
    seen = {
        "item": history.indices,
        "value": history.value,
        "weight": history.weight,
        "timestamp": history.timestamp,
    }
    write_arrow(folder / "seen.arrow", pl.DataFrame(seen))
    return _meta(catalogue)


def load_catalogue(folder: Path, meta: Mapping[str, Any]) -> Catalogue:
    """Read what :func:`save_catalogue` wrote, mapped into memory.

    Raises:
        DataError: if a table is missing, damaged, or does not fit the others.
    """
    users, user_features = _split_vocabulary(read_arrow(folder / "users.arrow"), meta["user_uuid"])
    items, item_features = _split_vocabulary(read_arrow(folder / "items.arrow"), meta["item_uuid"])
    seen = read_arrow(folder / "seen.arrow")
    indptr = read_arrow(folder / "offsets.arrow")["indptr"].to_numpy()
    item = seen["item"].to_numpy()
    fits = (
        len(indptr) == len(users) + 1
        and indptr[0] == 0
        and indptr[-1] == len(item)
        and (np.diff(indptr) >= 0).all()
    )
    if not fits or (len(item) and not 0 <= item.min() <= item.max() < len(items)):
        raise DataError(f"{folder} is damaged: the seen items do not fit the users and items")
    history = History(indptr, item, *(seen[c].to_numpy() for c in ("value", "weight", "timestamp")))
    return Catalogue(
        users=users,
        items=items,
        user_features=user_features,
        item_features=item_features,
        history=history,
        schema=_schema(meta),
        fingerprint=meta["fingerprint"],
    )
