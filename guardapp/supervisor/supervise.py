"""Keep a set of programs running until asked to stop, then stop them all."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from guardapp.supervisor.child import Child, Program

POLL_S = 0.2
GRACE_S = 15.0
KILL_WAIT_S = 5.0

Echo = Callable[[str, str], None]  # process name, line


class CannotStart(Exception):
    """The product cannot start here; the message says why and what to do."""


class Supervisor:
    """A set of supervised programs. Run it in the main thread, one per process. `say` receives console lines."""

    def __init__(
        self, programs: Sequence[Program], *, log_dir: Path, cwd: Path, echo: Echo, grace_s: float = GRACE_S
    ) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self.children = [Child(program, log_dir, cwd) for program in programs]
        self.echo = echo
        self.grace_s = grace_s
        self.stopping = False

    def run(self, while_waiting: Callable[[], None] = lambda: None) -> None:
        """Run until SIGINT or SIGTERM, then stop everything. `while_waiting` is called at each poll."""
        with self._signals():
            try:
                while not self.stopping:
                    self.step()
                    while_waiting()
                    time.sleep(POLL_S)
            finally:
                self.stop()

    def start(self, name: str) -> None:
        """Start one program ahead of the others."""
        next(child for child in self.children if child.program.name == name).start()

    def step(self) -> None:
        """Start what is due and report what has exited."""
        for child in self.children:
            code = child.collect()
            if code is not None and not child.finished:
                self.echo(
                    child.program.name,
                    f"ended ({_cause(code)}), starts again in {child.due - time.monotonic():.0f} s; see {child.log}",
                )
            elif code:
                self.echo(child.program.name, f"failed ({_cause(code)}); see {child.log}")
            if child.process is None and not child.finished and time.monotonic() >= child.due:
                child.start()

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; programs marked `last` go after the others."""
        for group in ([c for c in self.children if not c.program.last], [c for c in self.children if c.program.last]):
            for child in group:
                child.terminate()
            _wait(group, self.grace_s)
            for child in group:
                if child.running:
                    self.echo(child.program.name, f"did not end within {self.grace_s:.0f} s: killed")
                # kill it if needed, and the rest of its process group
                child.signal(signal.SIGKILL)
            _wait(group, KILL_WAIT_S)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def request_stop(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        before = {
            number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def only_one(lock_file: Path) -> Iterator[None]:
    """Lock the data folder for this process. Raises CannotStart if another supervisor holds it."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(
                f"Process {lock.read().strip() or '?'} already runs on {lock_file.parent}. "
                "Stop it, or set GUARDAPP_DATA to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def refuse_taken_port(host: str, port: int) -> None:
    """Raise CannotStart if the web process could not listen."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {host}:{port} ({error.strerror}). Set GUARDAPP_PORT or GUARDAPP_BIND to another one."
            ) from error


def _wait(children: Sequence[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(child.running for child in children) and time.monotonic() < deadline:
        time.sleep(POLL_S / 4)


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
