from collections.abc import Iterator


def query_blocks(queries: int, items: int, limit_bytes: int = 64 << 20) -> Iterator[slice]:
    step = max(1, limit_bytes // (4 * max(1, items)))
    return (slice(at, min(at + step, queries)) for at in range(0, queries, step))
