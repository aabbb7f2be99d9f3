"""The review console with a thousand, a hundred thousand and a million items: PostgreSQL, gunicorn, Chromium.

    python -m benchmarks.scale [--items 1000 100000 1000000] [--keys-at 100000] [--keys 100] [--submits 300]

Creates its own database on the server at GUARDAPP_TEST_POSTGRES and drops it at the end. Rows are filled in by SQL
(benchmarks/filling.py), then measured through the product's own web server: at each size, next and submit by the API
and a lead's page with the counts of all queues; at one size, a reviewer in a real Chromium who accepts item after item
with a key. The tallies of the queues are renewed at each size, as a worker does every 15 seconds. The last line is one
JSON object.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.console import review_over_http
from benchmarks.keys import PASSWORD, chromium_is_there, measure_keys
from benchmarks.product import make_key, print_progress, product

POSTGRES = os.environ.get("GUARDAPP_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
# number of requests for the page with the counts
COUNTED = 200
READER = "reviewer-7"


@contextmanager
def database() -> Iterator[str]:
    """Create an empty database, yield its address, and drop it at the end."""
    name = f"guardapp_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{POSTGRES}/{name}"
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def prepare() -> tuple[str, str]:
    """Create the schema, people and queues. Returns an API key and a lead's session cookie."""
    from django.conf import settings
    from django.contrib.auth.hashers import make_password
    from django.core.management import call_command
    from django.test import Client

    from annotation.models import ReviewQueue, User
    from benchmarks.filling import PEOPLE, QUEUES

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    User.objects.bulk_create(
        User(username=f"reviewer-{number}", password=make_password(PASSWORD if number == 7 else None))
        for number in range(PEOPLE)
    )
    for slug in QUEUES:
        ReviewQueue.objects.get_or_create(slug=slug, defaults={"name": slug})
    key = make_key()
    client = Client()
    client.force_login(User.objects.get(username="bench"))
    return key, f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def ground() -> Any:
    from annotation.models import ReviewQueue, User
    from annotation.predictions.active_policy import active_policy_version
    from annotation.predictions.loaded_engine import ensure_production_version
    from benchmarks.filling import QUEUES, Ground
    from benchmarks.rows import judgement_row

    completion, steps, rollouts = judgement_row()
    queues = dict(ReviewQueue.objects.values_list("slug", "pk"))
    return Ground(
        version=ensure_production_version().pk,
        policy=active_policy_version().pk,
        queues=[queues[slug] for slug in QUEUES],
        people=list(User.objects.filter(username__startswith="reviewer-").order_by("pk").values_list("pk", flat=True)),
        completion=completion,
        steps=json.dumps(steps),
        rollouts=json.dumps(rollouts),
    )


def counts_over_http(port: int, cookie: str) -> float:
    """p95 in milliseconds of the page with the counts of all queues."""
    connection, taken = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(COUNTED):
        started = time.perf_counter()
        connection.request("GET", "/", headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - started) * 1000)
        assert answer.status == 200, answer.status
    return round(statistics.quantiles(taken, n=100)[94], 2)


def run(sizes: list[int], keys_at: int, keys: int, submits: int, folder: Path) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings"}
    import django

    django.setup()
    from annotation.queues.counts import renew_tallies
    from benchmarks.filling import fill

    key, cookie = prepare()
    figures: dict[str, Any] = {}
    filled = 0
    with product(folder, port):
        for size in sizes:
            started = time.perf_counter()
            fill(ground(), filled + 1, size)
            filled, began = size, time.perf_counter()
            renew_tallies(force=True)
            print_progress(
                f"{size:,} items: filled in {began - started:.0f} s, counted in {time.perf_counter() - began:.2f} s"
            )
            served = review_over_http(port, key, submits)
            figures[str(size)] = {"next_p95_ms": served["next_p95_ms"], "counts_p95_ms": counts_over_http(port, cookie)}
            print_progress(f"{size:,} items: {figures[str(size)]}; {served}")
            if size == keys_at:
                figures |= keys_of_a_reader(port, keys)
                print_progress(f"{size:,} items, {keys} keys: {figures}")
    return figures


def keys_of_a_reader(port: int, keys: int) -> dict[str, float]:
    """The figures of benchmarks.keys, after checking that each key became a review."""
    from annotation.models import Review

    wanted = Review.objects.count() + keys
    figures = measure_keys(port, READER, keys)
    deadline = time.monotonic() + 30
    while Review.objects.count() < wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    assert Review.objects.count() == wanted, "a decision was lost, or stored twice"
    return figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, nargs="+", default=[1_000, 100_000, 1_000_000], help="sizes that grow")
    arguments.add_argument("--keys-at", type=int, default=100_000, help="the size at which keys are measured")
    arguments.add_argument("--keys", type=int, default=100, help="how many")
    arguments.add_argument("--submits", type=int, default=300, help="at each size")
    given = arguments.parse_args()
    if given.items != sorted(set(given.items)) or given.items[0] < 1_000 or given.submits > 350 or given.keys < 20:
        arguments.error(
            "--items must grow from 1,000 on, --submits be at most 350 (a thousand items hold 375 for it), "
            "--keys at least 20."
        )
    if given.keys_at in given.items and not chromium_is_there():
        sys.exit("Chromium is missing: set CHROMIUM to a Chromium or Chrome.")
    with tempfile.TemporaryDirectory(prefix="guardapp-scale-") as folder, database() as address:
        os.environ["DATABASE_URL"] = address
        print(json.dumps(run(given.items, given.keys_at, given.keys, given.submits, Path(folder))))


if __name__ == "__main__":
    main()
