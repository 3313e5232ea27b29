"""A policy that lives: items come and go, users act, trends rise; each answer is made from what holds at that moment."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.policy.candidates import RECENT, Request
from tastemaker.policy.choice import Choice
from tastemaker.policy.described import described
from tastemaker.policy.policy import Policy
from tastemaker.policy.shelf import Shelf
from tastemaker.policy.stock import NewItem, Stock
from tastemaker.policy.tastes import taste
from tastemaker.policy.visitors import Visitors

__all__ = ["LiveCatalogue", "Observed"]

Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Observed:
    """One event, as far as it matters to a policy.

    Attributes:
        user_id, item_id: who, and what with.
        kind: ``purchase``, ``like``, ``rating``, ``cart``, ``view``, ``click`` or ``dismiss``; others count for nothing.
        time: microseconds since 1970.
        value: the rating, or the share of a view that was completed.
    """

    user_id: str
    item_id: str
    kind: str
    time: int
    value: float | None = None


class LiveCatalogue:
    """A fitted policy and all that happened since, by ids. Safe to share between threads.

    Readers take :attr:`shelf`, which is immutable; writers put a new one in its place. An event of a user counts from the
    user's next request on; new items are recommendable, and withdrawn ones gone, when the call returns. Trends, and which
    items are new, move with :meth:`refresh`.

    Args:
        policy: fitted, on text ids.
        now: microseconds since 1970, by default the clock's.
    """

    def __init__(self, policy: Policy, *, now: int | None = None) -> None:
        self.policy = policy
        self.visitors = Visitors()
        self._stock = Stock(
            policy.shelf, policy.content, policy.trend_half_life_days, policy.candidates, _clock(now)
        )
        self._lock = threading.Lock()
        self.shelf: Shelf = self._stock.shelf

    # What happens.

    def put_items(self, items: Iterable[NewItem], *, now: int | None = None) -> None:
        """Take in items that are new, or known ones with other features; also such as were withdrawn."""
        with self._lock:
            self.shelf = self._stock.put(list(items), _clock(now))

    def withdraw(self, item_ids: Iterable[str]) -> None:
        """Never show these again, until they are put again."""
        with self._lock:
            self.shelf = self._stock.withdraw(item_ids)

    def observe(self, events: Iterable[Observed]) -> None:
        """Let events count. Those on items that nobody has put are left out."""
        for event in events:
            code = self._stock.code(event.item_id)
            if code < 0:
                continue
            self.visitors.observe(event.user_id, code, event.kind, event.value, event.time)
            self._stock.count(code, self.visitors.weight(event.kind, event.value), event.time)

    def forget(self, user_id: str) -> None:
        """Remove what a user did since the fit; what the models hold of earlier stays until the next fit."""
        self.visitors.forget(user_id)

    def refresh(self, *, now: int | None = None) -> None:
        """Bring trends up to date, and which items are new; every second or so."""
        with self._lock:
            self.shelf = self._stock.refreshed(_clock(now))

    # What is asked.

    def choose(self, user_id: str | None = None, **options: Any) -> Choice:
        """One list for a user; the options are those of :meth:`request`."""
        shelf = self.shelf
        return self.policy.choose(self.request(user_id, shelf=shelf, **options), shelf)

    def request(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str] | Mapping[str, float] | None = None,
        weights: Sequence[float] | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        filter: pl.Expr | str | None = None,
        allow: Iterable[str] | None = None,
        deny: Iterable[str] = (),
        explore: bool = True,
        explain: bool = True,
        seed: int = 0,
        now: int | None = None,
        deadline: float | None = None,
        features: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        shelf: Shelf | None = None,
    ) -> Request:
        """A request in codes.

        Args:
            user_id: who asks; None for an anonymous visitor.
            history: item ids, oldest first, or ratings by id; takes the place of what is known for scoring, not for exclusion.
            weights: how much each item of a history of ids counts; 1 unless given.
            k: the length of the list.
            exclude_seen: leave out what the user has had; what was bought or dismissed since the fit is always left out.
            filter: which items may be shown, as in ``recommend``.
            allow: the only items that may be shown. deny: items that must not be. An unknown id in them changes nothing.
            explore, seed: whether to draw, and from what. explain: with a reason for each item.
            now: microseconds since 1970, for the windows of items; by default the clock's.
            deadline: by :func:`time.perf_counter`.
            features, context: what is known of the user at the moment, and where it is asked, for a ranking model that looks
                at them; None for the features that the models were fitted on.
            shelf: by default the current one.

        Raises:
            DataError: for a filter that cannot be evaluated.
        """
        shelf = self.shelf if shelf is None else shelf
        visitor = self.visitors.of(user_id)
        user = -1 if user_id is None else int(shelf.catalogue.users.encode([user_id])[0])
        given = None if history is None else self._given(history, weights, shelf)
        known = taste(shelf, user, visitor, given)
        query = Queries(np.array([user], np.int32), known.history, np.array([known.given]))
        moment = _clock(now)
        ranking = shelf.models.get("ranking")
        asked = None
        if ranking is not None and not ranking.answers.isdisjoint({"features", "context"}):
            whom = query if given is not None else replace(query, given=np.zeros(1, np.bool_))
            asked = described(ranking, whom, features, context or {}, moment)
        return Request(
            query=query,
            described=asked,
            recent=known.recent[-RECENT:][::-1],
            k=k,
            seen=known.seen if exclude_seen else known.seen[:0],
            deny=np.concatenate([self._codes(deny), visitor.out_items]),
            allow=None if allow is None else self._codes(allow),
            mask=None if filter is None else shelf.mask(filter),
            now=moment,
            explore=explore,
            explain=explain,
            seed=seed,
            deadline=deadline,
        )

    def ids(self, codes: Codes) -> list[str]:
        """The ids of item codes."""
        return self._stock.ids(codes)

    def code(self, item_id: str, shelf: Shelf | None = None) -> int:
        """The code of an item id; -1 for one that nobody has put, or that is not on ``shelf`` yet, by default the current one."""
        code = self._stock.code(item_id)
        return code if code < (self.shelf if shelf is None else shelf).n_items else -1

    def _codes(self, item_ids: Iterable[str]) -> Codes:
        """The codes of those ids that are known."""
        codes = np.fromiter((self._stock.code(i) for i in item_ids), np.int32)
        return codes[codes >= 0]

    def _given(
        self, history: Sequence[str] | Mapping[str, float], weights: Sequence[float] | None, shelf: Shelf
    ) -> History:
        """One row of the items that are known; ids alone count as liked."""
        scale = shelf.catalogue.schema.scale
        liked = scale[1] if scale else 1.0
        ratings = history if isinstance(history, Mapping) else dict.fromkeys(history, liked)
        counts = {} if weights is None else dict(zip(history, weights, strict=True))
        rows = [(self.code(item, shelf), rating, counts.get(item, 1.0)) for item, rating in ratings.items()]
        rows = [row for row in rows if row[0] >= 0]
        return History.of_lengths(
            np.array([len(rows)]),
            np.array([code for code, _, _ in rows], np.int32),
            np.array([rating for _, rating, _ in rows], np.float32),
            np.array([count for _, _, count in rows], np.float32),
        )


def _clock(now: int | None) -> int:
    return time.time_ns() // 1000 if now is None else now
