"""PostgreSQL connections of the web: few for many threads, replaced when they break."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

THREADS = 12


def asked(data: Path, database_url: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.team.pooled", str(THREADS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "DATABASE_URL": database_url, "GUARDAPP_DATA": str(data), **environment},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.services
@pytest.mark.slow
def test_threads_of_the_web_share_connections_and_broken_ones_are_replaced(
    tmp_path: Path, migrated_postgres_url: str
) -> None:
    migrated = subprocess.run(
        [sys.executable, "manage.py", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DATABASE_URL": migrated_postgres_url, "GUARDAPP_DATA": str(tmp_path)},
    )
    assert migrated.returncode == 0, migrated.stderr[-2_000:]
    pooled = asked(tmp_path, migrated_postgres_url, GUARDAPP_DATABASE_POOL="4")
    assert pooled["pool"] and 1 < pooled["most"] <= 4 < THREADS
    assert pooled["ended"] >= 1 and pooled["statuses"] == pooled["after"] == [200], (
        "no page noticed that PostgreSQL ended them all"
    )
    assert pooled["held_after_release"] == 0 and pooled["left"] <= 4
    alone = asked(tmp_path, migrated_postgres_url, GUARDAPP_DATABASE_POOL="0")
    assert not alone["pool"] and alone["most"] > 4 and alone["held_after_release"] == THREADS, "what the pool saves"
