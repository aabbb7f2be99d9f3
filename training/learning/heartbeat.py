"""A job's heartbeat and its stop requests: the cancel file, and SIGTERM."""

import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from training.contract import METRICS, Progress, cancel_requested, write_progress
from training.learning.processes import is_main_process

INTERVAL_S = 2.0
Value = TypeVar("Value")


class JobCancelled(Exception):
    """The job was asked to stop."""


class Heartbeat:
    """Write progress.json at most every `INTERVAL_S` seconds (at once for a new stage), and record stop requests.

    With several processes, only the first one writes.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._terminated = False
        self._stage = ""
        self._stage_began = 0.0
        self._stage_done = 0
        self._written = 0.0

    def listen(self) -> None:
        """Treat SIGTERM as a stop request from now on. Call from the main thread."""
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True

    @property
    def cancelled(self) -> bool:
        return self._terminated or cancel_requested(self.run_dir)

    def beat(
        self, stage: str, done: int, total: int, *, force: bool = False, extra: Mapping[str, Any] | None = None
    ) -> None:
        """Report that `done` of `total` (rows or steps) is reached.

        The time left is estimated from this stage's pace.
        """
        if not is_main_process():
            return
        now = time.time()
        if stage != self._stage:
            self._stage, self._stage_began, self._stage_done, force = stage, now, done, True
        if not force and now - self._written < INTERVAL_S and done < total:
            return
        self._written = now
        gained = done - self._stage_done
        eta_s = (now - self._stage_began) / gained * (total - done) if gained > 0 and total else None
        write_progress(
            self.run_dir, Progress(stage=stage, done=done, total=total, eta_s=eta_s, extra=dict(extra or {}))
        )

    def each(self, stage: str, rows: Sequence[Value]) -> Iterator[Value]:
        """Iterate over the rows with a beat before each. Raises JobCancelled."""
        for number, row in enumerate(rows):
            self.beat(stage, number, len(rows))
            if self.cancelled:
                raise JobCancelled(f"while {stage}, at {number} of {len(rows)}")
            yield row

    def metric(self, values: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        if not is_main_process():
            return
        with (self.run_dir / METRICS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(values) + "\n")
