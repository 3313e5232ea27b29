"""Blocks cover every query once and stay within the limit."""

from hypothesis import given
from hypothesis import strategies as st

from tastemaker.ranking.blocks import query_blocks


@given(st.integers(0, 500), st.integers(0, 10_000), st.integers(1, 100_000))
def test_blocks_cover_every_query_once_within_the_limit(queries, items, limit):
    blocks = list(query_blocks(queries, items, limit))
    assert [q for block in blocks for q in range(block.start, block.stop)] == list(range(queries))
    for block in blocks:
        count = block.stop - block.start
        assert count == 1 or count * items * 4 <= limit
