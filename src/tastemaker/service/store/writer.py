"""The one writer: jobs from any thread, as many to a commit as have come while the last one went to disk."""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection

from tastemaker.errors import StoreUnavailable, TastemakerError
from tastemaker.service.store.database import Database

__all__ = ["Job", "Task", "Writer"]

_ROWS_A_COMMIT = 8192
_ROWS_WAITING = 262_144
_PATIENCE = 0.2  # seconds that a commit of what nobody waits for is put off, so that others join it

T = TypeVar("T")


@dataclass(eq=False)
class Job(ABC, Generic[T]):
    """Something to write, and the promise of its result. Neighbours of one class are written together.

    Attributes:
        rows: how many rows it brings, about.
        done: resolved when the result is on disk.
    """

    patient: ClassVar[bool] = (
        False  # whether nobody waits for it: then it goes with the next commit, or a moment later
    )

    rows: int
    done: Future[T] = field(default_factory=Future, init=False)

    @classmethod
    @abstractmethod
    def write(cls, connection: Connection, jobs: Sequence[Any]) -> list[Any]:
        """Write ``jobs``, which are of this class; one result each. A TastemakerError comes before anything is written."""


@dataclass(eq=False)
class Task(Job[T]):
    """A job that is a function of the connection, written by itself."""

    run: Callable[[Connection], T]

    @classmethod
    def write(cls, connection: Connection, jobs: Sequence["Task[T]"]) -> list[T | TastemakerError]:
        """Run one after another."""
        return [_outcome(job.run, connection) for job in jobs]


def _outcome(run: Callable[[Connection], T], connection: Connection) -> T | TastemakerError:
    try:
        return run(connection)
    except StoreUnavailable:
        raise
    except TastemakerError as refusal:
        return refusal


class Writer:
    """A thread that commits jobs in the order in which they came.

    A job's future is resolved only after the commit that holds it. If a commit fails, none of its jobs has been done, and
    each future raises; later jobs are tried anew, so that the store recovers when the disk does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: deque[Job[Any]] = deque()
        self._waiting = 0  # rows, of the jobs in the queue and of those that are being written
        self._urgent = 0  # jobs in the queue that somebody waits for
        self._closed = False
        self._news = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._work, name="tastemaker-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job[T]) -> Future[T]:
        """Queue a job. Its future raises StoreUnavailable if the writer is closed or too far behind."""
        job.done.set_running_or_notify_cancel()  # from here on it is done or not; it cannot be called back
        with self._news:
            refusal = self._refusal()
            if not refusal:
                self._queue.append(job)
                self._waiting += job.rows
                self._urgent += not job.patient
                if not job.patient or len(self._queue) == 1:  # else the thread looks by itself before long
                    self._news.notify()
        if refusal:
            job.done.set_exception(StoreUnavailable(refusal))
        return job.done

    def run(self, function: Callable[[Connection], T], rows: int = 1) -> Future[T]:
        """Queue a function of the connection."""
        return self.submit(Task(rows, function))

    def close(self) -> None:
        """Commit what is queued, then stop."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join()

    def _refusal(self) -> str:
        if self._closed:
            return "the store is closed"
        if self._waiting > _ROWS_WAITING:
            return f"{self._waiting:,} rows wait to be written; try again later"
        return ""

    def _work(self) -> None:
        while group := self._next():
            self._commit(group)
            with self._news:
                self._waiting -= sum(job.rows for job in group)

    def _next(self) -> list[Job[Any]]:
        """What has come since the last group, up to a number of rows; nothing at the end."""
        with self._news:
            while not self._queue and not self._closed:
                self._news.wait()
            until = time.monotonic() + _PATIENCE
            while not self._urgent and not self._closed and self._waiting < _ROWS_A_COMMIT:
                if not self._news.wait(until - time.monotonic()):
                    break
            group, rows = [], 0
            while self._queue and rows < _ROWS_A_COMMIT:
                group.append(job := self._queue.popleft())
                rows += job.rows
            self._urgent -= sum(not job.patient for job in group)
            return group

    def _commit(self, group: list[Job[Any]]) -> None:
        try:
            with self._database.writing() as connection:
                results = [
                    result for jobs in _runs(group) for result in type(jobs[0]).write(connection, jobs)
                ]
        except Exception as error:
            if len(group) == 1 or isinstance(error, StoreUnavailable):
                for job in group:
                    job.done.set_exception(error)
            else:  # one of them is wrong; the others need not suffer for it
                for job in group:
                    self._commit([job])
            return
        for job, result in zip(group, results, strict=True):
            if isinstance(result, TastemakerError):
                job.done.set_exception(result)
            else:
                job.done.set_result(result)


def _runs(group: list[Job[Any]]) -> Iterator[list[Job[Any]]]:
    """Neighbours of one class."""
    for _, jobs in groupby(group, type):
        yield list(jobs)
