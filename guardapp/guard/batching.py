"""Batch requests from many callers for one guard; late arrivals join the running batch or wait for the next."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Generic, TypeVar

from guardapp.guard.judging import SampleRequest
from guardapp.guard.protocol import NobodyWaits

# How long a batch that nobody can join waits to reach the size of the last one. A lone caller never waits.
GATHER_S = 0.02
# After this, nobody joins a running batch any more: `answer` checks for a new version only when a batch starts.
LONGEST_JOINED_S = 10.0
# Weight of the last batch in the moving average of the seconds per answer.
SMOOTHING = 0.2

A = TypeVar("A")
More = Callable[[int], Sequence[SampleRequest]]


class QueueFull(Exception):
    """More is waiting than the guard can answer in time."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(QueueFull.__doc__)
        self.retry_after_s = retry_after_s


class TooLate(Exception):
    """The deadline passed before the guard reached this request."""


class Abandoned(Exception):
    """The caller has left."""


class Stopped(Exception):
    """The guard is stopping."""


@dataclass(slots=True)
class _Waiting(Generic[A]):
    request: SampleRequest
    deadline: float
    future: Future[A] = field(default_factory=Future)

    def __post_init__(self) -> None:
        here = self.request.wanted
        self.request = replace(self.request, wanted=lambda: here() and time.monotonic() < self.deadline)


class Batcher(Generic[A]):
    """A queue of requests that worker threads answer in batches.

    `answer` receives at most `size` requests with the same `sampled` and yields (number of the request, answer) as
    answers finish. While it runs it may call `more(room)` for waiting requests of the same kind; their numbers continue
    the sequence.

    An answer may be an exception. If a batch raises one of `failures`, each unanswered request is retried alone, so
    that one bad request does not fail its neighbours. Use one worker unless the engine is a server.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[SampleRequest], More], Iterator[tuple[int, A | Exception]]],
        *,
        failures: tuple[type[Exception], ...],
        size: int = 32,
        limit: int = 256,
        workers: int = 1,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        """Start the workers. Each thread calls `ended` as it exits, to release its own resources."""
        self._answer = answer
        self._failures = failures
        self._ended = ended
        self._size = size
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: list[_Waiting[A]] = []
        self._stopping = False
        self._last_size = 1
        self._seconds_each = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"batcher-{number}", daemon=True) for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, requests: Sequence[SampleRequest], *, deadline: float) -> list[Future[A]]:
        """Queue the requests and return one future for each; either all are queued or none.

        `deadline` is a `time.monotonic()` value. Raises QueueFull or Stopped.

        A future fails with TooLate if the deadline passes first, or with what `answer` raised. A cancelled one is
        skipped. `wanted` of each request becomes false at its deadline.
        """
        entries = [_Waiting[A](request, deadline) for request in requests]
        with self._changed:
            if self._stopping:
                raise Stopped
            if len(self._waiting) + len(entries) > self._limit:
                raise QueueFull(max(1.0, len(self._waiting) * self._seconds_each))
            self._waiting += entries
            self._changed.notify_all()
        return [entry.future for entry in entries]

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def stop(self) -> None:
        """Finish the running batches and refuse the waiting requests."""
        with self._changed:
            self._stopping = True
            refused, self._waiting = self._waiting, []
            self._changed.notify_all()
        for entry in refused:
            entry.future.set_exception(Stopped())
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            while (batch := self._next()) is not None:
                if batch:
                    self._run(batch)
        finally:
            self._ended()

    def _next(self) -> list[_Waiting[A]] | None:
        """Wait for the next batch: the oldest request and the ones like it. None means that the worker should exit."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            expected = min(self._last_size, self._size)
            self._changed.wait_for(lambda: len(self._waiting) >= expected or self._stopping, GATHER_S)
            if self._stopping:
                return None
            # another worker took them in the meantime
            if not self._waiting:
                return []
            sampled = self._waiting[0].request.sampled
            batch = [entry for entry in self._waiting if entry.request.sampled == sampled][: self._size]
            taken = {id(entry) for entry in batch}
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
            self._last_size = len(batch)
        return [entry for entry in batch if _still_wanted(entry)]

    def _joining(self, sampled: int, room: int) -> list[_Waiting[A]]:
        """Take the requests that can join now, up to the first that cannot: it must not be overtaken."""
        with self._changed:
            # later arrivals join, so the next batch need not wait for its size
            self._last_size = 1
            if self._stopping:
                return []
            alike = list(takewhile(lambda entry: entry.request.sampled == sampled, self._waiting))[:room]
            self._waiting = self._waiting[len(alike) :]
        return [entry for entry in alike if _still_wanted(entry)]

    def _run(self, batch: list[_Waiting[A]]) -> None:
        """Answer the whole batch, including requests that join on the way."""
        started, put = time.monotonic(), list(batch)

        def more(room: int) -> list[SampleRequest]:
            joining = (
                self._joining(batch[0].request.sampled, room) if time.monotonic() < started + LONGEST_JOINED_S else []
            )
            put.extend(joining)
            return [entry.request for entry in joining]

        self._put(put, more)
        self._seconds_each += SMOOTHING * ((time.monotonic() - started) / len(put) - self._seconds_each)

    def _put(self, batch: list[_Waiting[A]], more: More) -> None:
        """Answer a batch, which `more` may extend; retry one by one after a failure."""
        try:
            for number, answer in self._answer([entry.request for entry in batch], more):
                _resolve(batch[number], answer)
        except NobodyWaits as error:
            for entry in _unanswered(batch):
                entry.future.set_exception(_why_unwanted(entry, error))
        except self._failures as error:
            for entry in _unanswered(batch):
                if len(batch) > 1:
                    self._put([entry], lambda room: ())
                else:
                    entry.future.set_exception(error)
        except Exception as error:  # noqa: BLE001  (a bug: callers get the error, the thread survives)
            for entry in _unanswered(batch):
                entry.future.set_exception(error)


def _resolve(entry: _Waiting[A], answer: A | Exception) -> None:
    if isinstance(answer, Exception):
        entry.future.set_exception(_why_unwanted(entry, answer))
    else:
        entry.future.set_result(answer)


def _why_unwanted(entry: _Waiting[A], error: Exception) -> Exception:
    """The error that the caller gets; for NobodyWaits, which of its two reasons holds."""
    if not isinstance(error, NobodyWaits):
        return error
    late = entry.deadline <= time.monotonic()
    return TooLate(TooLate.__doc__) if late else Abandoned(Abandoned.__doc__)


def _unanswered(batch: Sequence[_Waiting[A]]) -> list[_Waiting[A]]:
    return [entry for entry in batch if not entry.future.done()]


def _still_wanted(entry: _Waiting[A]) -> bool:
    if not entry.future.set_running_or_notify_cancel():
        return False
    if not entry.request.wanted():
        entry.future.set_exception(_why_unwanted(entry, NobodyWaits()))
        return False
    return True
