"""What to learn from and what to be judged by: ways to hold out a part of the interactions.

Every split keeps users, items and their codes; only the interactions are parted. The same seed gives the same split.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError

__all__ = [
    "Leak",
    "Split",
    "check_leak",
    "check_share",
    "global_time",
    "holdout",
    "k_fold",
    "leave_last_out",
    "percent",
    "predefined",
]


@dataclass(frozen=True, eq=False)
class Split:
    """A part to learn from and a part to be judged by.

    Attributes:
        train, test: the two parts; users, items and their codes are the same in both.
        name: short, for tables: ``fold 1``.
        description: how the parts came about, in words.
        seed: of the random draw; None where nothing was drawn.
        validation: a third part to choose settings by, where the protocol has one.
        negatives: int32[len(test), m], items to rank each test row's item against, where a publisher sampled
            some; figures from them are not comparable with those of a full ranking.
        candidates: int32[c], the items that lists are chosen from, where not all are.
        history: what those who are tested did before, where nobody has an id for them: their lists are made from it.
    """

    train: Dataset
    test: Dataset
    name: str = "split"
    description: str = ""
    seed: int | None = None
    validation: Dataset | None = None
    negatives: NDArray[np.int32] | None = None
    candidates: NDArray[np.int32] | None = None
    history: Dataset | None = None

    @cached_property
    def test_only_users(self) -> NDArray[np.int32]:
        """Codes of the users that have test rows and no training row."""
        return _only_in(self.test.user, self.train.user, self.train.n_users)

    @cached_property
    def test_only_items(self) -> NDArray[np.int32]:
        """Codes of the items that have test rows and no training row."""
        return _only_in(self.test.item, self.train.item, self.train.n_items)

    @cached_property
    def cold_rows(self) -> int:
        """How many test rows have a user or an item that no training row has."""
        cold = np.isin(self.test.user, self.test_only_users) | np.isin(self.test.item, self.test_only_items)
        return int(cold.sum())

    def report(self) -> str:
        """The split in words: sizes of the parts, and what exists only in the test part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        total = sum(len(part) for part in parts.values() if part is not None)
        lines = [f"{self.name}: {self.description}" + ("" if self.seed is None else f" (seed {self.seed})")]
        for name, part in parts.items():
            if part is not None:
                counts = _counts(len(np.unique(part.user)), len(np.unique(part.item)))
                lines.append(
                    f"  {name}: {_plural(len(part), 'interaction')} ({len(part) / total:.1%}), {counts}"
                )
        counts = _counts(len(self.test_only_users), len(self.test_only_items))
        lines.append(f"  only in the test part: {counts} ({_plural(self.cold_rows, 'test interaction')})")
        if self.negatives is not None:
            lines.append(f"  {self.negatives.shape[1]} sampled negatives for each test interaction")
        if self.history is not None:
            lines.append(
                f"  {_plural(len(self.history), 'interaction')} before the tested ones, given as histories"
            )
        if self.candidates is not None:
            lines.append(f"  lists are chosen from {_plural(len(self.candidates), 'item')}")
        return "\n".join(lines)


def holdout(data: Dataset, ratings: float = 0.2, users: float = 1.0, seed: int = 0) -> Split:
    """Hold out a share of the ratings of a share of the users, both drawn at random.

    Args:
        data: what to part.
        ratings: share of each chosen user's ratings that is tested on, rounded to whole ratings (a half to the
            even number); in (0, 1].
        users: share of the users with ratings that are chosen, in (0, 1].
        seed: of the draw.

    Raises:
        ValueError: for a share outside (0, 1].
        DataError: if one of the parts would be empty.

    >>> data = Dataset.from_interactions({"user": list("aaaaabbbbb"), "item": [1, 2, 3, 4, 5] * 2})
    >>> split = holdout(data, ratings=0.4, users=0.5)
    >>> print(split.report())
    holdout: 40% of the ratings of 50% of the users, at random (seed 0)
      train: 8 interactions (80.0%), 2 users, 5 items
      test: 2 interactions (20.0%), 1 user, 2 items
      only in the test part: 0 users, 0 items (0 test interactions)
    """
    check_share("ratings", ratings)
    check_share("users", users)
    random = np.random.default_rng(seed)
    counts = np.bincount(data.user, minlength=data.n_users)
    active = np.flatnonzero(counts)
    chosen = random.permutation(active)[: round(users * len(active))]
    wanted = np.zeros(data.n_users, np.int64)
    wanted[chosen] = np.rint(ratings * counts[chosen])
    test = places_in_user(data.user, random.random(len(data))) < wanted[data.user]
    description = f"{percent(ratings)} of the ratings of {percent(users)} of the users, at random"
    return _part(data, test, "holdout", description, seed)


