"""Implicit feedback by quality: how much an interaction says about liking.

That somebody opened an item does not say that they liked it. How far they went, compared with how far they *always* go,
says more: who watches whole seasons in a night and leaves this one after an episode is telling us something; who never
watches more than one episode a day is not. Each function here gives one weight for each interaction, a factor around 1:
1 is neutral, less is evidence of dislike, more of liking. `quality_weights` multiplies them.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError

__all__ = [
    "apply_quality",
    "completion_weight",
    "dwell_weight",
    "event_weight",
    "quality_weights",
    "time_decay",
    "to_implicit",
]

_FINISHED, _FINISH_WEIGHT = 0.9, 1.5


def to_implicit(dataset: Dataset, threshold: float | None = None) -> Dataset:
    """Forget the ratings, keep who interacted with what: every value is 1.

    Args:
        dataset: Ratings.
        threshold: Keep only interactions with a rating of at least this; without it all, for even a bad rating shows
            that the user chose the item.

    Raises:
        DataError: For a threshold where there are no ratings, or none as high.

    >>> ratings = Dataset.from_interactions(
    ...     {"user": ["Alice", "Alice", "Bob"], "item": ["Squid Game", "The Crown", "The Crown"], "rating": [5, 2, 3]},
    ...     rating="rating",
    ... )
    >>> to_implicit(ratings).matrix().toarray().tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    >>> to_implicit(ratings, threshold=3).matrix().toarray().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if threshold is None:
        return dataset.implicit()
    if not dataset.schema.explicit:
        raise DataError(f"a threshold of {threshold} needs ratings, but {dataset.schema.name} has none")
    kept = dataset.value >= threshold
    if not kept.any():
        raise DataError(f"no rating is at least {threshold}; the highest is {dataset.value.max():g}")
    return dataset.select(kept).implicit()


