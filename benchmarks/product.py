"""The product as the supervisor starts it, and connections to it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Api:
    """A persistent connection with an API key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        self._connection.request(method, path, body, self._headers | headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def lines(self, path: str) -> int:
        """Stream the answer and count its lines."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        count = 0
        while block := answer.read1(1 << 16):
            count += block.count(b"\n")
        return count


@contextmanager
def product(
    folder: Path, port: int, *, names: Sequence[str] = ("broker", "web"), web_threads: int = 4
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the broker and web server, or the named programs, as the supervisor would; stop them at the end.

    Provides the processes by name.
    """
    from guardapp.supervisor.programs import Plan, programs

    plan = Plan(
        data_dir=folder,
        bind="127.0.0.1",
        port=port,
        web_workers=2,
        web_threads=web_threads,
        log_level="WARNING",
        broker_socket=folder / "broker.sock",
    )
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for program in programs(plan):
            if program.name in names:
                log = (folder / f"{program.name}.log").open("wb")
                running[program.name] = subprocess.Popen(
                    program.command, stdout=log, stderr=log, env=os.environ | program.environment
                )
        _wait_until_up(port, folder / "web.log")
        yield running
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for process in running.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                # a worker finishes its task first
                process.kill()
                process.wait()


def _wait_until_up(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/api/v1/items")
            status = connection.getresponse().status
        except OSError:
            time.sleep(0.2)
            continue
        assert status == 401, f"the server answers {status}: {log.read_text()[-2000:]}"
        return
    raise TimeoutError(f"The web server did not start: {log.read_text()[-2000:]}")


def make_key() -> str:
    from annotation.models import User
    from annotation.people.api_keys import create_key
    from annotation.status import ApiScope, Role

    lead = User.objects.create_user(username="bench", role=Role.LEAD)
    return create_key(owner=lead, name="bench", scopes=list(ApiScope)).secret


def print_progress(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