def k_fold(data: Dataset, folds: int = 5, seed: int = 0) -> list[Split]:
    """Part the interactions at random into ``folds`` equal parts (to within one); each is the test part once.

    Raises:
        ValueError: for fewer than 2 folds.
        DataError: if there are fewer interactions than folds.

    >>> data = Dataset.from_interactions({"user": list("aaabbb"), "item": [1, 2, 3] * 2})
    >>> [len(split.test) for split in k_fold(data, folds=3)]
    [2, 2, 2]
    """
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    if folds > len(data):
        raise DataError(f"{data.schema.name}: {len(data)} interactions cannot be parted into {folds} folds")
    fold = np.empty(len(data), np.int64)
    fold[np.random.default_rng(seed).permutation(len(data))] = np.arange(len(data)) * folds // len(data)
    return [
        _part(
            data,
            fold == i,
            f"fold {i + 1}",
            f"part {i + 1} of {folds}, parted at random by interaction",
            seed,
        )
        for i in range(folds)
    ]


def leave_last_out(data: Dataset, n: int = 1, validation: bool = False) -> Split:
    """Hold out the ``n`` latest interactions of each user, and for validation the ``n`` before those.

    Equal times are in the order of the rows, and so is everything where there are no times. A user with too few
    interactions to leave one for training stays in the training part whole, and is not tested.

    Raises:
        ValueError: if ``n`` is below 1.
        DataError: if no user has enough interactions.

    >>> data = Dataset.from_interactions({"user": list("aaab"), "item": [7, 8, 9, 9], "at": [3, 1, 2, 1]}, timestamp="at")
    >>> split = leave_last_out(data)
    >>> split.test.to_frame()["item"].to_list(), split.description
    ([7], 'the last interaction of each user, by time; 1 user with fewer than 2 is not tested')
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    counts = np.bincount(data.user, minlength=data.n_users)
    needed = n * (2 if validation else 1) + 1
    places = places_in_user(data.user, -data.timestamp, -np.arange(len(data)))  # 0 is a user's latest
    tested = counts[data.user] >= needed
    last = "last interaction" if n == 1 else f"last {n} interactions"
    order = "time" if data.schema.timestamp else "row order (there are no times)"
    description = f"the {last} of each user, by {order}"
    few = int(((counts > 0) & (counts < needed)).sum())
    if few:
        description += (
            f"; {_plural(few, 'user')} with fewer than {needed} {'is' if few == 1 else 'are'} not tested"
        )
    held_out = tested & (places >= n) & (places < 2 * n) if validation else None
    return _part(data, tested & (places < n), "leave last out", description, validation=held_out)


def global_time(data: Dataset, fraction: float | None = None, at: datetime | int | None = None) -> Split:
    """Train on the past, test on the future: everything from one moment on is held out.

    Args:
        data: what to part; it needs times. Not every data set's times can be trusted across users: see its notes.
        fraction: the latest share of the interactions, 0.2 unless ``at`` is given; interactions at the moment of the cut
            are all tested on.
        at: the moment, as a datetime (naive ones are UTC) or in microseconds since 1970.

    Raises:
        ValueError: if both are given, the share is outside (0, 1), or ``at`` is no moment.
        DataError: if there are no times, or one of the parts would be empty.

    >>> data = Dataset.from_interactions({"user": list("abab"), "item": [1, 2, 3, 4], "at": [4, 1, 2, 3]}, timestamp="at")
    >>> split = global_time(data, fraction=0.25)
    >>> split.test.to_frame()["item"].to_list(), split.description
    ([1], 'everything from 1970-01-01 00:00:04 UTC on')
    """
    cut = moment_of_cut(data, fraction, at)
    return _part(data, data.timestamp >= cut, "global time", f"everything from {moment(cut)} on")


def moment_of_cut(data: Dataset, fraction: float | None, at: datetime | int | None) -> int:
    """The moment in microseconds since 1970 from which on data are tested on; see :func:`global_time`."""
    require_times(data)
    if at is not None and fraction is not None:
        raise ValueError("give at or fraction, not both")
    if at is not None:
        return _microseconds(at)
    fraction = 0.2 if fraction is None else fraction
    check_share("fraction", fraction)
    if not len(data):
        raise DataError(f"{data.schema.name} has no interactions to part")
    tested = round(fraction * len(data))
    return int(np.sort(data.timestamp)[-max(1, tested)])


def moment(microseconds: int) -> str:
    """A moment in words: ``1970-01-01 00:00:04 UTC``."""
    return f"{np.datetime64(microseconds, 'us').astype('datetime64[s]')}".replace("T", " ") + " UTC"


def predefined(
    data: Dataset,
    test: ArrayLike,
    train: ArrayLike | None = None,
    *,
    name: str = "predefined",
    description: str = "as given",
    negatives: NDArray[np.int32] | None = None,
) -> Split:
    """A split that somebody else made.

    Args:
        data: what to part.
        test: bool[len(data)] mask or int[m] row numbers, in the order wanted.
        train: likewise; by default all rows that are not in ``test``, in their order.
        name, description, negatives: see :class:`Split`.

    Raises:
        DataError: if a part is empty, a row is in both parts or twice in one, or there is no such row.
    """
    at = _row_numbers(test, len(data), "test")
    used = np.zeros(len(data), bool)
    used[at] = True
    rest = np.flatnonzero(~used) if train is None else _row_numbers(train, len(data), "train")
    both = rest[used[rest]]
    if len(both):
        raise DataError(f"{_plural(len(both), 'row')} in both parts; the first is row {both.min()}")
    if len(at) == 0 or len(rest) == 0:
        raise DataError(f"a part is empty: {len(rest)} training rows, {len(at)} test rows")
    if negatives is not None and len(negatives) != len(at):
        raise DataError(f"expected negatives for {len(at):,} test rows, got them for {len(negatives):,}")
    return Split(data.select(rest), data.select(at), name, description, negatives=negatives)


@dataclass(frozen=True)
class Leak:
    """Training interactions from after the first test interaction: what a live system could not have known.

    Attributes:
        rows: how many training interactions are later than the earliest test interaction.
        users: how many users have such an interaction.
        since: the earliest test interaction, in microseconds since 1970.
    """

    rows: int
    users: int
    since: int

    def __bool__(self) -> bool:
        return self.rows > 0


def check_leak(split: Split) -> Leak:
    """How much of the training part is from the future of the test part; false if nothing is.

    Every split but :func:`global_time` leaks this way: harmless for comparing models on ratings, not for a claim about
    what a live system would have reached.

    Raises:
        DataError: if there are no times.

    >>> data = Dataset.from_interactions({"user": list("abab"), "item": [1, 2, 3, 4], "at": [4, 1, 2, 3]}, timestamp="at")
    >>> bool(check_leak(global_time(data, fraction=0.5))), check_leak(leave_last_out(data))
    (False, Leak(rows=0, users=0, since=3000000))
    """
    require_times(split.train)
    since = int(split.test.timestamp.min())
    later = split.train.timestamp > since
    return Leak(int(later.sum()), len(np.unique(split.train.user[later])), since)


def _part(
    data: Dataset,
    test: NDArray[np.bool_],
    name: str,
    description: str,
    seed: int | None = None,
    validation: NDArray[np.bool_] | None = None,
) -> Split:
    """The split in which each part keeps the order of the rows."""
    train = ~test if validation is None else ~(test | validation)
    if not test.any() or not train.any():
        raise DataError(
            f"{data.schema.name}, {name} ({description}): of {len(data):,} interactions {int(train.sum()):,} "
            f"would be for training and {int(test.sum()):,} for the test; both parts need some"
        )
    middle = None if validation is None else data.select(validation)
    return Split(data.select(train), data.select(test), name, description, seed, middle)


def places_in_user(user: NDArray[np.int32], *keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """int64[n]: the place of each row among its user's rows, in the order of the keys (the first decides)."""
    order = np.lexsort((*reversed(keys), user))
    starts = np.cumsum(np.bincount(user)) - np.bincount(user)
    places = np.empty(len(user), np.int64)
    places[order] = np.arange(len(user)) - starts[user[order]]
    return places


