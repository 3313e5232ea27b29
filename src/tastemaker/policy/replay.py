"""A decision as bytes for the log, and the same list from them again, without the models that made it.

The record holds what the draw looked at: candidates, utilities, labels, cosines to the items that were drawn, rules and seed;
and the list itself. It is JSON for names and settings, then the arrays, compressed by zlib.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker.errors import DataError
from tastemaker.policy.candidates import SOURCES
from tastemaker.policy.choice import Choice
from tastemaker.policy.exploration import exploration_of
from tastemaker.policy.pool import Labels, Pool, RecordedLikeness
from tastemaker.policy.slots import Drawn, Rules, draw

__all__ = ["Record", "record", "replay"]

_VERSION = 1
_HEAD = struct.Struct("<4sII")  # a mark, the version, the length of the JSON
_MARK = b"tmdr"
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, eq=False)
class Record:
    """What a log keeps of one decision.

    Attributes:
        ids: of the candidates, the most useful first.
        source: int8[n], where each came from, into :data:`tastemaker.policy.candidates.SOURCES`.
        pool: the candidates with their utilities.
        rules, seed: how the slots were filled.
        drawn: the list.
    """

    ids: Sequence[str]
    source: NDArray[np.int8]
    pool: Pool
    rules: Rules
    seed: int
    drawn: Drawn

    @property
    def items(self) -> list[str]:
        """The list."""
        return [self.ids[position] for position in self.drawn.positions]

    @property
    def sources(self) -> list[str]:
        """Where each item of the list came from."""
        return [SOURCES[number] for number in self.source[self.drawn.positions]]

    def to_bytes(self) -> bytes:
        """For the log; :meth:`from_bytes` reads it."""
        positions = self.drawn.positions
        rows = [self.pool.likeness.row(position) for position in self._counted()]
        arrays = {
            "utilities": self.pool.utilities,
            "new": self.pool.new,
            "source": self.source,
            "label_position": self.pool.labels.position,
            "label_code": self.pool.labels.code,
            "label_limit": self.pool.labels.limit,
            "likeness": np.array(rows, np.int8).reshape(len(rows), len(self.ids)),
            "positions": positions,
            "propensities": self.drawn.propensities,
            "explored": self.drawn.explored,
        }
        told = {
            "ids": list(self.ids),
            "k": self.rules.k,
            "diversity": self.rules.diversity,
            "new_item_slots": self.rules.new_item_slots,
            "exploration": self.rules.exploration.describe(),
            "seed": self.seed,
            "log_probability": self.drawn.log_probability.hex(),
            "arrays": [[name, array.dtype.str, array.shape] for name, array in arrays.items()],
        }
        head = _JSON.encode(told).encode()
        body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
        return _HEAD.pack(_MARK, _VERSION, len(head)) + zlib.compress(head + body, 1)

    def _counted(self) -> list[int]:
        """The positions whose cosines counted for later slots."""
        return self.drawn.positions[:-1].tolist() if self.rules.diversity else []

    @classmethod
    def from_bytes(cls, content: bytes) -> "Record":
        """What :meth:`to_bytes` wrote.

        Raises:
            DataError: for anything else, and for a record of a newer version.
        """
        try:
            mark, version, length = _HEAD.unpack_from(content)
            if mark != _MARK or version != _VERSION:
                raise DataError(
                    f"not a record of a decision of version {_VERSION}: it starts with {content[:8]!r}"
                )
            raw = zlib.decompress(content[_HEAD.size :])
            told = json.loads(raw[:length])
            arrays = _arrays(raw, length, told["arrays"])
            return _record(told, arrays)
        except (struct.error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise DataError(f"a damaged record of a decision: {error}") from error


def _arrays(raw: bytes, start: int, described: list[list[Any]]) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in described:
        size = int(np.prod(shape))
        found[name] = np.frombuffer(raw, dtype, size, start).reshape(shape)
        start += found[name].nbytes
    return found


def _record(told: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Record:
    positions = arrays["positions"]
    rows = {int(at): row for at, row in zip(positions.tolist(), arrays["likeness"], strict=False)}
    labels = Labels(*(arrays[f"label_{part}"] for part in ("position", "code", "limit")))
    return Record(
        ids=told["ids"],
        source=arrays["source"],
        pool=Pool(arrays["utilities"], arrays["new"], RecordedLikeness(rows), labels),
        rules=Rules(
            k=told["k"],
            diversity=told["diversity"],
            new_item_slots=told["new_item_slots"],
            exploration=exploration_of(told["exploration"]),
        ),
        seed=told["seed"],
        drawn=Drawn(
            positions, arrays["propensities"], arrays["explored"], float.fromhex(told["log_probability"])
        ),
    )


def record(choice: Choice, ids: Sequence[str]) -> Record:
    """The record of a choice; ``ids`` are those of its candidates."""
    if len(ids) != len(choice.candidates):
        raise ValueError(f"expected the ids of {len(choice.candidates)} candidates, got {len(ids)}")
    return Record(ids, choice.source, choice.pool, choice.rules, choice.seed, choice.drawn)


def replay(kept: Record) -> Drawn:
    """The list drawn again, from what the record holds of the candidates, the rules and the seed alone.

    It equals ``kept.drawn`` to the byte, or the record is not what it was drawn from.
    """
    return draw(kept.pool, kept.rules, kept.seed)
