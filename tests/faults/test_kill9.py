"""Inference workers killed at random moments on the embedded default: SQLite and the private broker."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardapp.supervisor.programs import valkey_server
from tests.faults.killing import Site, Worker, finish, kill_repeatedly, seed

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


def test_a_batch_that_takes_longer_than_a_claim_is_kept(tmp_path: Path, private_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_A_SAMPLE", "0.1")  # 1.6 s a completion of 16 items, where a claim holds 1 s
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'guardapp.sqlite3'}", private_broker)
    seed(site, 16)
    workers = [Worker(site, 0, "inference"), Worker(site, 1, "default")]
    try:
        finish(site, workers)  # the second one looks for stale claims again and again
    finally:
        for worker in workers:
            worker.kill()
    assert site.rows("SELECT status, max(attempts), count(*) FROM annotation_item GROUP BY status") == [("ready", 1, 16)]