def _only_in(codes: NDArray[np.int32], others: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """The distinct ``codes``, of 0 to n - 1, that are not among ``others``; in order."""
    only = np.zeros(n, bool)
    only[codes] = True
    only[others] = False
    return np.flatnonzero(only).astype(np.int32)


def _row_numbers(rows: ArrayLike, n: int, name: str) -> NDArray[np.int64]:
    at = np.asarray(rows)
    if at.dtype == np.bool_:
        if at.shape != (n,):
            raise DataError(f"{name}: expected a mask of shape ({n},), got {at.shape}")
        return np.flatnonzero(at)
    at = at.astype(np.int64)
    if len(at) and not 0 <= at.min() <= at.max() < n:
        raise DataError(f"{name}: rows go from 0 to {n - 1}, got {at.min()} to {at.max()}")
    times = np.bincount(at, minlength=1)
    if times.max() > 1:
        raise DataError(
            f"{name}: {_plural(int((times > 1).sum()), 'row')} repeated; the first is row {(times > 1).argmax()}"
        )
    return at


def require_times(data: Dataset) -> None:
    """Refuse data without times, which cannot be parted by them."""
    if data.schema.timestamp is None:
        raise DataError(
            f"{data.schema.name} has no times; build it with timestamp=<column>, or split another way"
        )


def check_share(name: str, share: float) -> None:
    """Refuse what is no share, or none at all."""
    if not 0 < share <= 1:
        raise ValueError(f"{name} must be a share above 0 and at most 1, got {share}")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _counts(users: int, items: int) -> str:
    return f"{_plural(users, 'user')}, {_plural(items, 'item')}"


def percent(share: float) -> str:
    """A share in words: ``12.5%``."""
    return f"{100 * share:.4g}%"


def _microseconds(at: datetime | int) -> int:
    if isinstance(at, datetime):
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return round(at.timestamp() * 1_000_000)
    if isinstance(at, bool) or not isinstance(at, int | np.integer) or not -(2**63) < at < 2**63:
        raise ValueError(
            f"at must be a datetime, or a whole number of microseconds since 1970 that 64 bits hold, got {at!r}"
        )
    return int(at)
