"""A moderation caller beside one that sends very long texts.

    python -m benchmarks.moderation_beside_long [--requests 150] [--characters 200000] [--every 1.0]

Starts the supervisor's own web server and guard process on a new data folder, with the starter guard. One caller sends
short texts one after another on one connection, first alone, then while another sends a text of --characters characters
each --every seconds, without waiting for its answers. Everything shares the machine's cores. The last line is one JSON
object: `alone_p95_ms`, `beside_p95_ms`, their `ratio`, and the answers that the long texts got, by status.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.hostile_rows import CHINESE, ENGLISH
from benchmarks.product import Api, make_key, print_progress, product

PATH = "/api/v1/moderate"
WARM_UP = 10


class LongSender:
    """Sends a long text at regular times, each on a connection of its own."""

    def __init__(self, port: int, key: str, text: str, every: float) -> None:
        self.answers: Counter[str] = Counter()
        self.ms: list[float] = []
        self._port, self._key, self._every = port, key, every
        self._body = json.dumps({"contents": [{"prompt": text}], "open_items": False}).encode()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        for thread in self._threads:
            thread.join(60)

    def _work(self) -> None:
        while not self._over.is_set():
            thread = threading.Thread(target=self._send, daemon=True)
            thread.start()
            self._threads.append(thread)
            self._over.wait(self._every)

    def _send(self) -> None:
        began = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            connection.request("POST", PATH, self._body, headers)
            self.answers[str(connection.getresponse().status)] += 1
            self.ms.append((time.perf_counter() - began) * 1_000)
            connection.close()
        except OSError as error:
            self.answers[type(error).__name__] += 1


def ordinary(port: int, key: str, requests: int) -> list[float]:
    """Milliseconds of each answer."""
    api, taken = Api(port, key), []
    for number in range(WARM_UP + requests):
        body = {"contents": [{"prompt": f"How would somebody bake loaf {number} of bread?"}], "open_items": False}
        began = time.perf_counter()
        status, answer = api.call("POST", PATH, json.dumps(body).encode())
        assert status == 200, (status, answer[:500])
        taken.append((time.perf_counter() - began) * 1_000)
    return taken[WARM_UP:]


def wait_for_the_guard(port: int, key: str) -> None:
    deadline = time.monotonic() + 120
    while Api(port, key).call("POST", PATH, b'{"contents": [{"prompt": "Hello"}]}')[0] != 200:
        assert time.monotonic() < deadline, "the guard did not start"
        time.sleep(0.5)


def run(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings"}
    os.environ.pop("DATABASE_URL", None)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    (folder / "static").mkdir()
    from annotation.predictions.loaded_engine import ensure_production_version

    ensure_production_version()
    key = make_key()
    text = {"english": ENGLISH, "chinese": CHINESE}[given.script]
    text = (text * (given.characters // len(text) + 1))[: given.characters]
    with product(folder, port, names=("broker", "web", "guard"), web_threads=24):
        wait_for_the_guard(port, key)
        alone = ordinary(port, key, given.requests)
        print_progress(f"alone: p50 {statistics.median(alone):.0f} ms, p95 {p95(alone):.0f} ms")
        sender = LongSender(port, key, text, given.every)
        sender.start()
        beside = ordinary(port, key, given.requests)
        sender.stop()
        print_progress(f"beside: p50 {statistics.median(beside):.0f} ms, p95 {p95(beside):.0f} ms; {sender.answers}")
        again = ordinary(port, key, given.requests)
        print_progress(f"alone again: p50 {statistics.median(again):.0f} ms, p95 {p95(again):.0f} ms")
    return {
        "alone_p95_ms": round(p95(alone), 1),
        "beside_p95_ms": round(p95(beside), 1),
        "ratio": round(p95(beside) / p95([*alone, *again]), 2),
        "alone_again_p95_ms": round(p95(again), 1),
        "long_answers": dict(sender.answers),
        "long_p50_ms": round(statistics.median(sender.ms), 1) if sender.ms else None,
    }


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[18]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--requests", type=int, default=150)
    arguments.add_argument("--characters", type=int, default=200_000)
    arguments.add_argument("--every", type=float, default=1.0, help="seconds")
    arguments.add_argument("--script", choices=["english", "chinese"], default="english")
    given = arguments.parse_args()
    if given.requests < 20:
        arguments.error("--requests must be at least 20.")
    with tempfile.TemporaryDirectory(prefix="guardapp-beside-long-") as folder:
        print(json.dumps(run(Path(folder), given)))


if __name__ == "__main__":
    main()
