"""The supervisor keeps its programs running, says what happens, and leaves nothing behind."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from guardapp.supervisor import child as child_module
from guardapp.supervisor.child import LOG_LIMIT_BYTES, Child, Program, turn_over
from guardapp.supervisor.programs import LONGEST_SOCKET_PATH, Plan, programs
from guardapp.supervisor.supervise import CannotStart, Supervisor, only_one, refuse_taken_port
from tests.paths import ROOT

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time;signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('up', flush=True); time.sleep(600)",
)


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plan(folder: Path, **changes: object) -> Plan:
    values: dict[str, object] = {
        "data_dir": folder,
        "bind": "127.0.0.1",
        "port": 8000,
        "web_workers": 2,
        "web_threads": 4,
        "log_level": "INFO",
        "broker_socket": folder / "broker.sock",
    }
    return Plan(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: list[str]) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(*commands: Program, grace_s: float = 5.0) -> Supervisor:
        made.append(
            Supervisor(
                commands,
                log_dir=tmp_path / "log",
                cwd=ROOT,
                echo=lambda name, line: said.append(f"{name} {line}"),
                grace_s=grace_s,
            )
        )
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop()


def only(supervisor: Supervisor) -> Child:
    [child] = supervisor.children
    return child


def pid_of(child: Child) -> int:
    assert child.process is not None
    return child.process.pid


def kill(child: Child) -> None:
    """And wait until the kernel has told its parent."""
    assert child.process is not None
    child.process.kill()
    until(lambda: not child.running)


def test_a_dead_child_is_started_again_and_the_console_says_so(
    supervise: Callable[..., Supervisor], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "FIRST_PAUSE_S", 0.05)
    supervisor = supervise(Program("worker", SLEEP))
    supervisor.step()
    child = only(supervisor)
    child._pause = 0.05
    first = pid_of(child)
    kill(child)
    supervisor.step()
    assert child.process is None and said and said[0].startswith("worker ended (SIGKILL), starts again")
    time.sleep(0.1)
    supervisor.step()
    assert child.running and pid_of(child) != first


def test_the_pause_before_a_restart_grows_up_to_a_limit(supervise: Callable[..., Supervisor]) -> None:
    child = only(supervise(Program("broken", (sys.executable, "-c", "raise SystemExit(3)"))))
    pauses = []
    for _ in range(4):
        child.start()
        until(lambda: not child.running)
        assert child.collect() == 3
        pauses.append(round(child.due - time.monotonic()))
    assert pauses == [1, 2, 4, 8]


def test_a_program_that_runs_once_is_not_started_again(supervise: Callable[..., Supervisor], said: list[str]) -> None:
    supervisor = supervise(Program("setup", (sys.executable, "-c", "raise SystemExit(2)"), once=True))
    supervisor.step()
    child = only(supervisor)
    until(lambda: not child.running)
    supervisor.step()
    supervisor.step()
    assert child.process is None and child.finished and "setup failed (exit code 2)" in said[0]


def test_stopping_ends_everything_and_the_broker_last(
    supervise: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = supervise(Program("broker", SLEEP, last=True), Program("worker", SLEEP), grace_s=0.1)
    supervisor.step()
    broker, worker = supervisor.children
    order: list[str] = []
    monkeypatch.setattr(Child, "terminate", lambda child: order.append(child.program.name))
    supervisor.stop()
    assert order == ["worker", "broker"] and not broker.running and not worker.running


def test_a_child_that_ignores_the_request_is_killed_with_all_it_started(
    supervise: Callable[..., Supervisor], said: list[str]
) -> None:
    supervisor = supervise(Program("deaf", STUBBORN), Program("parent", PARENT), grace_s=0.5)
    supervisor.step()
    deaf, parent = supervisor.children
    until(lambda: all("up" in child.log.read_text() for child in supervisor.children))
    grandchildren = psutil.Process(pid_of(parent)).children()
    assert grandchildren
    supervisor.stop()
    assert not deaf.running and any("killed" in line for line in said)
    until(
        lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in grandchildren)
    )


def test_a_log_that_has_grown_too_long_is_turned_over(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("wb") as file:
        file.truncate(LOG_LIMIT_BYTES + 1)
    turn_over(log)
    assert not log.exists() and (tmp_path / "web.log.1").stat().st_size == LOG_LIMIT_BYTES + 1


def test_a_second_supervisor_on_the_same_data_folder_is_refused(tmp_path: Path) -> None:
    with only_one(tmp_path / "up.lock"):
        second = only_one(tmp_path / "up.lock")
        with pytest.raises(CannotStart, match=f"Process {os.getpid()} already runs"):
            second.__enter__()
    with only_one(tmp_path / "up.lock"):
        pass


def test_a_taken_port_is_named_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"127.0.0.1:{port}.*GUARDAPP_PORT"):
            refuse_taken_port("127.0.0.1", port)
    refuse_taken_port("127.0.0.1", free_port())


def test_a_data_folder_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * LONGEST_SOCKET_PATH)
    with pytest.raises(CannotStart, match="GUARDAPP_DATA"):
        programs(plan(deep, broker_socket=deep / "broker.sock"))


def test_with_a_redis_from_outside_no_broker_is_started(tmp_path: Path) -> None:
    names = [program.name for program in programs(plan(tmp_path, broker_socket=None))]
    assert names == ["web", "guard", "inference", "training", "default", "beat"]
