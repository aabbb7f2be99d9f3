"""Two batches that take turns: rows with long prompts get a share of the time while others run, and all of it else.

A long prompt is prefilled piece by piece and one at a time, so a short row never waits longer than for a piece.
"""

import time
from collections import deque
from collections.abc import Callable

from guardapp.guard.engines.hf.continuous_batch import READ_TOGETHER, Reading, Row, Running

# seconds for long rows for each second of short ones
LONG_RATE = 0.5


class Lanes:
    """The running and waiting rows. `batch_tokens` limits the cache of the short ones. Not thread-safe."""

    def __init__(self, running: Callable[[], Running], batch_tokens: int) -> None:
        self._batch_tokens = batch_tokens
        self._short, self._long = running(), running()
        self._waiting: deque[Row] = deque()
        self._long_waiting: deque[Row] = deque()
        self._reading: Reading | None = None
        # seconds that long rows may take now
        self._credit = 0.0

    def add(self, row: Row) -> None:
        (self._long_waiting if len(row.prompt) > READ_TOGETHER else self._waiting).append(row)

    def drop(self, number: int) -> None:
        """Forget a row, wherever it is."""
        for waiting in (self._waiting, self._long_waiting):
            for row in [row for row in waiting if row.number == number]:
                waiting.remove(row)
        if self._reading is not None and self._reading.row.number == number:
            self._reading = None
        self._short.drop(number)
        self._long.drop(number)

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._short.rows or self._long_busy)

    @property
    def short(self) -> int:
        """The number of short rows, running and waiting."""
        return len(self._waiting) + len(self._short.rows)

    def advance(self) -> list[Row]:
        """Generate one token per short row and, if it is their turn, go on with the long ones. Return what ended."""
        began = time.perf_counter()
        ended: list[Row] = self._short.join(self._that_fit()) + self._short.step()
        now = time.perf_counter()
        if not self._long_busy:
            self._credit = 0.0
            return ended
        if not self._short.rows:
            self._credit = 0.0
            return ended + self._advance_long()
        self._credit += LONG_RATE * (now - began)
        if self._credit > 0:
            ended += self._advance_long()
            self._credit -= time.perf_counter() - now
        return ended

    @property
    def _long_busy(self) -> bool:
        return bool(self._long_waiting or self._reading or self._long.rows)

    def _advance_long(self) -> list[Row]:
        if self._long.rows:
            ended: list[Row] | None = self._long.step()
            return ended or []
        if self._reading is None:
            self._reading = self._long.begin_reading(self._long_waiting.popleft())
        ended = self._long.read_on(self._reading)
        if ended is None:
            return []
        self._reading = None
        return ended

    def _that_fit(self) -> list[Row]:
        """Take the waiting rows that fit, in order; at least one if nothing is running."""
        fitting: list[Row] = []
        while self._waiting and (
            self._short.tokens_with([*fitting, self._waiting[0]]) <= self._batch_tokens
            or not (self._short.rows or fitting)
        ):
            fitting.append(self._waiting.popleft())
        return fitting
