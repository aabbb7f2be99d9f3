"""Kill real inference workers with SIGKILL at random moments and see what is left in the database."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
from celery import Celery

from tests.paths import ROOT

READY_S, DONE_S = 60.0, 60.0
BELLS = ("annotation.tasks.release_stale", "annotation.tasks.predict")


@dataclass(frozen=True, slots=True)
class Site:
    """Where the workers work."""

    folder: Path
    database_url: str
    broker_url: str

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "GUARDAPP_DATA": str(self.folder),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.broker_url,
            "GUARDAPP_CLAIM_SECONDS": "1",
            "GUARDAPP_BATCH": "16",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "true",
        }

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        if self.database_url.startswith("sqlite"):
            with closing(sqlite3.connect(dj_database_url.parse(self.database_url)["NAME"], timeout=30)) as database:
                return database.execute(statement).fetchall()
        with psycopg.connect(self.database_url) as server:
            return server.execute(statement.encode()).fetchall()

    def count(self, *statuses: str) -> int:
        listed = ", ".join(f"'{status}'" for status in statuses)
        return int(self.rows(f"SELECT count(*) FROM annotation_item WHERE status IN ({listed})")[0][0])


def seed(site: Site, items: int, *more: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.faults.seed", str(items), *more],
        cwd=ROOT,
        env=site.environment,
        check=True,
        timeout=120,
    )


class Worker:
    def __init__(self, site: Site, number: int, queues: str = "inference,default") -> None:
        self.log = site.folder / f"worker-{number}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "celery",
                    "-A",
                    "tests.faults.slow_worker",
                    "worker",
                    "-Q",
                    queues,
                    "-P",
                    "solo",
                    "-n",
                    f"faults-{number}@%h",
                    "-l",
                    "INFO",
                    "--without-gossip",
                    "--without-mingle",
                ],
                cwd=ROOT,
                env=site.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while " ready." not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def ring(site: Site) -> None:
    with Celery(broker=site.broker_url, set_as_current=False) as bells:
        for name, queue in zip(BELLS, ("default", "inference"), strict=True):
            bells.send_task(name, queue=queue)


def kill_repeatedly(site: Site, *, items: int, kills: int, workers: int = 1, dice: int = 0) -> None:
    """Seed, kill, restart, and check that every item has exactly one prediction at the end."""
    seed(site, items)
    moments = random.Random(dice)
    alive = [Worker(site, number) for number in range(workers)]
    try:
        for number in range(kills):
            for worker in alive:
                worker.wait_until_ready()
            ring(site)
            time.sleep(moments.uniform(0.05, 0.7))
            alive.pop(0).kill()
            alive.append(Worker(site, workers + number))
        finish(site, alive)
    finally:
        for worker in alive:
            worker.kill()
    check(site, items)


def finish(site: Site, alive: list[Worker]) -> None:
    """Ring until nothing waits any more."""
    for worker in alive:
        worker.wait_until_ready()
    deadline = time.monotonic() + DONE_S
    while site.count("pending", "predicting"):
        assert time.monotonic() < deadline, site.rows("SELECT status, count(*) FROM annotation_item GROUP BY status")
        ring(site)
        time.sleep(0.5)


def check(site: Site, items: int) -> None:
    ready, failed = site.count("ready"), site.count("prediction_failed")
    assert ready + failed == items, "an item was lost"
    assert failed <= 3, "only an item that was in three killed workers' hands may fail"
    per_item = site.rows("SELECT count(*) FROM annotation_prediction GROUP BY item_id")
    assert [count for (count,) in per_item] == [1] * ready, "an item was predicted twice, or a prediction has no item"
    events = site.rows("SELECT item_id, count(*) FROM annotation_event WHERE kind = 'predicted' GROUP BY item_id")
    assert len(events) == ready and all(count == 1 for _, count in events)
    assert site.rows("SELECT count(*) FROM annotation_item WHERE claim_token IS NOT NULL") == [(0,)]
    assert site.rows("SELECT max(attempts) FROM annotation_item")[0][0] >= 2, "no kill hit a worker that held items"
