"""Asks of many callers, put to the guard together: who comes while it is at work joins, or gathers for the next
batch.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, TypeVar

from guardapp.guard.judging import Ask

# how long a batch that nobody can join waits for as many asks as the last one had: a caller alone never waits
GATHER_S = 0.02
# then nobody joins any more: who answers looks anew at what a batch begins with
LONGEST_JOINED_S = 10.0
SMOOTHING = 0.2  # weight of the last batch in the mean time that an answer takes

A = TypeVar("A")
More = Callable[[int], Sequence[Ask]]


class QueueFull(Exception):
    """More is waiting than the guard can answer in time."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(QueueFull.__doc__)
        self.retry_after_s = retry_after_s


class TooLate(Exception):
    """The deadline passed before the guard came to this."""


class Stopped(Exception):
    """The guard is stopping."""


@dataclass(slots=True)
class _Waiting(Generic[A]):
    ask: Ask
    deadline: float
    future: Future[A] = field(default_factory=Future)


class Batcher(Generic[A]):
    """`answer` gets at most `size` asks that agree in `sampled` and tells the answers as they come, each with its ask's
    number; it is called by `workers` threads. It may ask `more(room)` for such asks that wait now: their numbers count
    on.

    An answer may be an exception. Where a batch raises one of `failures` each of its asks that is not answered is put
    alone, so that a bad one takes no neighbour with it. An engine that is no server takes one worker.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Ask], More], Iterator[tuple[int, A | Exception]]],
        *,
        failures: tuple[type[Exception], ...],
        size: int = 32,
        limit: int = 256,
        workers: int = 1,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        """`ended` is called by each thread as it ends, to let go of what is the thread's own."""
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

    def submit(self, asks: Sequence[Ask], *, deadline: float) -> list[Future[A]]:
        """One future for each ask; all are taken or none. `deadline` is a time.monotonic(). Raises QueueFull, Stopped.

        A future ends in TooLate where the deadline passes first, and in what `answer` raised. One that is cancelled is
        not asked.
        """
        entries = [_Waiting[A](ask, deadline) for ask in asks]
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
        """Answer what is under way and refuse the rest."""
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
        """The asks that are put next, the first come and those like it; None when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            expected = min(self._last_size, self._size)
            self._changed.wait_for(lambda: len(self._waiting) >= expected or self._stopping, GATHER_S)
            if self._stopping:
                return None
            if not self._waiting:  # another worker took them meanwhile
                return []
            sampled = self._waiting[0].ask.sampled
            batch = [entry for entry in self._waiting if entry.ask.sampled == sampled][: self._size]
            taken = {id(entry) for entry in batch}
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
            self._last_size = len(batch)
        return [entry for entry in batch if _still_wanted(entry)]

    def _joining(self, sampled: int, room: int) -> list[_Waiting[A]]:
        """Those who can join now. Nobody overtakes an ask that cannot, which waits for those under way to end."""
        with self._changed:
            self._last_size = 1  # who comes later joins: none is waited for
            if self._stopping:
                return []
            alike = list(takewhile(lambda entry: entry.ask.sampled == sampled, self._waiting))[:room]
            self._waiting = self._waiting[len(alike) :]
        return [entry for entry in alike if _still_wanted(entry)]

    def _run(self, batch: list[_Waiting[A]]) -> None:
        """Until all are answered, those who joined among them."""
        started, put = time.monotonic(), list(batch)

        def more(room: int) -> list[Ask]:
            joining = self._joining(batch[0].ask.sampled, room) if time.monotonic() < started + LONGEST_JOINED_S else []
            put.extend(joining)
            return [entry.ask for entry in joining]

        self._put(put, more)
        self._seconds_each += SMOOTHING * ((time.monotonic() - started) / len(put) - self._seconds_each)

    def _put(self, batch: list[_Waiting[A]], more: More) -> None:
        """`more` adds to the batch."""
        try:
            for number, answer in self._answer([entry.ask for entry in batch], more):
                _tell(batch[number], answer)
        except self._failures as error:
            for entry in _unanswered(batch):
                if len(batch) > 1:
                    self._put([entry], lambda room: ())
                else:
                    entry.future.set_exception(error)
        except Exception as error:  # noqa: BLE001  (a fault of the program: the callers are told, the thread goes on)
            for entry in _unanswered(batch):
                entry.future.set_exception(error)


def _tell(entry: _Waiting[A], answer: A | Exception) -> None:
    if isinstance(answer, Exception):
        entry.future.set_exception(answer)
    else:
        entry.future.set_result(answer)


def _unanswered(batch: Sequence[_Waiting[A]]) -> list[_Waiting[A]]:
    return [entry for entry in batch if not entry.future.done()]


def _still_wanted(entry: _Waiting[A]) -> bool:
    if not entry.future.set_running_or_notify_cancel():
        return False
    if entry.deadline <= time.monotonic():
        entry.future.set_exception(TooLate(TooLate.__doc__))
        return False
    return True
