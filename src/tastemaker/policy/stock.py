"""The items of a live catalogue: what came, changed and went since the fit, and what is taken these days."""

import heapq
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.policy.content import ContentIndex, Nearest
from tastemaker.policy.shelf import DAY, LIKE, MOST_NEW, Shelf, Windows, highest

__all__ = ["NewItem", "Stock"]

_NEW_FOR = 14 * DAY  # an item counts as new so long
_MINUTE = 60_000_000
_AHEAD = 3_600_000_000  # an event that claims to be of a later time counts as of now and an hour
_OLDEST = (
    20  # half-lives after which what was taken before the fit fades no more, so that there are trends at all
)
_FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item as it is put into a live catalogue.

    Attributes:
        item_id: text.
        features: by column; what is not named is null. Values that do not fit a column's type are null.
        added: microseconds since 1970; by default now for an item that was not known.
        start, end: when it may be shown: from ``start`` and before ``end``; None for always.
    """

    item_id: str
    features: Mapping[str, Any] = field(default_factory=dict)
    added: int | None = None
    start: int | None = None
    end: int | None = None


class Stock:
    """Keeps what has changed, and makes shelves of it. One writer at a time; counting events has its own lock."""

    def __init__(
        self, shelf: Shelf, index: ContentIndex, half_life_days: float, trending: int, now: int
    ) -> None:
        """The stock of a shelf to which nothing has happened yet; ``trending`` is how many items are."""
        self.shelf = shelf
        self._index = index
        self._known = shelf.catalogue.popularity > 0
        self._ids: list[str] = []
        ids = shelf.catalogue.items.decode_list(np.arange(shelf.arrivals.first, dtype=np.int32))
        self._codes: dict[str, int] = {item: code for code, item in enumerate(ids)}
        self._added = dict.fromkeys(shelf.fresh.tolist(), now)
        self._fresh, self._fresh_at = shelf.fresh, now
        self._windows: dict[int, tuple[int, int]] = {}
        self._withdrawn: set[int] = set()
        self._half_life = half_life_days * DAY
        self._most = trending
        self._origin = self._now = now
        times = shelf.catalogue.history.timestamp
        age = max(0, now - int(times.max())) / self._half_life if len(times) and times.max() > 0 else 0.0
        self._mass = shelf.trend * np.float64(
            2.0 ** -min(age, _OLDEST)
        )  # as of the origin; what is later counts the more
        self._mass_lock = threading.Lock()

    def code(self, item_id: str) -> int:
        """The code of an item; -1 for one that is not known."""
        return self._codes.get(item_id, -1)

    def ids(self, codes: NDArray[np.int32]) -> list[str]:
        """The ids of codes."""
        first = self.shelf.arrivals.first
        found = self.shelf.catalogue.items.decode_list(np.where(codes < first, codes, -1))
        for at in np.flatnonzero(codes >= first).tolist():
            found[at] = self._ids[int(codes[at]) - first]
        return found

    def count(self, code: int, weight: float, time: int) -> None:
        """Let an event count for the trend."""
        if weight > 0:
            late = (min(time, self._now + _AHEAD) - self._origin) / self._half_life
            with self._mass_lock:
                if code < len(self._mass):  # an item is known a moment before it can be counted
                    self._mass[code] += weight * 2.0**late

    def put(self, items: Sequence[NewItem], now: int) -> Shelf:
        """The shelf with these items; of an item that is named twice the last counts."""
        items = list({item.item_id: item for item in items}.values())
        if not items:
            return self.shelf
        codes = np.array([self.code(item.item_id) for item in items], np.int32)
        is_new = codes < 0
        codes[is_new] = self._take_in([item for item, new in zip(items, is_new, strict=True) if new])
        for item, code, new in zip(items, codes.tolist(), is_new, strict=True):
            self._place(item, code, now, new)
        rows = _table(items)
        order = np.argsort(codes, kind="stable")
        ordered = rows[order] if rows.width else rows  # nothing may be known of any
        features = _put_rows(self.shelf.features, self.shelf.n_items, ordered, codes[order])
        self.shelf = replace(
            self.shelf,
            features=features,
            withdrawn=_codes(self._withdrawn),
            windows=self._open(),
            memo={},
        )
        self._adopt(features, codes[order])
        return self.refreshed(now)

    def withdraw(self, item_ids: Iterable[str]) -> Shelf:
        """The shelf without these items."""
        self._withdrawn |= {code for code in map(self.code, item_ids) if code >= 0}
        self.shelf = replace(self.shelf, withdrawn=_codes(self._withdrawn))
        return self.shelf

    def refreshed(self, now: int) -> Shelf:
        """The shelf as of now."""
        self._now = max(now, self._now)
        n_items = self.shelf.n_items
        with self._mass_lock:
            self._mass = np.pad(self._mass, (0, n_items - len(self._mass)))
            trend = self._mass * 2.0 ** ((self._origin - self._now) / self._half_life)
        self.shelf = replace(
            self.shelf,
            trend=trend.astype(np.float32),
            trending=highest(trend.astype(np.float32), self._most),
            fresh=self._fresh_codes(now),
        )
        return self.shelf

    def _take_in(self, items: Sequence[NewItem]) -> NDArray[np.int32]:
        """Codes for ids that have none."""
        start = self.shelf.arrivals.first + len(self._ids)
        self._ids += [item.item_id for item in items]
        self._codes |= {item.item_id: start + n for n, item in enumerate(items)}
        return np.arange(start, start + len(items), dtype=np.int32)

    def _place(self, item: NewItem, code: int, now: int, is_new: np.bool_) -> None:
        """When it was added, and when it may be shown."""
        self._withdrawn.discard(code)
        if item.added is not None or is_new:
            self._added[code] = now if item.added is None else item.added
            self._fresh_at = -_FOREVER
        self._windows.pop(code, None)
        if item.start is not None or item.end is not None:
            start = -_FOREVER if item.start is None else item.start
            self._windows[code] = (start, _FOREVER if item.end is None else item.end)

    def _open(self) -> Windows:
        """When items may be shown."""
        bounds = np.array(list(self._windows.values()), np.int64).reshape(-1, 2)
        return Windows(np.fromiter(self._windows, np.int32, len(self._windows)), bounds[:, 0], bounds[:, 1])

    def _adopt(self, features: pl.DataFrame, codes: NDArray[np.int32]) -> None:
        """Find the known items that are most like each of these, where the models have learned nothing of it."""
        arrivals = self.shelf.arrivals
        had = len(arrivals.row)
        late, again = codes[codes >= had], codes[codes < had]
        again = again[arrivals.row[again] >= 0]
        if len(again):
            arrivals = arrivals.replaced(again, self._like(features, again))
        if len(late):
            arrivals = arrivals.extended(self._like(features, late))
        self.shelf = replace(self.shelf, arrivals=arrivals)

    def _like(self, features: pl.DataFrame, codes: NDArray[np.int32]) -> Nearest:
        if not features.width:
            return Nearest.nothing(len(codes), LIKE)
        return self._index.nearest(features[codes], LIKE, self._known)

    def _fresh_codes(self, now: int) -> NDArray[np.int32]:
        """The latest of the items that came of late, and of those that nobody has had, ascending."""
        if abs(now - self._fresh_at) > _MINUTE:
            self._added = {code: time for code, time in self._added.items() if time >= now - _NEW_FOR}
            latest = heapq.nlargest(MOST_NEW, ((time, code) for code, time in self._added.items()))
            self._fresh, self._fresh_at = _codes(code for _, code in latest), now
        return self._fresh


def _codes(codes: Iterable[int]) -> NDArray[np.int32]:
    return np.array(sorted(codes), np.int32)


def _table(items: Sequence[NewItem]) -> pl.DataFrame:
    """The features of items, one row each."""
    columns = dict.fromkeys(name for item in items for name in item.features)
    values = {name: [item.features.get(name) for item in items] for name in columns}
    return pl.DataFrame({name: pl.Series(name, column, strict=False) for name, column in values.items()})


def _put_rows(table: pl.DataFrame, height: int, rows: pl.DataFrame, codes: NDArray[np.int32]) -> pl.DataFrame:
    """The table with these rows in the place of those of the codes, and behind the last; columns that are new are added."""
    if not rows.width:
        if not table.width:
            return table
        rows = pl.DataFrame({table.columns[0]: [None] * len(codes)})
    if not table.width:
        name = rows.columns[0]
        table = pl.DataFrame({name: pl.Series(name, [None] * height, dtype=rows[name].dtype)})
    shared = [pl.col(n).cast(kind, strict=False) for n, kind in table.schema.items() if n in rows.columns]
    both = pl.concat([table, rows.with_columns(shared)], how="diagonal")
    known = np.flatnonzero(codes < height)
    if len(known):
        at = np.arange(height + len(codes))
        at[codes[known]] = height + known
        at = np.delete(at, height + known)
        both = both[at]
    return both.rechunk() if both.n_chunks() > _CHUNKS else both


_CHUNKS = 32
