"""Zip archives, unpacked so that nothing lands outside the folder."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tastemaker.errors import DataError

__all__ = ["unpack"]


def unpack(archive: Path, folder: Path) -> None:
    """Unpack ``archive`` into ``folder``; a single folder at its top is left out.

    Raises:
        DataError: if it is no zip archive, a checksum is wrong, or a member would land outside ``folder`` or is a link.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [m for m in opened.infolist() if not m.is_dir()]
            paths = [_safe(archive, member) for member in members]
            tops = {path.parts[0] for path in paths}
            inner = len(tops) == 1 and all(len(path.parts) > 1 for path in paths)
            for member, path in zip(members, paths, strict=True):
                target = folder.joinpath(*path.parts[inner:])
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, open(target, "xb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, FileExistsError, NotImplementedError) as error:
        raise DataError(f"{archive} is not a usable zip archive: {error}") from error


def _safe(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    path = PurePosixPath(member.filename)
    strange = "\\" in member.filename or ":" in member.filename
    if strange or path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise DataError(
            f"{archive} was not unpacked: {member.filename!r} would be a link or lie outside the folder"
        )
    return path
