"""Throughput of the console over HTTP with 10,000 text items: ingestion, next, submit and export.

    python -m benchmarks.console [--items 10000] [--submits 1000]

Starts the product's own web server and broker (the supervisor's commands, two web workers) on a new data folder with
SQLite, and calls the API with a key over persistent connections. Client and server share the machine's cores.

Two things do not go over HTTP and are not measured: predictions are inserted as rows (no guard runs: a completion, two
steps and four rollouts per item), and reviews beyond `--submits` are made by calling the review services in this
process. The last line is one JSON object.
"""

import argparse
import json
import os
import socket
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks.product import Api, make_key, print_progress, product
from benchmarks.rows import insert_predictions, text_row

BATCH = 1_000
CONNECTIONS = 2
EXPORTS = 3


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
        print_progress(f"ingest: {figures['ingest_items_per_s']:,} items/s")
        insert_predictions()
        figures |= review_over_http(port, key, submits)
        print_progress(f"next and submit: {figures}")
        started = time.perf_counter()
        review_the_rest()
        print_progress(
            f"the other {items - submits:,} reviews through the services: {time.perf_counter() - started:.0f} s"
        )
        rates = export(port, key, items)
        print_progress("export, rows/s: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items()))
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
