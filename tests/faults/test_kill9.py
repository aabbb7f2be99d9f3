"""Inference workers killed at random moments on the embedded default: SQLite and the private broker."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardapp.supervisor.programs import valkey_server
from tests.faults.killing import Site, kill_repeatedly

pytestmark = pytest.mark.faults


@pytest.fixture
def private_broker(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "b.sock"
    server = subprocess.Popen([valkey_server(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
                              stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"redis+socket://{socket}"
    finally:
        server.terminate()
        server.wait()


def test_workers_killed_at_any_moment_lose_no_item_and_predict_none_twice(tmp_path: Path, private_broker: str) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'guardapp.sqlite3'}", private_broker)
    kill_repeatedly(site, items=100, kills=6)
