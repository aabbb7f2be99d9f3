"""Asks of many callers, put to the guard together: while one batch is under way the next one gathers."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from guardapp.guard.judging import Ask, Mode

GATHER_S = 0.02  # how long a batch waits for as many asks as the last one had: a caller alone never waits
SMOOTHING = 0.2  # weight of the last batch in the mean time that an answer takes

A = TypeVar("A")


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

    @property
    def kind(self) -> tuple[Mode, int]:
        """Asks of one kind can be put together."""
        return self.ask.mode, self.ask.rollouts


class Batcher(Generic[A]):
    """`answer` gets at most `size` asks of one kind and gives one answer each; it is called by `workers` threads.

    Where a batch raises one of `failures` each of its asks is put alone, so that a bad one takes no neighbour with it. An engine
    that is no server takes one worker.
    """

    def __init__(self, answer: Callable[[Sequence[Ask]], Sequence[A]], *, failures: tuple[type[Exception], ...], size: int = 32,
                 limit: int = 256, workers: int = 1) -> None:
        self._answer = answer
        self._failures = failures
        self._size = size
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: list[_Waiting[A]] = []
        self._stopping = False
        self._last_size = 1
        self._seconds_each = 0.0
        self._threads = [threading.Thread(target=self._work, name=f"batcher-{number}", daemon=True) for number in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, asks: Sequence[Ask], *, deadline: float) -> list[Future[A]]:
        """One future for each ask; all are taken or none. `deadline` is a time.monotonic(). Raises QueueFull, Stopped.

        A future ends in TooLate where the deadline passes first, and in what `answer` raised. One that is cancelled is not asked.
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
        while (batch := self._next()) is not None:
            started = time.monotonic()
            self._put(batch)
            each = (time.monotonic() - started) / max(1, len(batch))
            self._seconds_each += SMOOTHING * (each - self._seconds_each)

    def _next(self) -> list[_Waiting[A]] | None:
        """The asks that are put next, the first come and those of its kind; None when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            expected = min(self._last_size, self._size)
            self._changed.wait_for(lambda: len(self._waiting) >= expected or self._stopping, GATHER_S)
            if self._stopping:
                return None
            if not self._waiting:  # another worker took them meanwhile
                return []
            kind = self._waiting[0].kind
            batch = [entry for entry in self._waiting if entry.kind == kind][:self._size]
            taken = {id(entry) for entry in batch}
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
            self._last_size = len(batch)
        return [entry for entry in batch if _still_wanted(entry)]

    def _put(self, batch: Sequence[_Waiting[A]]) -> None:
        if not batch:
            return
        try:
            answers = self._answer([entry.ask for entry in batch])
        except self._failures as error:
            if len(batch) > 1:
                for entry in batch:
                    self._put([entry])
            else:
                batch[0].future.set_exception(error)
        except Exception as error:  # noqa: BLE001  (a fault of the program: the callers are told, the thread goes on)
            for entry in batch:
                entry.future.set_exception(error)
        else:
            for entry, answer in zip(batch, answers, strict=True):
                entry.future.set_result(answer)


def _still_wanted(entry: _Waiting[A]) -> bool:
    if not entry.future.set_running_or_notify_cancel():
        return False
    if entry.deadline <= time.monotonic():
        entry.future.set_exception(TooLate(TooLate.__doc__))
        return False
    return True
