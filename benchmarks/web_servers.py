"""The same pages and endpoints on several web servers: requests per second, p95 and memory, on PostgreSQL.

    python -m benchmarks.web_servers [--seconds 4] [--rounds 2] [--servers gthread granian uvicorn]

Each server has two worker processes with 16 threads and takes its turn in every round; figures are the best round's. It
measures /healthz, next with submit (sixteen reviewers with a key each), moderation that waits 100 ms for the guard (24
callers, while two others request /healthz), and whether a streamed request is answered before its end. The guard is a
canned answer over its real protocol. Clients, server, guard and PostgreSQL share the machine's cores. granian is not a
dependency: `pip install granian==2.8.7`. The last line is one JSON object.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.product import print_progress
from benchmarks.rows import insert_predictions, text_row
from benchmarks.scale import database
from benchmarks.web_load import Client, canned_guard, health, load, moderate, review, streams

PROCESSES, THREADS = 2, 16
REVIEWERS, CALLERS = 16, 24
ITEMS = 20_000


def commands(port: int) -> dict[str, list[str]]:
    own = [sys.executable, "-m"]
    return {
        "gthread": [
            *own,
            "gunicorn",
            "guardapp.wsgi",
            "--bind",
            f"127.0.0.1:{port}",
            "--worker-class",
            "gthread",
            "--workers",
            str(PROCESSES),
            "--threads",
            str(THREADS),
            "--worker-tmp-dir",
            "/dev/shm",
            "--keep-alive",
            "30",
            "--no-control-socket",
            "--log-level",
            "warning",
        ],
        "granian": [
            *own,
            "granian",
            "--interface",
            "wsgi",
            "guardapp.wsgi:application",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            str(PROCESSES),
            "--blocking-threads",
            str(THREADS),
            "--log-level",
            "warning",
        ],
        "uvicorn": [
            *own,
            "uvicorn",
            "--factory",
            "django.core.asgi:get_asgi_application",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--workers",
            str(PROCESSES),
            "--log-level",
            "warning",
            "--lifespan",
            "off",
        ],
    }


@contextmanager
def serving(name: str, port: int, folder: Path) -> Iterator[int]:
    """Run the server in its own process group, yield its id, and stop it at the end."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(commands(port)[name], stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                health(Client(port, ""))
                break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None, (folder / f"{name}.log").read_text()[
                    -2_000:
                ]
                time.sleep(0.2)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def memory_mb(group: int) -> float:
    """Proportional set size of the process group in MiB."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
        except (OSError, StopIteration):
            continue
    return round(total / 1024, 1)


def prepare() -> list[str]:
    """Create items to review, and return their reviewers' keys."""
    from django.core.management import call_command

    from annotation.ingest.jsonl import ingest_jsonl
    from annotation.models import User
    from annotation.people.api_keys import create_key
    from annotation.status import ApiScope, Role

    call_command("migrate", verbosity=0)
    ingest_jsonl(lines=(json.dumps(text_row(number)).encode() + b"\n" for number in range(ITEMS)), source="bench")
    insert_predictions()
    people = [User.objects.create_user(username=f"bench-{number}", role=Role.LEAD) for number in range(REVIEWERS)]
    return [create_key(owner=user, name="bench", scopes=list(ApiScope)).secret for user in people]


def measured(name: str, port: int, keys: list[str], folder: Path, seconds: float) -> dict[str, Any]:
    with serving(name, port, folder) as group:
        load(port, keys, health, 4, 0.5)
        found: dict[str, Any] = {
            "health": load(port, keys, health, REVIEWERS, seconds),
            "review": load(port, keys, review, REVIEWERS, seconds),
        }
        beside: list[dict[str, float]] = []
        other = threading.Thread(target=lambda: beside.append(load(port, keys, health, 2, seconds)))
        other.start()
        found["moderation"] = load(port, keys, moderate, CALLERS, seconds)
        other.join()
        return found | {
            "health_beside_moderation": beside[0],
            "streams": streams(port, keys[0]),
            "memory_mb": memory_mb(group),
        }


def better(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two rounds, the higher rate with its p95, and the larger memory."""
    loads = ("health", "review", "moderation", "health_beside_moderation")
    rates = {name: max((one[name], other[name]), key=lambda found: found["per_s"]) for name in loads}
    return {
        **rates,
        "streams": one["streams"] and other["streams"],
        "memory_mb": max(one["memory_mb"], other["memory_mb"]),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=4)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--servers", nargs="+", default=["gthread", "granian", "uvicorn"])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="guardapp-bench-") as name, database() as url, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        os.environ |= {
            "GUARDAPP_DATA": name,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "guardapp.settings",
            "GUARDAPP_LOG_LEVEL": "WARNING",
            "GUARDAPP_DATABASE_POOL": "0",
        }
        import django

        django.setup()
        keys = prepare()
        os.environ["GUARDAPP_DATABASE_POOL"] = "8"
        results: dict[str, dict[str, Any]] = {}
        with canned_guard() as guard:
            os.environ["GUARDAPP_GUARD_URL"] = guard
            for _ in range(given.rounds):
                for server in given.servers:
                    found = measured(server, port, keys, Path(name), given.seconds)
                    print_progress(f"{server}: {json.dumps(found)}")
                    results[server] = better(results[server], found) if server in results else found
        from django.db import connections

        connections.close_all()
    print(
        json.dumps(
            {"processes": PROCESSES, "threads": THREADS, "cores": len(os.sched_getaffinity(0)), "servers": results}
        )
    )


if __name__ == "__main__":
    main()
