"""The product on servers of the tests' own, under its own supervisor: web, a worker, beat; and a receiver of its
webhooks.

With a library that skews clocks (skewed_clock.c) the worker's clock is ten minutes ahead and beat's ten minutes behind.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from guardapp.supervisor.child import Child, Program
from guardapp.supervisor.supervise import POLL_S, Supervisor
from tests.faults.killing import Site
from tests.faults.servers import Postgres, Redis, until
from tests.paths import ROOT

DATABASE = "guardapp"
ANSWER_S = 20.0  # no request may hang for longer, whatever is broken
CELERY = (sys.executable, "-m", "celery", "-A", "tests.faults.slow_worker")


class Receiver(ThreadingHTTPServer):
    """Counts webhook messages by their id."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.got: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got[self.headers["webhook-id"]] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Stack:
    """`folder` is short, because unix sockets lie in it."""

    def __init__(self, preload: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gf-"))
        self.folder.chmod(0o755)
        self.postgres, self.redis, self.receiver = Postgres(self.folder / "pg"), Redis(self.folder), Receiver()
        self.site = Site(self.folder / "data", self.postgres.url(DATABASE), self.redis.url)
        self.site.folder.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.environment = self.site.environment | {
            "GUARDAPP_CLAIM_SECONDS": "2",
            "GUARDAPP_BATCH": "8",
            "GUARDAPP_WEBHOOKS_PRIVATE": "1",
            "GUARDAPP_SETTLE_SECONDS": "0",
            "GUARDAPP_MODERATION_SECONDS": "10",
            "BELLS_EVERY": "0.5",
            "PROMETHEUS_MULTIPROC_DIR": str(self.site.folder),
        }
        self.supervisor = Supervisor(
            [
                Program(
                    "web",
                    (
                        sys.executable,
                        "-m",
                        "gunicorn",
                        "tests.faults.web",
                        "--bind",
                        f"127.0.0.1:{self.port}",
                        "--workers",
                        "1",
                        "--worker-class",
                        "gthread",
                        "--threads",
                        "6",
                        "--timeout",
                        "60",
                        "--no-control-socket",
                    ),
                    self.environment,
                ),
                Program(
                    "worker",
                    (
                        *CELERY,
                        "worker",
                        "-Q",
                        "inference,default",
                        "-P",
                        "solo",
                        "-n",
                        "faults@%h",
                        "-l",
                        "INFO",
                        "--without-gossip",
                        "--without-mingle",
                    ),
                    self.skewed(600, preload),
                ),
                Program("beat", (*CELERY, "beat", "-l", "INFO", "--pidfile="), self.skewed(-600, preload)),
            ],
            log_dir=self.site.folder / "log",
            cwd=ROOT,
            echo=lambda name, line: None,
            grace_s=1,
        )
        self._stop = threading.Event()
        self._wanted: list[Program] = []
        self._keeper = threading.Thread(target=self._keep)
        self.people: dict[str, Any] = {}

    def skewed(self, seconds: int, preload: Path | None) -> dict[str, str]:
        """The environment of a process whose clock is that much ahead."""
        return self.environment | ({"LD_PRELOAD": str(preload), "SKEW_S": str(seconds)} if preload else {})

    def start(self, tablespace: Path | None = None) -> None:
        """The database lies in `tablespace`, its log elsewhere."""
        self.postgres.start()
        self.redis.start()
        where = ""
        if tablespace is not None:
            self.postgres.own(tablespace)
            self.postgres.do(f"CREATE TABLESPACE small LOCATION '{tablespace}'")
            where = " TABLESPACE small"
        self.postgres.do(f"CREATE DATABASE {DATABASE}{where}")
        seeded = subprocess.run(
            [sys.executable, "-m", "tests.faults.team_seed", self.receiver.url],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=180,
        )
        self.people = json.loads(seeded.stdout.splitlines()[-1])
        self._keeper.start()
        until(self.is_ready, 90, "the web answers")

    def stop(self) -> None:
        self._stop.set()
        self._keeper.join()
        self.redis.kill()
        self.postgres.stop()
        self.receiver.shutdown()
        self.receiver.server_close()

    def _keep(self) -> None:
        """In one thread from beginning to end: its children die with it."""
        try:
            while not self._stop.is_set():
                while self._wanted:
                    self.supervisor.children.append(Child(self._wanted.pop(), self.site.folder / "log", ROOT))
                self.supervisor.step()
                time.sleep(POLL_S)
        finally:
            self.supervisor.stop()

    def child(self, name: str) -> Child:
        return next(child for child in self.supervisor.children if child.program.name == name)

    def add(self, program: Program) -> None:
        """Supervised with the others from now on."""
        self._wanted.append(program)

    def kill(self, name: str) -> None:
        """SIGKILL to a program and all that it started; the supervisor starts it again."""
        self.send(name, signal.SIGKILL)

    @contextmanager
    def held_still(self, name: str) -> Iterator[None]:
        """A program that does nothing while the body runs."""
        self.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(name, signal.SIGCONT)

    def send(self, name: str, number: signal.Signals) -> None:
        process = self.child(name).process
        assert process is not None
        os.killpg(process.pid, number)

    def log(self, name: str) -> str:
        file = self.site.folder / "log" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        session: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; nothing is tried again."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        sent = {"Connection": "close", **(headers or {})}
        if key:
            sent["Authorization"] = f"Bearer {key}"
        if session:
            sent["Cookie"] = self.people["session"]
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read().decode())
        finally:
            connection.close()
