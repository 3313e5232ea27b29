"""Blocks of queries, so that memory stays bounded however many users and items there are."""

from collections.abc import Iterator

__all__ = ["query_blocks"]


def query_blocks(queries: int, items: int, limit_bytes: int = 64 << 20) -> Iterator[slice]:
    """Cut ``queries`` into runs whose float32 matrix of queries x items stays within ``limit_bytes``; at least one query a run.

    >>> list(query_blocks(5, 1000, limit_bytes=8000))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, limit_bytes // (4 * max(1, items)))
    return (slice(start, min(start + step, queries)) for start in range(0, queries, step))
