"""A PostgreSQL and a Valkey of the tests' own, to be broken: on unix sockets, with nothing listening on a port."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from guardapp.supervisor.programs import valkey_server
from tests.absence import absent

QUICK = (
    "fsync=off\nfull_page_writes=off\nlisten_addresses=''\nmax_connections=60\nshared_buffers=16MB\n"
    "autovacuum=off\njit=off\n"
)  # what is broken here is the server, never the machine's power


def until(condition: Callable[[], object], seconds: float = 30, what: str = "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Postgres:
    """Runs as the user `postgres` where the tests run as root, which PostgreSQL refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner = "postgres" if os.getuid() == 0 else None
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
        initdb = str(found[-1]) if found else shutil.which("initdb")
        if initdb is None or (self.owner and self.owner not in {entry.pw_name for entry in pwd.getpwall()}):
            absent("PostgreSQL's own programs are not installed")
        self.bin = Path(initdb).parent
        self.own(folder)
        self._run(
            "initdb",
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "-D",
            str(folder / "db"),
        )
        with (folder / "db" / "postgresql.conf").open("a") as settings:
            settings.write(f"{QUICK}unix_socket_directories='{folder}'\n")

    def own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.owner:
            shutil.chown(folder, self.owner, self.owner)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@{str(self.folder).replace('/', '%2F')}/{database}"

    def start(self) -> None:
        self._run(
            "pg_ctl", "-D", str(self.folder / "db"), "-l", str(self.folder / "postgres.log"), "-w", "-t", "60", "start"
        )

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: every connection is cut, and the next start recovers from the log."""
        self._run("pg_ctl", "-D", str(self.folder / "db"), "-m", mode, "-w", "-t", "60", "stop")

    def do(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as server:
            server.execute(statement.encode())

    def _run(self, program: str, *words: str) -> None:
        # and no pipe: the server that pg_ctl leaves behind would keep it open
        log = self.folder / "programs.log"
        with log.open("ab") as said:
            done = subprocess.run(
                [str(self.bin / program), *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                check=False,
                timeout=90,
                user=self.owner,
                group=self.owner,
                extra_groups=[] if self.owner else None,
            )
        assert done.returncode == 0, (program, words, log.read_text()[-2_000:])


class Redis:
    """Keeps nothing on disk, as in the team set-up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [valkey_server(), "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        until(self.socket.exists, 10, "Redis's socket")

    def stop_answering(self) -> None:
        """The connections stay open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.socket.unlink(missing_ok=True)
            self.process = None
