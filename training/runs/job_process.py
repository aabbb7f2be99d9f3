"""A job's process: started independently of its worker, monitored by its heartbeat, stopped in three steps."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings

from training.contract import CANCEL, LOG, PROGRESS

# Held by the worker and the job: while either lives, nobody else starts this job.
LOCK = "lock"
# a job needs neither the database nor the keys of the operator
SECRET = re.compile(
    r"(^|_)(SECRET|[A-Z]*PASSWORD|PASSWD|TOKEN|CREDENTIALS?|KEYS?|DSN)(_|$)|^(DATABASE|REDIS|BROKER)|_URL$"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts in seconds. A job that ignores the cancel file for `cancel` gets SIGTERM, and SIGKILL `kill` later."""

    poll: float = 1.0
    cancel: float = 60.0
    kill: float = 20.0
    hung: float = 900.0  # a job without a heartbeat for this long is hung


@contextmanager
def held(run_dir: Path, wait_s: float) -> Iterator[IO[str] | None]:
    """Take the run directory's lock; None if its holder does not release it within `wait_s`."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK).open("w") as lock:
        yield lock if _locked(lock, wait_s) else None


def _locked(lock: IO[str], wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)
        else:
            return True


def start(module: str, run_dir: Path, lock: IO[str]) -> subprocess.Popen[bytes]:
    """Start `python -m module run_dir` in its own process group; the job inherits the lock and the log."""
    (run_dir / CANCEL).unlink(missing_ok=True)
    (run_dir / PROGRESS).unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not SECRET.search(name)} | {
        "HF_HUB_OFFLINE": os.environ.get("HF_HUB_OFFLINE", "1"),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.WORKER_THREADS:
        environment["OMP_NUM_THREADS"] = str(settings.WORKER_THREADS)
    with (run_dir / LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "training.runs.start_job", str(os.getpid()), module, str(run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=settings.BASE_DIR,
            env=environment,
            start_new_session=True,
            pass_fds=[lock.fileno()],
        )


def stop(process: subprocess.Popen[bytes], kill_after_s: float) -> int:
    """Send SIGTERM to the job's process group, then SIGKILL if it does not exit. Returns the exit code."""
    signal_group(process.pid, signal.SIGTERM)
    try:
        return process.wait(kill_after_s)
    except subprocess.TimeoutExpired:
        signal_group(process.pid, signal.SIGKILL)
        return process.wait()


def signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def end_orphan(pid: int | None, run_dir: Path) -> None:
    """Kill the job of a dead worker, if the process id still belongs to that job."""
    if pid is None:
        return
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return
    if str(run_dir).encode() in command:
        signal_group(pid, signal.SIGKILL)


def heartbeat_age(run_dir: Path, started: float) -> float:
    """Seconds since the job last wrote its progress, or since `started` (Unix time) if it has not yet."""
    try:
        written = (run_dir / PROGRESS).stat().st_mtime
    except FileNotFoundError:
        written = started
    return time.time() - max(written, started)
