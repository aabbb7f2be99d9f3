"""Moderation as it is served: gunicorn before `manage.py serve_guard`, which loads the starter."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.made_once import Migrated
from tests.paths import ROOT
from tests.test_supervisor import free_port


@dataclass
class Site:
    folder: Path
    port: int
    guard: "subprocess.Popen[bytes]"
    key: str = ""
    web: "subprocess.Popen[bytes] | None" = None

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def moderate(self, prompt: str, **more: Any) -> tuple[int, Any]:
        connection = self.connect()
        body = json.dumps({"contents": [{"prompt": prompt}], **more})
        connection.request("POST", "/api/v1/moderate", body, self.headers("application/json"))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def headers(self, kind: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": kind, "Host": "localhost"}


def start(folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"GUARDAPP_DATA": str(folder), "OMP_NUM_THREADS": "1"}
    environment.pop("DATABASE_URL", None)
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, migrated: Migrated) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    migrated(folder)
    assert start(folder, "manage.py", "setup").wait(200) == 0, (folder / "log.txt").read_text()
    environment = os.environ | {"GUARDAPP_DATA": str(folder)}
    environment.pop("DATABASE_URL", None)
    made = subprocess.run(
        [sys.executable, "manage.py", "create_api_key", "lead", "moderate"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    key = next(word for word in made.stdout.split() if word.startswith("gk_"))
    running = Site(folder, free_port(), start(folder, "manage.py", "serve_guard"), key)
    running.web = start(
        folder,
        "-m",
        "gunicorn",
        "guardapp.wsgi",
        "--bind",
        f"127.0.0.1:{running.port}",
        "--worker-class",
        "gthread",
        "--threads",
        "8",
        "--no-control-socket",
    )
    try:
        wait_until_ready(running)
        yield running
    finally:
        for process in (running.web, running.guard):
            process.send_signal(signal.SIGTERM)
        assert [process.wait(60) for process in (running.web, running.guard)] == [0, 0], (
            folder / "log.txt"
        ).read_text()


def wait_until_ready(site: Site) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if site.moderate("Hello")[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, (site.folder / "log.txt").read_text()
        time.sleep(0.2)
