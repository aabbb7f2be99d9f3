"""manage.py up as a person starts it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from tests.paths import ROOT
from tests.test_supervisor import free_port, until


class Up:
    """`manage.py up` as a person starts it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.environment = os.environ | {
            "GUARDAPP_DATA": str(folder),
            "GUARDAPP_PORT": str(self.port),
            "GUARDAPP_DEMO_ITEMS": "0",
            "GUARDAPP_WEB_WORKERS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.console = folder / "console.txt"
        with self.console.open("ab") as console:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env=self.environment,
                stdout=console,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        until(lambda: "ready at" in self.console.read_text() or self.process.poll() is not None, 90)
        assert self.process.poll() is None, self.console.read_text()

    def children(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def child(self, words: str) -> psutil.Process | None:
        return next((one for one in self.children() if words in command_of(one)), None)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    children: list[psutil.Process] = []
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            children = running.children()
            running.process.send_signal(signal.SIGINT)
            running.process.wait(60)
        assert gone(children)


@pytest.mark.faults
def test_up_serves_restarts_what_dies_refuses_a_second_one_and_stops_cleanly(up: Up) -> None:
    said = up.console.read_text()
    assert all(f"    {name}" in said for name in ("admin", "lead", "reviewer"))
    worker = up.child("inference@")
    assert worker is not None
    worker.kill()
    until(lambda: (again := up.child("inference@")) is not None and again.pid != worker.pid)
    assert "inference | ended (SIGKILL), starts again" in up.console.read_text()

    second = subprocess.run(
        [sys.executable, "manage.py", "up"],
        check=False,
        cwd=ROOT,
        env=up.environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1 and "already runs on" in second.stderr

    children = up.children()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert gone(children) and "everything has stopped" in up.console.read_text()
    assert not (up.folder / "broker.sock").exists()


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_children_die_with_a_supervisor_that_is_killed(up: Up) -> None:
    children = up.children()
    assert len(children) >= 6
    up.process.kill()
    up.process.wait()
    until(lambda: gone(children))


def test_the_web_process_loads_no_torch_and_no_decoder() -> None:
    heavy = "{'torch', 'torchvision', 'transformers', 'trl', 'decord', 'av', 'datasets'}"
    program = (
        "import sys, guardapp.wsgi; from django.urls import get_resolver; get_resolver().url_patterns;"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert loaded.stdout.strip() == "[]"