def completion_weight(
    user: ArrayLike,
    completed: ArrayLike,
    episodes: ArrayLike | None = None,
    *,
    shrinkage: float = 5.0,
) -> NDArray[np.float32]:
    """Share completed, relative to what this user's own cadence leads one to expect.

    Watching a share s of an item with E episodes is watching a = s · E of them. A user's cadence c is the geometric mean
    of a over all their *other* n interactions of the same kind (films, E = 1, and series are two habits). The
    cadence leads one to expect min(c, E) episodes, so the weight is

        w = (a / min(c, E)) ^ (n / (n + shrinkage))

    The exponent shrinks the evidence towards neutral: without a history w = 1, and with n = ``shrinkage`` it is half
    as strong (in logarithms) as with an endless one. Who finishes (s ≥ .9: few sit through the credits) has liked it
    whatever the habit: then w is at least 1.5.

    Args:
        user: int[n], codes of the users.
        completed: float[n], share of the item completed, 0 to 1 (0 is taken as 1 %).
        episodes: float[n], parts that the item has (1: a film); without it cadence is reckoned in whole items.
        shrinkage: Number of interactions at which a user's habit counts for half.

    Returns:
        float32[n], greater than 0; 1 is neutral.

    Raises:
        DataError: For shares outside 0 to 1, fewer than one episode, or columns of different length.
        ValueError: For a negative shrinkage.

    >>> user = [0] * 5 + [1] * 5  # 0 finishes seasons of ten, 1 watches one episode a day
    >>> completed = [1, 1, 1, 1, 0.1] + [0.1, 0.1, 0.1, 0.1, 0.1]
    >>> [round(w, 2) for w in completion_weight(user, completed, [10] * 10, shrinkage=4).tolist()]
    [1.5, 1.5, 1.5, 1.5, 0.32, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    users = np.asarray(user)
    share = _column(completed, "completed", len(users), low=0.0, high=1.0)
    parts = np.ones(len(users)) if episodes is None else _column(episodes, "episodes", len(users), low=1.0)
    amount = np.log(np.maximum(share, 0.01) * parts)
    total, others = _of_others(users * 2 + (parts > 1), amount)
    cadence = total / np.maximum(others, 1)
    surprise = amount - np.minimum(cadence, np.log(parts))
    weight = np.exp(surprise * _trust(others, shrinkage))
    return np.where(share >= _FINISHED, np.maximum(weight, _FINISH_WEIGHT), weight).astype(np.float32)


def dwell_weight(
    user: ArrayLike, dwell: ArrayLike, length: ArrayLike | None = None, *, shrinkage: float = 5.0
) -> NDArray[np.float32]:
    """Time spent, relative to what the item's length and the user's habit predict.

    With r = log(dwell / length), all users' mean r̄, and a user's other n interactions, the user's pace is
    o = (Σ r + shrinkage · r̄) / (n + shrinkage): their own mean, drawn towards everyone's. The prediction is
    log dwell ≈ log length + o, and the weight is how far it was surpassed:

        w = dwell / (length · exp(o)) = exp(r − o)

    Args:
        user: int[n], codes of the users.
        dwell: float[n], time spent (less than 1 is taken as 1: an accidental click).
        length: float[n], length of the item in any unit (minutes, words), greater than 0; without it all are equal.
        shrinkage: Number of interactions at which a user's own pace counts for half.

    Returns:
        float32[n], greater than 0; 1 is neutral.

    Raises:
        DataError: For negative times, lengths not above 0, or columns of different length.
        ValueError: For a negative shrinkage.

    >>> weights = dwell_weight([0, 0, 0, 1, 1, 1], [60, 60, 120, 600, 600, 600], shrinkage=0)
    >>> [round(w, 2) for w in weights.tolist()]
    [0.71, 0.71, 2.0, 1.0, 1.0, 1.0]
    """
    users = np.asarray(user)
    spent = np.maximum(_column(dwell, "dwell", len(users), low=0.0), 1.0)
    size = np.ones(len(users)) if length is None else _column(length, "length", len(users), low=1e-9)
    ratio = np.log(spent / size)
    total, others = _of_others(users, ratio)
    everyone = ratio.mean() if len(ratio) else 0.0
    own = total / np.maximum(others, 1)
    pace = everyone + _trust(others, shrinkage) * (own - everyone)
    weight: NDArray[np.float32] = np.exp(ratio - pace).astype(np.float32)
    return weight


def event_weight(event: Sequence[str] | pl.Series, weights: Mapping[str, float]) -> NDArray[np.float32]:
    """The weight of each interaction's kind of event.

    Args:
        event: Names of events, one for each interaction.
        weights: Weight of each name, 0 or more; 0 says that such an event tells nothing.

    Returns:
        float32[n].

    Raises:
        DataError: For an event without a weight, or a weight that is negative or not finite.

    >>> event_weight(["view", "like", "view"], {"view": 1, "like": 3}).tolist()
    [1.0, 3.0, 1.0]
    """
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise DataError(f"the weight of event {name!r} must be 0 or more and finite, received {weight}")
    events = pl.Series("event", event, dtype=pl.String)
    unknown = events.filter(~events.is_in(list(weights))).unique(maintain_order=True).to_list()
    if unknown or events.null_count():
        raise DataError(
            f"event: no weight for {unknown or [None]}, only for {list(weights)}; give one to each"
        )
    return events.replace_strict(dict(weights), return_dtype=pl.Float32).to_numpy()


def time_decay(
    timestamp: NDArray[np.int64], half_life: timedelta, now: int | None = None
) -> NDArray[np.float32]:
    """Half the weight for every half-life of age: w = 2^(−(now − t) / half_life).

    Args:
        timestamp: int64[n], microseconds since the epoch.
        half_life: The age at which an interaction counts for half.
        now: Microseconds since the epoch; by default the latest timestamp. What is later weighs 1.

    Returns:
        float32[n], greater than 0 (short of underflow) and at most 1.

    Raises:
        ValueError: For a half-life that is not positive.

    >>> day = 86_400_000_000
    >>> time_decay(np.array([0, 7, 14]) * day, timedelta(days=7)).tolist()
    [0.25, 0.5, 1.0]
    """
    if half_life <= timedelta(0):
        raise ValueError(f"half_life must be positive, received {half_life}")
    latest = (int(timestamp.max()) if len(timestamp) else 0) if now is None else now
    age = np.maximum(latest - timestamp, 0) / (half_life / timedelta(microseconds=1))
    return np.exp2(-age).astype(np.float32)


def quality_weights(
    *parts: NDArray[np.float32], bounds: tuple[float, float] = (0.1, 2.0)
) -> NDArray[np.float32]:
    """The product of several weights, kept within bounds: w = min(max(Π part, low), high).

    The bounds keep one odd interaction from outweighing the others, and see to it that none counts for nothing. They are
    wider below than above: to have stayed much longer than usual is only ever so much better than to have liked it.

    Args:
        parts: float32[n] each, such as from `completion_weight` and `dwell_weight`; at least one.
        bounds: Least and greatest weight, 0 ≤ low ≤ high.

    Returns:
        float32[n].

    Raises:
        ValueError: For no parts, parts of different length, or bounds in the wrong order.

    >>> quality_weights(np.float32([0.5, 3]), np.float32([0.5, 2])).tolist()
    [0.25, 2.0]
    """
    low, high = bounds
    if not 0 <= low <= high:
        raise ValueError(f"bounds must be 0 ≤ low ≤ high, received {bounds}")
    if not parts:
        raise ValueError("quality_weights needs at least one part, received none")
    if len({len(part) for part in parts}) > 1:
        raise ValueError(f"all parts must have one length, received {[len(part) for part in parts]}")
    product: NDArray[np.float64] = np.prod(np.stack(parts), axis=0, dtype=np.float64)
    return product.clip(low, high).astype(np.float32)


def apply_quality(
    dataset: Dataset,
    *,
    completed: str | None = None,
    episodes: str | None = None,
    dwell: str | None = None,
    length: str | None = None,
    event: str | None = None,
    event_weights: Mapping[str, float] | None = None,
    half_life: timedelta | None = None,
    bounds: tuple[float, float] = (0.1, 2.0),
) -> Dataset:
    """The same interactions as implicit feedback, each weighted by its quality.

    Each part is used where its column is named, and `quality_weights` multiplies them.

    Args:
        dataset: Interactions with the named columns in ``context``.
        completed: Context column with the share completed (`completion_weight`).
        episodes: Column of the item features with the number of episodes.
        dwell: Context column with the time spent (`dwell_weight`).
        length: Column of the item features with the length that dwell is compared with.
        event: Context column with the kind of event (`event_weight`).
        event_weights: Weight of each kind.
        half_life: Age at which an interaction counts for half (`time_decay`).
        bounds: Least and greatest weight.

    Returns:
        A Dataset with values of 1 and the product as weights.

    Raises:
        DataError: For a column that is not there, or with values that make no sense.
        ValueError: If no part is named.
    """
    parts = []
    if completed is not None:
        share, count = _context(dataset, completed), _of_items(dataset, episodes)
        parts.append(completion_weight(dataset.user, share, count))
    if dwell is not None:
        parts.append(dwell_weight(dataset.user, _context(dataset, dwell), _of_items(dataset, length)))
    if event is not None:
        parts.append(event_weight(_context(dataset, event), event_weights or {}))
    if half_life is not None:
        if dataset.schema.timestamp is None:
            raise DataError(f"half_life needs timestamps, but {dataset.schema.name} has none")
        parts.append(time_decay(dataset.timestamp, half_life))
    return dataset.implicit().with_columns(weight=quality_weights(*parts, bounds=bounds))


def _of_others(
    group: NDArray[np.integer], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each row the sum of ``x`` over the other rows of its group, and how many they are."""
    total, count = np.bincount(group, weights=x), np.bincount(group)
    others = count[group] - 1.0
    return np.where(others > 0, total[group] - x, 0.0), others


