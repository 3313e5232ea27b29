"""Keys to the service: random, kept as SHA-256, each for some scopes only."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tastemaker.errors import DataError, StoreUnavailable
from tastemaker.service.store.database import Database
from tastemaker.service.store.tables import keys
from tastemaker.service.store.values import now
from tastemaker.service.store.writer import Writer

__all__ = ["BROWSER", "SCOPES", "Key", "Keys"]

SCOPES = ("recommend", "events", "catalogue", "admin")
BROWSER = ("recommend", "events")  # what a key that customers can read may do at most
_FRESH = 1.0  # seconds for which a key that was right is not looked up again
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Key:
    """What is known about a key; the key itself is not.

    Attributes:
        key_id: the part of it that may be shown.
        name: whose it is.
        scopes: what it opens; ``admin`` opens everything.
        created, revoked: microseconds since 1970; None if it has not been revoked.
    """

    key_id: str
    name: str
    scopes: frozenset[str]
    created: int
    revoked: int | None = None

    def opens(self, scope: str) -> bool:
        """Whether the key may be used for ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


class Keys:
    """The keys of one store. A key is ``tm_ID_SECRET``; the secret has 256 random bits.

    A right key is remembered for a few seconds, so that a request need not read the database; a key that was revoked by
    another process opens nothing after those. While the database cannot be read, keys that were right go on.
    """

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database, self._writer = database, writer
        self._right: dict[bytes, tuple[Key, float]] = {}
        self._lock = threading.Lock()

    def create(self, name: str, scopes: Iterable[str]) -> tuple[Key, str]:
        """A new key, and its text, which cannot be had again.

        Raises:
            DataError: for no scope, an unknown one, or no name.
        """
        chosen = frozenset(scopes)
        if not chosen or not chosen <= set(SCOPES):
            raise DataError(
                f"scopes: expected some of {', '.join(SCOPES)}, got {', '.join(sorted(chosen)) or 'none'}"
            )
        if not name.strip() or not name.isprintable():
            raise DataError(f"name: expected printable text that says whose key it is, got {name!r}")
        text = f"tm_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
        key = Key(text.split("_")[1], name, chosen, now())
        row = {
            "key_id": key.key_id,
            "name": name,
            "hash": _digest(text).hex(),
            "scopes": ",".join(s for s in SCOPES if s in chosen),
            "created": key.created,
        }
        self._writer.run(lambda connection: connection.execute(keys.insert(), row)).result()
        return key, text

    def verify(self, text: str) -> Key | None:
        """The key with this text; None for one that is wrong or revoked.

        Raises:
            StoreUnavailable: if the key is not remembered and the database cannot be read.
        """
        digest = _digest(text)
        with self._lock:
            key, since = self._right.get(digest, (None, 0.0))
            if key is not None and time.monotonic() - since < _FRESH:
                return key
            if key is not None:  # others need not wait for this look-up, nor repeat it at once if it fails
                self._right[digest] = (key, time.monotonic())
        try:
            found = self._look_up(text, digest)
        except StoreUnavailable:
            if key is None:
                raise
            return key
        self._remember(digest, found)
        return found

    def remembered(self, text: str) -> Key | None:
        """The key with this text, if it was right within the last seconds; the database is not asked."""
        with self._lock:
            key, since = self._right.get(_digest(text), (None, 0.0))
        return key if time.monotonic() - since < _FRESH else None

    def all(self) -> list[Key]:
        """All keys, the revoked ones too, oldest first."""
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(sa.select(keys).order_by(keys.c.created))]

    def revoke(self, key_id: str) -> bool:
        """Have the key open nothing any more, at once in this process; whether it was there and opened something."""
        statement = (
            keys.update().where(keys.c.key_id == key_id, keys.c.revoked.is_(None)).values(revoked=now())
        )
        changed = self._writer.run(lambda connection: connection.execute(statement).rowcount).result()
        with self._lock:
            self._right = {d: (key, at) for d, (key, at) in self._right.items() if key.key_id != key_id}
        return changed > 0

    def _look_up(self, text: str, digest: bytes) -> Key | None:
        parts = text.split("_", 2)
        key_id = parts[1] if len(parts) == 3 and parts[1].isalnum() else ""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(keys).where(keys.c.key_id == key_id)).one_or_none()
        kept = bytes.fromhex(row.hash) if row else bytes(32)
        same = hmac.compare_digest(kept, digest)  # as long for a wrong key as for a right one
        return _key(row) if row and same and row.revoked is None else None

    def _remember(self, digest: bytes, key: Key | None) -> None:
        with self._lock:
            self._right.pop(digest, None)
            if key is not None:
                while len(self._right) >= _REMEMBERED:
                    del self._right[next(iter(self._right))]
                self._right[digest] = (key, time.monotonic())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _key(row: sa.Row[Any]) -> Key:
    return Key(row.key_id, row.name, frozenset(row.scopes.split(",")), row.created, row.revoked)
