"""Files from the web: resumed after an interruption, checked, and never half there under their own name."""

import hashlib
import time
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tastemaker.errors import DataError
from tastemaker.progress import current

__all__ = ["fetch"]

_CHUNK = 1 << 16
_TIMEOUT = 30.0
_AGENT = "tastemaker (https://pypi.org/project/tastemaker)"


def fetch(url: str, target: Path, sha256: str, attempts: int = 3, pause: float = 1.0) -> Path:
    """Download ``url`` to ``target``, unless it is there.

    Bytes gather in ``target.part``, which a later call goes on with; it becomes ``target`` only when its SHA-256 is
    right, and is deleted when it is wrong.

    Args:
        url: what to download, over HTTP or HTTPS.
        target: the file to make.
        sha256: the digest it must have, in hexadecimal.
        attempts: how often to connect in all, when the connection fails or drops.
        pause: seconds before the second attempt; each further pause is twice as long.

    Raises:
        DataError: if the server refuses, the connection keeps failing, or the file is not the expected one.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    resumed = part.exists()
    _receive(url, part, attempts, pause)
    found = _sha256(part)
    if found != sha256 and resumed:  # what lay there may have been of another version
        part.unlink()
        _receive(url, part, attempts, pause)
        found = _sha256(part)
    if found != sha256:
        size = part.stat().st_size
        part.unlink()
        raise DataError(
            f"{url} is not the expected file: SHA-256 {found} over {size:,} bytes, expected {sha256}. "
            "It was truncated or changed on the way, or its publisher changed it; nothing of it was kept"
        )
    return part.replace(target)


def _receive(url: str, part: Path, attempts: int, pause: float) -> None:
    """Bring ``part`` to the length that the server announces, in several connections if need be."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _connect(url, part)
            return
        except HTTPError as error:
            error.close()
            reason = f"the server answered {error.code} {error.reason}"
            if error.code == 416:  # nothing beyond what is there: either it is whole, or of another version
                return
            if error.code < 500:
                break
        except (OSError, HTTPException) as error:
            reason = f"{getattr(error, 'reason', error) or type(error).__name__}"
    kept = part.stat().st_size if part.exists() else 0
    raise DataError(
        f"{url} could not be downloaded: {reason}" + (f" ({kept:,} bytes are kept)" if kept else "")
    )


def _connect(url: str, part: Path) -> None:
    """One connection: append what is missing, or start over where the server sends the whole file."""
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": _AGENT} | ({"Range": f"bytes={done}-"} if done else {})
    response: HTTPResponse
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:
        goes_on = response.status == 206 and _first_byte(response.headers) == done
        done = done if goes_on else 0
        length = int(response.headers.get("Content-Length") or 0)
        name = url.rsplit("/", 1)[-1]
        with (
            open(part, "ab" if goes_on else "wb") as file,
            current().start(f"download {name}", done + length, "byte") as task,
        ):
            task.advance(done)
            received = 0
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
                task.advance(len(chunk))
    if received < length:
        raise ConnectionError(f"the connection ended after {done + received:,} of {done + length:,} bytes")


def _first_byte(headers: Message) -> int | None:
    """Where a partial answer starts: ``Content-Range: bytes 100-199/200`` gives 100."""
    found = (headers.get("Content-Range") or "").removeprefix("bytes ").partition("-")[0]
    return int(found) if found.isdigit() else None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
