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
HALF_COSTS = 1.15  # an ask may take this much longer in a batch of half the size, where halves keep the guard busy

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


@dataclass(slots=True)
class Pace:
    """How long an ask takes in batches of a size: on a CPU hardly less in larger ones, on a GPU much less."""

    _each: dict[int, float] = field(default_factory=dict)  # seconds, by the size's bit length

    def note(self, size: int, seconds: float) -> None:
        known = self._each.setdefault(size.bit_length(), seconds / size)
        self._each[size.bit_length()] = known + SMOOTHING * (seconds / size - known)

    def halves_cost_little(self, size: int) -> bool:
        """Two batches of half the size take hardly longer than one. Not before such a size was put; halves are tried once."""
        whole, half = self._each.get(size.bit_length()), self._each.get(((size + 1) // 2).bit_length())
        return whole is not None and (half is None or half <= HALF_COSTS * whole)


class Batcher(Generic[A]):
    """`answer` gets at most `size` asks of one kind and gives one answer each; it is called by `workers` threads.

    Callers who wait for an answer before they ask again would all come back at once, and the guard would wait for them each time:
    where halves cost little, one half is judged while the other one is on its way.

    Where a batch raises one of `failures` each of its asks is put alone, so that a bad one takes no neighbour with it. An engine
    that is no server takes one worker.
    """

    def __init__(self, answer: Callable[[Sequence[Ask]], Sequence[A]], *, failures: tuple[type[Exception], ...], size: int = 32,
                 limit: int = 256, workers: int = 1, ended: Callable[[], object] = lambda: None) -> None:
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
        self._pace = Pace()
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
        try:
            while (batch := self._next()) is not None:
                started = time.monotonic()
                self._put(batch)
                seconds = time.monotonic() - started
                self._seconds_each += SMOOTHING * (seconds / max(1, len(batch)) - self._seconds_each)
                if batch:
                    self._pace.note(len(batch), seconds)
        finally:
            self._ended()

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
            alike = [entry for entry in self._waiting if entry.kind == kind]
            batch = alike[:self._share(len(alike))]
            taken = {id(entry) for entry in batch}
            self._waiting = [entry for entry in self._waiting if id(entry) not in taken]
            self._last_size = len(batch)
        return [entry for entry in batch if _still_wanted(entry)]

    def _share(self, waiting: int) -> int:
        """How many of those that wait are put now; the callers of the last batch are thought to come back."""
        whole, half = min(waiting, self._size), -(-(waiting + self._last_size) // 2)
        return half if half < whole and self._pace.halves_cost_little(whole) else whole

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