def _trust(others: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """n / (n + shrinkage), and 0 for n = 0: how far a habit seen n times is to be trusted."""
    if not 0 <= shrinkage < np.inf:
        raise ValueError(f"shrinkage must be 0 or more, received {shrinkage}")
    return others / np.maximum(others + shrinkage, 1e-9)


def _column(
    values: ArrayLike, name: str, rows: int, *, low: float, high: float = np.inf
) -> NDArray[np.float64]:
    """float64[rows], checked to be within ``low`` and ``high``."""
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (rows,):
        raise DataError(
            f"{name}: expected one value for each of {rows} interactions, received shape {column.shape}"
        )
    bad = ~((column >= low) & (column <= high) & np.isfinite(column))
    if bad.any():
        first = int(bad.argmax())
        raise DataError(
            f"{name}: {bad.sum()} values are not between {low:g} and {high:g}; the first is {column[first]} in row {first}"
        )
    return column


def _context(dataset: Dataset, name: str) -> pl.Series:
    if name not in dataset.context.columns:
        raise DataError(
            f"no context column {name!r}, only {dataset.context.columns}; name it in context=[...] of from_interactions"
        )
    return dataset.context[name]


def _of_items(dataset: Dataset, name: str | None) -> NDArray[np.float64] | None:
    """A column of the item features, spread over the interactions; None without a name."""
    if name is None:
        return None
    if name not in dataset.item_features.columns:
        raise DataError(f"no item feature {name!r}, only {dataset.item_features.columns}")
    column = dataset.item_features[name].cast(pl.Float64, strict=False).to_numpy()
    return column[dataset.item]
