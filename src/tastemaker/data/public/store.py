"""Where the public data sets lie: under ``TASTEMAKER_DATA``, else in the cache, else they are downloaded into it."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tastemaker.data.public.archive import unpack
from tastemaker.data.public.download import fetch
from tastemaker.data.public.registry import Source
from tastemaker.data.storage import written_aside
from tastemaker.errors import DataError

__all__ = ["cache", "find", "install"]


def cache() -> Path:
    """The folder for what was downloaded: ``TASTEMAKER_CACHE``, else ``tastemaker`` in the system's user cache."""
    if chosen := os.environ.get("TASTEMAKER_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "tastemaker"


def find(source: Source) -> Path | None:
    """The folder that has the data set, or None if it has to be downloaded.

    Raises:
        DataError: if the folder under ``TASTEMAKER_DATA`` lacks files.
    """
    if chosen := os.environ.get("TASTEMAKER_DATA"):
        root = Path(chosen).expanduser()
        if not root.is_dir():
            raise DataError(
                f"TASTEMAKER_DATA={chosen} is not a folder; correct it, or unset it to use the cache"
            )
        folder = root / source.folder
        if folder.is_dir():
            missing = [name for name in source.files if not (folder / name).is_file()]
            if missing:
                raise DataError(
                    f"{folder} lacks {', '.join(missing)} of {source.name}; put the published files there, or remove "
                    "the folder, and it is downloaded into the cache"
                )
            return folder
    folder = cache() / source.folder
    return folder if all((folder / name).is_file() for name in source.files) else None


def install(source: Source) -> Path:
    """The folder that has the data set, downloaded if need be.

    It is gathered under ``downloads`` in the cache, and becomes a folder of its own only when it is whole and checked; an
    interrupted download goes on with the next call.

    Raises:
        DataError: if it cannot be had; the message says where to put the files by hand.
    """
    folder = find(source)
    if folder is not None:
        return folder
    folder = cache() / source.folder
    waiting = cache() / "downloads" / source.folder
    try:
        waiting.mkdir(parents=True, exist_ok=True)
        with _one_process(waiting.with_suffix(".lock")):
            if find(source) is None:  # another process may have brought it meanwhile
                _bring(source, waiting, folder)
    except (DataError, OSError) as error:
        raise DataError(
            f"{source.name} is not here, and could not be had: {error}. Run it again to go on, or get "
            f"{' and '.join(d.url for d in source.downloads)} by hand and put {', '.join(source.files)} into {folder}"
        ) from error
    return folder


def _bring(source: Source, waiting: Path, folder: Path) -> None:
    files = [fetch(download.url, waiting / download.name, download.sha256) for download in source.downloads]
    with written_aside(folder) as aside:
        for file in files:
            if file.suffix == ".zip":
                unpack(file, aside)
            else:
                shutil.copyfile(file, aside / file.name)
        missing = [name for name in source.files if not (aside / name).is_file()]
        if missing:
            raise DataError(f"the download has no {', '.join(missing)}")
    shutil.rmtree(waiting)


@contextmanager
def _one_process(lock: Path) -> Iterator[None]:
    """Let one process at a time into the block, where the system has file locks (Windows: all of them)."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with open(lock, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
