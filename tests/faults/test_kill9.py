"""Inference workers killed at random moments on the embedded default: SQLite and the private broker."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardapp.supervisor.programs import valkey_server
from tests.faults.killing import Site, Worker, finish, kill_repeatedly, ring, seed
from tests.made_once import Migrated

pytestmark = pytest.mark.faults


@pytest.fixture
def private_broker(tmp_path: Path) -> Iterator[str]:
    socket = tmp_path / "b.sock"
    server = subprocess.Popen(
        [valkey_server(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"redis+socket://{socket}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def site(tmp_path: Path, private_broker: str, migrated: Migrated) -> Site:
    migrated(tmp_path)
    return Site(tmp_path, f"sqlite:///{tmp_path / 'guardapp.sqlite3'}", private_broker)


def test_workers_killed_at_any_moment_lose_no_item_and_predict_none_twice(site: Site) -> None:
    kill_repeatedly(site, items=100, kills=6)


def test_a_batch_that_takes_longer_than_a_claim_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1.6 s a completion of 16 items, where a claim holds 1 s
    monkeypatch.setenv("SECONDS_A_SAMPLE", "0.1")
    seed(site, 16)
    workers = [Worker(site, 0, "inference"), Worker(site, 1, "default")]
    try:
        finish(site, workers)  # the second one looks for stale claims again and again
    finally:
        for worker in workers:
            worker.kill()
    assert site.rows("SELECT status, max(attempts), count(*) FROM annotation_item GROUP BY status") == [
        ("ready", 1, 16)
    ]


def test_workers_killed_over_a_shadow_lose_no_request_and_predict_none_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_A_SAMPLE", "0.1")  # 0.4 s a batch of the shadow's four
    seed(site, 24, "shadow")
    waiting = "SELECT count(*) FROM annotation_shadowrequest"
    worker = Worker(site, 0)
    try:
        finish(site, [worker])
        assert site.rows(waiting)[0][0] > 4
        for number in range(1, 3):
            held = _wait_for(site, "SELECT count(*) FROM annotation_shadowrequest WHERE claim_token IS NOT NULL")
            assert held <= 8
            worker.kill()
            worker = Worker(site, number)
            worker.wait_until_ready()
        deadline = time.monotonic() + 120
        while site.rows(waiting)[0][0]:
            assert time.monotonic() < deadline, site.rows(
                "SELECT attempts, error, claimed_until FROM annotation_shadowrequest"
            )
            ring(site)
            time.sleep(1)
    finally:
        worker.kill()
    predictions = site.rows(
        "SELECT shadow, count(*), count(DISTINCT item_id) FROM annotation_prediction GROUP BY shadow ORDER BY shadow"
    )
    assert predictions == [(0, 24, 24), (1, 24, 24)]
    shown = site.rows(
        "SELECT count(*) FROM annotation_item i JOIN annotation_prediction p ON p.id = i.prediction_id "
        "WHERE p.shadow = 0"
    )
    assert shown == [(24,)]


def _wait_for(site: Site, count: str) -> int:
    """Ring until the count is above nothing: the moment to strike."""
    deadline = time.monotonic() + 60
    while not (found := int(site.rows(count)[0][0])):
        assert time.monotonic() < deadline
        ring(site)
        time.sleep(0.1)
    return found
