"""Sessions: what somebody did in one go. Each becomes a user of its own, of whom nothing is known but what it holds.

Build them from the table, ``Dataset.from_interactions(table, timestamp="at", session_gap=GAP)``: there every session of a
returning visitor has all its items. A Dataset of users has forgotten some, for a user has an item once, at its last time.
Sessions that are cut from one lack whatever the visitor came back to later, so that the future decides what the past holds.

In a session, too, an item counts once, but where it came first: up to any moment, a session holds what had been seen by then.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from tastemaker.data.columns import constant
from tastemaker.data.dataset import Dataset
from tastemaker.data.duplicates import merge_duplicates
from tastemaker.data.splits import Split, moment, moment_of_cut, places_in_user, require_times
from tastemaker.data.vocabulary import Vocabulary
from tastemaker.errors import DataError

__all__ = ["GAP", "by_session", "next_in_session", "session_codes", "sessions"]

GAP = timedelta(minutes=30)
"""A pause longer than this ends a session, unless another is given: what web analytics count by."""
_FORGOTTEN = "; cut from a Dataset of users, which has each item of a user once, at its last time"


def session_codes(user: ArrayLike, timestamp: ArrayLike, gap: int) -> NDArray[np.int64]:
    """Which session each row belongs to: a new one begins where a user did nothing for longer than ``gap``.

    Args:
        user: int[n].
        timestamp: int[n], in any unit.
        gap: in that unit.

    Returns:
        int64[n], numbers from 0 on: the sessions of the first user in the order of time, then those of the next.

    >>> session_codes([7, 7, 4, 7, 7], [0, 10, 3, 21, 20], gap=9).tolist()
    [1, 2, 0, 3, 3]
    """
    who, when = np.asarray(user), np.asarray(timestamp)
    order = np.lexsort((when, who))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(who[order]) != 0) | (np.diff(when[order]) > gap)
    codes = np.empty(len(order), np.int64)
    codes[order] = np.cumsum(begins) - 1
    return codes


def sessions(data: Dataset, gap: timedelta | None = None) -> Dataset:
    """The same interactions, as implicit feedback, of sessions in place of users: their ids are numbers from 0 on.

    A Dataset of sessions is given back as it is. Impressions are cut by their clicks, all of which they hold. Of other Datasets,
    what a user came back to is in the last of its sessions alone: build those of returning visitors with ``session_gap``, as
    :mod:`tastemaker.data.sessions` tells.

    Args:
        data: with times.
        gap: a longer pause than this ends a session; by default as ``data`` were cut already, else :data:`GAP`.

    Raises:
        DataError: if there are no times.
        ValueError: for a gap that is no timedelta, below 0, or another than ``data`` were cut by.

    >>> rows = {"user": list("aaa"), "item": [1, 2, 1], "at": [0, 1, 3600]}
    >>> sessions(Dataset.from_interactions(rows, timestamp="at", session_gap=GAP)).user.tolist()
    [0, 0, 1]
    >>> sessions(Dataset.from_interactions(rows, timestamp="at")).user.tolist()
    [0, 1]
    """
    cut = data.schema.session_gap
    if cut is None:
        rows = data.select(data.value > 0) if data.schema.clicks else data
        return merge_duplicates(by_session(rows, GAP if gap is None else gap), "first")
    if gap is not None and _in_microseconds(gap) != cut:
        raise ValueError(
            f"{data.schema.name} holds sessions already, which end with a pause of more than {_minutes(cut)} minutes; "
            f"to cut them by {gap}, build it anew with that session_gap"
        )
    return data


def by_session(rows: Dataset, gap: timedelta) -> Dataset:
    """The same rows as implicit feedback of sessions, in place of users; a session may have an item in several of them.

    Raises:
        DataError: if there are no times.
        ValueError: for a gap that is no timedelta, or below 0.
    """
    require_times(rows)
    pause = _in_microseconds(gap)
    codes = session_codes(rows.user, rows.timestamp, pause)
    visits = _with_users(rows, codes, _numbers(int(codes.max(initial=-1)) + 1))
    schema = replace(rows.schema, rating=None, scale=None, label=None, session_gap=pause)
    return replace(visits, value=constant(np.float32(1), len(rows)), schema=schema)


def next_in_session(
    data: Dataset,
    gap: timedelta | None = None,
    fraction: float | None = None,
    at: datetime | int | None = None,
    each: bool = False,
) -> Split:
    """Ask for the next item of sessions that nobody has an id for, from what they hold so far.

    Models learn from everything before one moment, session by session, and are tested on the sessions that begin after it; the
    rest of a session that goes on over that moment is left out. So nothing is learned from the future, if ``data`` were built
    with ``session_gap``; from a Dataset of users, sessions lack what their user came back to later, and the description says so.

    Args:
        data: with times that can be trusted across users; best of sessions.
        gap: see :func:`sessions`.
        fraction, at: the moment, as of :func:`tastemaker.data.splits.global_time`.
        each: ask for each item but a session's first, instead of the last alone; each question counts as a user of its own.

    Raises:
        DataError: if there are no times, or no session after the moment has two items.
        ValueError: for a number out of range, or a gap as in :func:`sessions`.

    >>> rows = {"user": list("aaaaa"), "item": [1, 2, 1, 2, 3], "at": [0, 1, 9000, 9001, 9002]}
    >>> split = next_in_session(Dataset.from_interactions(rows, timestamp="at", session_gap=GAP), at=5_000_000_000)
    >>> [part.to_frame()["item"].to_list() for part in (split.train, split.history, split.test)]
    [[1, 2], [1, 2], [3]]
    """
    cut = moment_of_cut(data, fraction, at)
    visits = sessions(data, gap)
    begin = np.full(visits.n_users, np.iinfo(np.int64).max)
    np.minimum.at(begin, visits.user, visits.timestamp)
    past, later = visits.select(visits.timestamp < cut), visits.select(begin[visits.user] >= cut)
    place = places_in_user(later.user, later.timestamp)
    last = np.bincount(later.user)[later.user] - 1
    asked = np.flatnonzero((place > 0) & (each | (place == last)))
    if not len(past) or not len(asked):
        raise DataError(
            f"{data.schema.name}: {len(past):,} interactions before {moment(cut)} to learn from, and {len(asked):,} next "
            "items to ask for in sessions after it; both parts need some"
        )
    question, before = _so_far(later.user, place, asked)
    everyone = _numbers(visits.n_users + len(asked))  # the sessions, then the questions
    return Split(
        _with_users(past, past.user, everyone),
        _with_users(later.select(asked), visits.n_users + np.arange(len(asked)), everyone),
        "next in session",
        f"{'each next item' if each else 'the last item'} of sessions from {moment(cut)} on, told from the items before it "
        f"alone; a session ends with a pause of more than {_minutes(visits.schema.session_gap)} minutes"
        f"{_FORGOTTEN if data.schema.session_gap is None and not data.schema.clicks else ''}",
        history=_with_users(later.select(before), visits.n_users + question, everyone),
    )


def _in_microseconds(gap: timedelta) -> int:
    if not isinstance(gap, timedelta):
        raise ValueError(f"gap must be a timedelta such as timedelta(minutes=30), got {gap!r}")
    if gap < timedelta(0):
        raise ValueError(f"gap must not be below 0, got {gap}")
    return gap // timedelta(microseconds=1)


def _minutes(gap: int | None) -> str:
    """So many microseconds in minutes."""
    return f"{(gap or 0) / 60_000_000:g}"


def _so_far(
    session: NDArray[np.int32], place: NDArray[np.int64], asked: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row that is asked for, the rows before it in its session, in order: the number of the question, and the row."""
    order = np.lexsort((place, session))
    where = np.empty(len(order), np.int64)
    where[order] = np.arange(len(order))
    count = place[asked]
    question = np.repeat(np.arange(len(asked)), count)
    back = np.repeat(np.cumsum(count), count) - np.arange(count.sum())  # places from the row asked for
    return question, order[where[asked][question] - back]


def _numbers(count: int) -> Vocabulary:
    return Vocabulary(pl.Series("user", np.arange(count)))


def _with_users(data: Dataset, codes: NDArray[np.integer], users: Vocabulary) -> Dataset:
    """The same interactions of others, of whom nothing is known."""
    return replace(data, user=codes.astype(np.int32), users=users, user_features=pl.DataFrame())
