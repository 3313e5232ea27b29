"""What comes out: lists of ids with scores, ranks, sources and reasons, as a table, JSON or a readable print."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.catalogue import Catalogue
from tastemaker.data.queries import Queries
from tastemaker.data.vocabulary import id_series
from tastemaker.errors import DataError, require
from tastemaker.ranking.reasons import Reason, headlines, in_words, label

__all__ = ["Found", "Recommendation", "Recommendations"]


@dataclass(frozen=True)
class Found:
    """The lists in codes, as the ranking makes them.

    Attributes:
        items: int32[q, k], −1 past the end of a short list.
        scores: float32[q, k], NaN past the end.
        sources: q names of what scored the list.
        shortfalls: q explanations, empty where the list is full.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: Sequence[str]
    shortfalls: Sequence[str]


@dataclass(frozen=True)
class Recommendation:
    """One slot of a list."""

    item: Any
    rank: int
    score: float
    source: str
    title: str
    reasons: tuple[Reason, ...] = ()

    @property
    def reason(self) -> str:
        """The strongest reason in words, an item the user liked before a feature; empty when none was asked for."""
        return self.reasons[0].text if self.reasons else ""


@dataclass(frozen=True, eq=False)
class Recommendations:
    """One list for each query, in the order asked.

    Attributes:
        queries: what each list answers: the user's id as asked, or None.
        items: int32[q, min(k, n_items)] codes into the catalogue, −1 past the end of a short list.
        scores: float32[q, k], NaN past the end.
        sources: what scored each list: the model's name, or ``popularity`` where it could not.
        shortfalls: why a list is shorter than k; empty where it is not.
        unknown: how many ids in the histories or seeds asked with were unknown and left out.
    """

    catalogue: Catalogue
    queries: Sequence[Any]
    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    sources: Sequence[str]
    shortfalls: Sequence[str]
    k: int
    unknown: int = 0
    reasons: Sequence[Sequence[Sequence[Reason]]] | None = None

    @classmethod
    def build(
        cls,
        catalogue: Catalogue,
        queries: Queries,
        asked: list[Any] | None,
        found: Found,
        k: int,
        reasons: list[list[list[Reason]]] | None = None,
    ) -> "Recommendations":
        """From codes to what the caller asked with."""
        if asked is None:
            asked = catalogue.users.decode_list(queries.users)
        if reasons is not None:
            reasons = [headlines(row) for row in reasons]
            reasons = [
                [[in_words(x, catalogue, queries.history[q : q + 1]) for x in r] for r in row]
                for q, row in enumerate(reasons)
            ]
        return cls(
            catalogue=catalogue,
            queries=asked,
            items=found.items,
            scores=found.scores,
            sources=found.sources,
            shortfalls=found.shortfalls,
            k=k,
            unknown=queries.unknown,
            reasons=reasons,
        )

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, query: int) -> list[Recommendation]:
        """The list for one query, best first."""
        codes = [int(i) for i in self.items[query] if i >= 0]
        ids = self.catalogue.items.decode_list(codes) if codes else []
        return [
            Recommendation(
                item=ids[j],
                rank=j + 1,
                score=float(self.scores[query, j]),
                source=self.sources[query],
                title=label(self.catalogue, code),
                reasons=tuple(self.reasons[query][j]) if self.reasons is not None else (),
            )
            for j, code in enumerate(codes)
        ]

    def __iter__(self) -> Iterator[list[Recommendation]]:
        return (self[query] for query in range(len(self)))

    def lists(self) -> list[list[Any]]:
        """Only the item ids: one list a query, best first."""
        filled = self.items >= 0
        ids = iter(self.catalogue.items.decode_list(self.items[filled]))
        return [[next(ids) for _ in range(n)] for n in filled.sum(axis=1)]

    def to_polars(self) -> pl.DataFrame:
        """One row a slot: query, user, item, rank, score, source and, when asked for, reason."""
        query, slot = np.nonzero(self.items >= 0)
        columns: dict[str, Any] = {
            "query": query.astype(np.int64),
            "user": self._users().gather(query),
            "item": self.catalogue.items.decode(self.items[query, slot]),
            "rank": (slot + 1).astype(np.int32),
            "score": self.scores[query, slot],
            "source": pl.Series(list(self.sources), dtype=pl.String).gather(query),
        }
        if self.reasons is not None:
            texts = [r[0].text if r else "" for row in self.reasons for r in row]
            columns["reason"] = pl.Series(texts, dtype=pl.String)
        return pl.DataFrame(columns)

    def _users(self) -> pl.Series:
        """Who asked, as a column: of the ids' own type if they have one, else as text."""
        asked = list(self.queries)
        if all(a is None for a in asked):
            return pl.Series("user", asked, dtype=self.catalogue.users.ids.dtype)
        try:
            return id_series(asked, "user")
        except DataError:
            return pl.Series("user", [None if a is None else str(a) for a in asked])

    def to_arrow(self) -> Any:
        """The table of :meth:`to_polars` as a pyarrow Table."""
        return self.to_polars().to_arrow()

    def to_pandas(self) -> Any:
        """The table of :meth:`to_polars` as a pandas DataFrame; needs pandas."""
        require("pandas", "test")
        return self.to_polars().to_pandas()

    def to_json(self) -> str:
        """One object a query: its user, its items with ranks, scores and reasons, and why it is short if it is."""
        rows = []
        for q, slots in enumerate(self):
            items = [
                {
                    "item": _plain(s.item),
                    "title": s.title,
                    "rank": s.rank,
                    "score": s.score,
                    "source": s.source,
                }
                | ({"reasons": [_reason(r) for r in s.reasons]} if self.reasons is not None else {})
                for s in slots
            ]
            rows.append(
                {"user": _plain(self.queries[q]), "items": items, "shortfall": self.shortfalls[q] or None}
            )
        return json.dumps(rows, ensure_ascii=False, indent=1)

    def __str__(self) -> str:
        shown = [self._print(q) for q in range(min(len(self), 10))]
        if len(self) > len(shown):
            shown.append(f"… and {len(self) - len(shown):,} more lists")
        if self.unknown:
            shown.append(f"{self.unknown} ids in the question are unknown and were left out")
        return "\n\n".join(shown)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table of :meth:`to_polars` for a notebook."""
        html: str = self.to_polars()._repr_html_()
        return html

    def _print(self, query: int) -> str:
        slots = self[query]
        asked = self.queries[query]
        lines = [f"{'anonymous' if asked is None else asked} — {self.sources[query]}"]
        width = min(48, max((len(s.title) for s in slots), default=0))
        for s in slots:
            lines.append(f"{s.rank:>4}  {s.title[:width]:<{width}}  {s.score:>8.4g}  {s.reason}".rstrip())
        if self.shortfalls[query]:
            lines.append(f"      {self.shortfalls[query]}")
        return "\n".join(lines)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: numbers, booleans and text as they are, all else as text."""
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "kind": reason.kind,
        "what": _plain(reason.what),
        "contribution": float(reason.contribution),
        "text": reason.text,
    }
