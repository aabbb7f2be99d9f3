"""One supervised process: started in its own process group, logged to a file, restarted with growing pauses."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

LOG_LIMIT_BYTES = 16 * 1024 * 1024
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# a child that ran this long restarts with the first pause
STEADY_S = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `last`: stopped after all others have exited. `once`: not restarted when it exits."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    last: bool = False
    once: bool = False


class Child:
    """A program and its current process, if any."""

    def __init__(self, program: Program, log_dir: Path, cwd: Path) -> None:
        self.program = program
        self.log = log_dir / f"{program.name}.log"
        self.cwd = cwd
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0  # monotonic time of the next start
        self.finished = False
        self._pause = FIRST_PAUSE_S
        self._started = 0.0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        self._started = time.monotonic()
        turn_over(self.log)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "guardapp.supervisor.start_child", str(os.getpid()), *self.program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | self.program.environment,
                start_new_session=True,
            )

    def collect(self) -> int | None:
        """Return the exit code of a process that has exited since the last call, and schedule its restart.

        Else None.
        """
        if self.process is None or (code := self.process.poll()) is None:
            return None
        # kill what is left of its process group
        self.signal(signal.SIGKILL)
        self.process = None
        if self.program.once:
            self.finished = True
            return code
        now = time.monotonic()
        if now - self._started >= STEADY_S:
            self._pause = FIRST_PAUSE_S
        self.due = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Signal the whole process group, so that no descendant survives."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass

    def terminate(self) -> None:
        """Ask the process itself to exit; it stops its own children."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)


def turn_over(log: Path) -> None:
    """Rotate a log that has grown too long, keeping one older log."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".log.1"))
