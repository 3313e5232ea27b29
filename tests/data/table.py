"""A small table of ratings with the caller's own names, for tests of Datasets."""

from tastemaker.data import Dataset

COLUMNS = {
    "customer": ["ann", "bob", "ann", "cid"],
    "product": [10, 10, 20, 30],
    "stars": [5.0, 3.0, 4.0, 1.0],
    "when": [400, 300, 200, 100],
}
NAMES = {"user": "customer", "item": "product", "rating": "stars", "timestamp": "when"}


def rows(data: Dataset) -> list[tuple[object, ...]]:
    """The interactions in the caller's ids."""
    users, items = data.users.decode_list(data.user), data.items.decode_list(data.item)
    return list(zip(users, items, data.value.tolist(), (data.timestamp // 1_000_000).tolist(), strict=True))
