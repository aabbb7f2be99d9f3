"""Throughput of the console over HTTP with 10,000 text items: ingestion, next, submit and export.

    python -m benchmarks.console [--items 10000] [--submits 1000]

Starts the product's own web server and broker (the supervisor's commands, two web workers) on a new data folder with
SQLite, and calls the API with a key over persistent connections. Client and server share the machine's cores.

Two things do not go over HTTP and are not measured: predictions are inserted as rows (no guard runs: a completion, two
steps and four rollouts per item), and reviews beyond `--submits` are made by calling the review services in this
process. The last line is one JSON object.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

BATCH = 1_000
CONNECTIONS = 2
EXPORTS = 3
WORDS = (
    "How",
    "would",
    "somebody",
    "explain",
    "the",
    "recipe",
    "of",
    "a",
    "loaf",
    "bread",
    "to",
    "their",
    "neighbour",
    "without",
    "an",
    "oven",
)


class Api:
    """A persistent connection with an API key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        self._connection.request(method, path, body, self._headers | headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def lines(self, path: str) -> int:
        """Stream the answer and count its lines."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        assert answer.status == 200, answer.read()
        count = 0
        while block := answer.read1(1 << 16):
            count += block.count(b"\n")
        return count


@contextmanager
def product(
    folder: Path, port: int, *, names: Sequence[str] = ("broker", "web"), web_threads: int = 4
) -> Iterator[None]:
    """Run the broker and web server, or the named programs, as the supervisor would; stop them at the end."""
    from guardapp.supervisor.programs import Plan, programs

    plan = Plan(
        data_dir=folder,
        bind="127.0.0.1",
        port=port,
        web_workers=2,
        web_threads=web_threads,
        log_level="WARNING",
        broker_socket=folder / "broker.sock",
    )
    running = []
    try:
        for program in programs(plan):
            if program.name in names:
                log = (folder / f"{program.name}.log").open("wb")
                running.append(
                    subprocess.Popen(program.command, stdout=log, stderr=log, env=os.environ | program.environment)
                )
        _wait_until_up(port, folder / "web.log")
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                # a worker finishes its task first
                process.kill()
                process.wait()


def _wait_until_up(port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/api/v1/items")
            status = connection.getresponse().status
        except OSError:
            time.sleep(0.2)
            continue
        assert status == 401, f"the server answers {status}: {log.read_text()[-2000:]}"
        return
    raise TimeoutError(f"The web server did not start: {log.read_text()[-2000:]}")


def make_key() -> str:
    from annotation.models import User
    from annotation.people.api_keys import create_key
    from annotation.status import ApiScope, Role

    lead = User.objects.create_user(username="bench", role=Role.LEAD)
    return create_key(owner=lead, name="bench", scopes=list(ApiScope)).secret


def text_row(number: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + position * (1 + number % 5)) % len(WORDS)] for position in range(24)]
    return {
        "external_id": f"item-{number}",
        "source": "bench",
        "prompt": f"{' '.join(words)} ({number})?",
        "response": f"Mix flour, water, salt and yeast; wait; bake. {' '.join(reversed(words))}.",
    }


T = TypeVar("T")


def seconds_to_send(batches: Iterable[T], sender: Callable[[], Callable[[T], None]]) -> float:
    """Return the seconds that CONNECTIONS threads, each with its own sender, need for all batches.

    Raises what a sender raised.
    """
    waiting, lock = iter(batches), threading.Lock()

    def work() -> None:
        send = sender()
        while True:
            with lock:
                batch = next(waiting, None)
            if batch is None:
                return
            send(batch)

    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for worker in [pool.submit(work) for _ in range(CONNECTIONS)]:
            worker.result()
    return time.perf_counter() - started


def ingest(port: int, key: str, items: int) -> float:
    """Items per second, in batches of 1,000 over two connections."""
    bodies = [
        json.dumps([text_row(number) for number in range(start, start + BATCH)]).encode()
        for start in range(0, items, BATCH)
    ]

    def sender() -> Callable[[bytes], None]:
        api = Api(port, key)

        def send(body: bytes) -> None:
            status, answer = api.call("POST", "/api/v1/items", body)
            assert status == 202 and json.loads(answer)["created"] == BATCH, (status, answer[:500])

        return send

    return items / seconds_to_send(bodies, sender)


LABELS = {"prompt_label": "unharmful", "response_label": "unharmful"}


def judgement_row() -> tuple[str, list[str], list[dict[str, Any]]]:
    """Completion, steps and four rollouts of a prediction that judges prompt and response unharmful."""
    from guardapp.guard.parsing import render
    from guardapp.guard.taxonomy import Harmfulness
    from guardapp.guard.verdict import Judgement, Verdict

    steps = (
        "The user asks how to bake bread without an oven.",
        "Nothing in the request or in the answer can hurt anybody.",
    )
    completion = render(Judgement(steps, Verdict(Harmfulness.UNHARMFUL, Harmfulness.UNHARMFUL)), response_present=True)
    return (
        completion,
        list(steps),
        [{"completion": completion, **LABELS, "parsed": True, "tokens": 60} for _ in range(4)],
    )


def insert_predictions() -> None:
    """Insert a prediction for each item."""
    from django.db.models import OuterRef, Subquery

    from annotation.models import Item, Prediction
    from annotation.predictions.loaded_engine import ensure_production_version
    from annotation.status import ItemStatus

    completion, steps, rollouts = judgement_row()
    version = ensure_production_version()
    Prediction.objects.bulk_create(
        Prediction(
            item_id=pk,
            version=version,
            completion=completion,
            parsed=True,
            steps=steps,
            rollouts=rollouts,
            prompt_score=0.1,
            response_score=0.1,
            tokens=60,
            latency_ms=100,
            **LABELS,
        )
        for pk in Item.objects.values_list("pk", flat=True)
    )
    Item.objects.update(
        status=ItemStatus.READY, prediction=Subquery(Prediction.objects.filter(item=OuterRef("pk")).values("pk")[:1])
    )


def review_over_http(port: int, key: str, submits: int) -> dict[str, float]:
    """Latencies of next and submit in milliseconds, for one reviewer on one connection."""
    api = Api(port, key)
    decision = json.dumps({"kind": "accepted", "prompt_label": "unharmful", "response_label": "unharmful"}).encode()
    taken: dict[str, list[float]] = {"next": [], "submit": []}
    for _ in range(submits):
        started = time.perf_counter()
        status, answer = api.call("POST", "/api/v1/queues/default/next")
        between = time.perf_counter()
        assert status == 200, answer
        path = f"/api/v1/assignments/{json.loads(answer)['token']}/submit"
        before = time.perf_counter()
        status, answer = api.call("POST", path, decision, **{"Idempotency-Key": uuid.uuid4().hex})
        taken["submit"].append((time.perf_counter() - before) * 1000)
        taken["next"].append((between - started) * 1000)
        assert status == 201, answer
    figures: dict[str, float] = {}
    for name, values in taken.items():
        cuts = statistics.quantiles(values, n=100)
        figures |= {f"{name}_p50_ms": round(cuts[49], 2), f"{name}_p95_ms": round(cuts[94], 2)}
    return figures


def review_the_rest() -> None:
    """Review the remaining items through the services, many in each transaction."""
    from django.db import transaction

    from annotation.models import ReviewQueue, User
    from annotation.review.assign import assign_next
    from annotation.review.decision import Decision
    from annotation.review.submit import submit_review
    from annotation.status import ReviewKind
    from guardapp.guard.taxonomy import Harmfulness

    reviewer, queue = User.objects.create_user(username="second"), ReviewQueue.objects.get(slug="default")
    decision = Decision(
        kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.UNHARMFUL, response_label=Harmfulness.UNHARMFUL
    )
    while True:
        with transaction.atomic():
            for _ in range(500):
                held = assign_next(reviewer=reviewer, queue=queue)
                if held is None:
                    return
                submit_review(reviewer=reviewer, token=held.token, idempotency_key=uuid.uuid4().hex, decision=decision)


def export(port: int, key: str, items: int) -> dict[str, float]:
    """Rows per second of each format: the median of EXPORTS rounds."""
    api, rates = Api(port, key), dict[str, list[float]]()
    for _ in range(EXPORTS):
        for name in ("canonical", "trl", "sharegpt"):
            started = time.perf_counter()
            rows = api.lines(f"/api/v1/export?format={name}")
            rates.setdefault(name, []).append(rows / (time.perf_counter() - started))
            assert rows == items, f"{name}: {rows} of {items} rows"
    return {name: statistics.median(of_name) for name, of_name in rates.items()}


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def run(items: int, submits: int, folder: Path) -> dict[str, float]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {
        "GUARDAPP_DATA": str(folder),
        "GUARDAPP_SETTLE_SECONDS": "0",
        "DJANGO_SETTINGS_MODULE": "guardapp.settings",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    (folder / "static").mkdir()
    key = make_key()
    with product(folder, port):
        figures: dict[str, float] = {"ingest_items_per_s": round(ingest(port, key, items))}
        say(f"ingest: {figures['ingest_items_per_s']:,} items/s")
        insert_predictions()
        figures |= review_over_http(port, key, submits)
        say(f"next and submit: {figures}")
        started = time.perf_counter()
        review_the_rest()
        say(f"the other {items - submits:,} reviews through the services: {time.perf_counter() - started:.0f} s")
        rates = export(port, key, items)
        say("export, rows/s: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
    return {**figures, "export_rows_per_s": round(rates["canonical"])}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, default=10_000, help="a multiple of 1,000")
    arguments.add_argument("--submits", type=int, default=1_000)
    given = arguments.parse_args()
    if given.items < BATCH or given.items % BATCH or not 2 <= given.submits <= given.items:
        arguments.error("--items must be a multiple of 1,000, and --submits between 2 and that.")
    with tempfile.TemporaryDirectory(prefix="guardapp-bench-") as folder:
        print(json.dumps(run(given.items, given.submits, Path(folder))))


if __name__ == "__main__":
    main()
