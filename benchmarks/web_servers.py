"""The same pages and endpoints on several web servers: requests per second, p95 and memory, on PostgreSQL.

    python -m benchmarks.web_servers [--seconds 4] [--rounds 2] [--servers gthread granian uvicorn]

Each server has two worker processes with 16 threads and takes its turn in every round; figures are the best round's. It
measures /healthz, next with submit (sixteen reviewers with a key each), moderation that waits 100 ms for the guard (24
callers, while two others request /healthz), and whether a streamed request is answered before its end. The guard is a
canned answer over its real protocol. Clients, server, guard and PostgreSQL share the machine's cores. granian is not a
dependency: `pip install granian==2.8.7`. The last line is one JSON object.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.console import insert_predictions, say, text_row
from benchmarks.scale import database

PROCESSES, THREADS = 2, 16
REVIEWERS, CALLERS = 16, 24
ITEMS = 20_000
GUARD_S = 0.1
DECISION = json.dumps({"kind": "accepted", "prompt_label": "unharmful", "response_label": "unharmful"}).encode()
CONTENT = json.dumps({"contents": [{"prompt": "How do I bake bread?"}], "open_items": False}).encode()
Ask = Callable[["Client"], list[float]]


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


class Client:
    """A persistent connection with an API key."""

    def __init__(self, port: int, key: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def timed(self, method: str, path: str, body: bytes | None, expected: int, **headers: str) -> tuple[float, bytes]:
        began = time.perf_counter()
        self.connection.request(method, path, body, self.headers | headers)
        answer = self.connection.getresponse()
        content = answer.read()
        assert answer.status == expected, (path, answer.status, content[:300])
        return time.perf_counter() - began, content


def health(client: Client) -> list[float]:
    return [client.timed("GET", "/healthz", None, 200)[0]]


def review(client: Client) -> list[float]:
    taken, lease = client.timed("POST", "/api/v1/queues/default/next", None, 200)
    path = f"/api/v1/assignments/{json.loads(lease)['token']}/submit"
    sent, _ = client.timed("POST", path, DECISION, 201, **{"Idempotency-Key": uuid.uuid4().hex})
    return [taken, sent]


def moderate(client: Client) -> list[float]:
    return [client.timed("POST", "/api/v1/moderate", CONTENT, 200)[0]]


def load(port: int, keys: list[str], ask: Ask, clients: int, seconds: float) -> dict[str, float]:
    """Requests per second and p95 in milliseconds for this number of clients."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    def one(number: int) -> None:
        client = Client(port, keys[number % len(keys)])
        while time.perf_counter() < until:
            taken.extend(ask(client))
        client.connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(taken) / (time.perf_counter() - began)
    return {"per_s": round(rate, 1), "p95_ms": round(statistics.quantiles(taken, n=20)[18] * 1_000, 1)}


def streams(port: int, key: str) -> bool:
    """Whether a piece is answered before the next is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        head = (
            f"POST /api/v1/moderate/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        line.sendall(head.encode())
        for piece in ({"prompt": "A story", "every": 50}, {"text": "Once upon a time. " * 4}):
            body = json.dumps(piece).encode() + b"\n"
            line.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        heard = b""
        line.settimeout(3)
        try:
            while b'"action"' not in heard and (part := line.recv(65_536)):
                heard += part
        except TimeoutError:
            return False
        return b'"action"' in heard


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


@contextmanager
def canned_guard() -> Iterator[str]:
    from annotation.moderation.guard_wire import GuardAnswer
    from guardapp.guard.judging import Judged
    from guardapp.guard.taxonomy import Harmfulness
    from guardapp.guard.verdict import Judgement, Rollout, Verdict

    judgement = Judgement(("It asks for bread.",), Verdict(Harmfulness.UNHARMFUL))
    answer = GuardAnswer(Judged(Rollout("…", judgement, 20, True, 0.01, None), ()), "starter")
    body = json.dumps({"answers": [answer.as_json()]}).encode()

    class Guard(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(GUARD_S)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    with Server(("127.0.0.1", 0), Guard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


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
                    say(f"{server}: {json.dumps(found)}")
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
