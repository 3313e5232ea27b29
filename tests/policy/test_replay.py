"""A decision from the log gives the same list again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.pools import small_pool
from tastemaker.errors import DataError
from tastemaker.policy.exploration import EpsilonGreedy, Greedy, Softmax
from tastemaker.policy.replay import Record, replay
from tastemaker.policy.slots import Rules, draw


def kept(n: int, k: int, diversity: float, seed: int, kind: int, capped: bool) -> Record:
    exploration = [Greedy(), EpsilonGreedy(0.5), Softmax(0.3)][kind]
    pool = small_pool(n, seed % 1000, new=min(n, 2), capped=capped)
    rules = Rules(k=k, diversity=diversity, new_item_slots=1, exploration=exploration)
    ids = [f"item {i} · “{i}”" for i in range(n)]
    return Record(ids, np.zeros(n, np.int8), pool, rules, seed, draw(pool, rules, seed))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2),
    st.booleans(),
)
def test_the_same_list_byte_for_byte(
    n: int, k: int, diversity: float, seed: int, kind: int, capped: bool
) -> None:
    before = kept(n, k, diversity, seed, kind, capped)
    read = Record.from_bytes(before.to_bytes())
    again = replay(read)
    for drawn in (read.drawn, again):
        assert drawn.positions.tobytes() == before.drawn.positions.tobytes()
        assert drawn.propensities.tobytes() == before.drawn.propensities.tobytes()
        assert drawn.explored.tobytes() == before.drawn.explored.tobytes()
        assert drawn.log_probability == before.drawn.log_probability
    assert read.items == before.items
    assert read.to_bytes() == before.to_bytes()


def test_what_is_no_record_is_refused() -> None:
    good = kept(20, 5, 0.3, 1, 2, True).to_bytes()
    for bad in (b"", b"rubbish", good[:-5], good[:20], b"tmdr" + b"\xff" * 40, good[:12] + good[13:]):
        with pytest.raises(DataError):
            Record.from_bytes(bad)


def test_a_record_is_small() -> None:
    """A hundred candidates with ids of eight letters, ten slots: what a busy service writes for every page."""
    pool = small_pool(100, capped=False)
    rules = Rules(k=10, diversity=0.3, exploration=Softmax(0.1))
    record = Record(
        [f"item{i:04}" for i in range(100)], np.zeros(100, np.int8), pool, rules, 1, draw(pool, rules, 1)
    )
    assert len(record.to_bytes()) < 3000
