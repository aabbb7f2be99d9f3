"""A worker killed at any moment costs the steps since the last checkpoint, and trains nothing twice."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.guard.tiny_checkpoint import build_checkpoint

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.faults, pytest.mark.slow]


def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the job of a dead worker on Linux")
def test_a_killed_worker_takes_its_job_along_and_the_next_one_goes_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GUARDAPP_")} | {
        "GUARDAPP_DATA": str(data), "GUARDAPP_CLAIM_SECONDS": "2"}

    def worker(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tests.training.worker", *words], cwd=ROOT, env=environment)

    def row(columns: str) -> Any:
        with sqlite3.connect(data / "guardapp.sqlite3", timeout=30) as database:
            found = database.execute(f"select {columns} from training_trainingrun").fetchone()
        database.close()
        return found

    assert worker("setup", str(build_checkpoint(tmp_path / "tiny"))).wait(60) == 0
    first = worker("work", "")
    checkpoints = data / "runs" / "run-1" / "checkpoints"
    until(lambda: any(checkpoints.glob("checkpoint-*/trainer_state.json")) or first.poll() is not None)
    job = row("pid")[0]
    assert first.poll() is None and alive(job)
    first.send_signal(signal.SIGKILL)
    first.wait()
    until(lambda: not alive(job), 30)
    assert row("status, version_id") == ("running", None)

    time.sleep(2.5)  # the dead worker's claim runs out
    assert worker("work", "").wait(90) == 0
    assert row("status, attempts") == ("succeeded", 2)
    log = (data / "runs" / "run-1" / "log.txt").read_text()
    assert "resuming from" in log
