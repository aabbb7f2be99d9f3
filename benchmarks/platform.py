"""Platform load on PostgreSQL with a million items, compared with plain PostgreSQL in the same run.

    python -m benchmarks.platform [--items 1000000] [--sustain 300] [--rounds 7] [--submits 300] [--reviewing 60]
    [--offered 1000]

Creates its own database on the server at GUARDAPP_TEST_POSTGRES and drops it at the end; rows are filled in by SQL
(benchmarks/filling.py). Clients, servers, workers and PostgreSQL share the machine's cores. The last line is one JSON
object:

    ingest_vs_copy           rows per second of `ingest_jsonl` (used by manage.py ingest: JSON validated, idempotent, a
                             result and an event per row, a commit per thousand) relative to COPY of the same rows into
                             an equal table with equal indexes and size; the median of alternating rounds
    next_vs_skip_locked      p95 of review.assign.assign_next relative to p95 of a bare SELECT … FOR UPDATE SKIP LOCKED
                             with its UPDATE, alternating
    submit_p95_ms            POST …/submit by one person on one persistent connection
    export_vs_copy_to        rows per second of `manage.py export --files jsonl` (canonical records, gzip, SHA-256),
                             from the request to the last file, relative to COPY … TO of the joined columns, measured
                             once before and once after
    export_peak_mb           peak memory of the export's process
    reviewers_50_p95_ms      next and submit of 50 people with own keys and connections and a second per decision
    sustained_ingest_per_s   items per second accepted by POST /api/v1/items in batches of 100, with --offered items per
                             second sent, while the guard predicts and the other workers run
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.console import review_over_http
from benchmarks.floors import Floor, floor
from benchmarks.platform_load import p95, reviewers_over_http, sustained_ingest, wait_for_a_prediction
from benchmarks.product import print_progress, product
from benchmarks.rows import text_row
from benchmarks.scale import database, ground, prepare

ROUND = 10_000  # rows
WORKERS = ("broker", "web", "inference", "default", "beat")
ROOT = Path(__file__).resolve().parents[1]


def ingest_beside_copy(bare: Floor, rounds: int, rows: int) -> dict[str, float]:
    """Compare ingestion with COPY, `rows` per round. The first round is a warm-up and does not count."""
    from django.db.models import Max

    from annotation.ingest.jsonl import ingest_jsonl
    from annotation.models import Item

    ours, copied = [], []
    for number in range(rounds + 1):
        last = Item.objects.aggregate(last=Max("pk"))["last"]
        lines = [json.dumps(text_row(row) | {"source": f"round-{number}"}).encode() + b"\n" for row in range(rows)]
        started = time.perf_counter()
        report = ingest_jsonl(lines=lines)
        ours.append(rows / (time.perf_counter() - started))
        assert report.created == rows
        copied.append(rows / bare.copy_in(last + 1, Item.objects.aggregate(last=Max("pk"))["last"]))
    ratios = [one / other for one, other in zip(ours[1:], copied[1:], strict=True)]
    print_progress(
        f"ingest: {statistics.median(ours[1:]):,.0f} rows/s, COPY {statistics.median(copied[1:]):,.0f}; by round "
        + ", ".join(f"{ratio:.2f}" for ratio in ratios)
    )
    return {"ingest_vs_copy": round(statistics.median(ratios), 3)}


def next_beside_skip_locked(bare: Floor, leases: int) -> dict[str, float]:
    from annotation.models import ReviewQueue, User
    from annotation.review.assign import assign_next
    from annotation.review.decision import Decision
    from annotation.review.submit import submit_review
    from annotation.status import ReviewKind
    from guardapp.guard.taxonomy import Harmfulness

    decision = Decision(
        kind=ReviewKind.ACCEPTED, prompt_label=Harmfulness.UNHARMFUL, response_label=Harmfulness.UNHARMFUL
    )
    reviewer, queue = User.objects.get(username="reviewer-3"), ReviewQueue.objects.get(slug="default")
    ours, plain = [], []
    for _ in range(leases):
        started = time.perf_counter()
        held = assign_next(reviewer=reviewer, queue=queue)
        ours.append((time.perf_counter() - started) * 1000)
        assert held is not None
        submit_review(reviewer=reviewer, token=held.token, idempotency_key=uuid.uuid4().hex, decision=decision)
        plain.append(bare.take_next(queue.pk))
    print_progress(
        f"next: p50 {statistics.median(ours):.2f}, p95 {p95(ours):.2f} ms; SKIP LOCKED: "
        f"{statistics.median(plain):.2f}, {p95(plain):.2f}"
    )
    return {"next_vs_skip_locked": round(p95(ours) / p95(plain), 2)}


def export_beside_copy_to(bare: Floor, folder: Path) -> dict[str, float]:
    from annotation.models import Export

    def copied() -> float:
        rows, seconds = bare.copy_out(folder / "floor.txt")
        return rows / seconds

    before = copied()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "export", "--files", "jsonl"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, megabytes_held(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0, "the export failed"
    plain = statistics.mean([before, copied()])
    made = Export.objects.order_by("-pk")[0]
    assert made.finished_at is not None
    rate = made.rows / (made.finished_at - made.created_at).total_seconds()
    print_progress(
        f"export: {made.rows:,} rows in {made.files.count()} files, {rate:,.0f} rows/s, {peak:.0f} MB; COPY TO "
        f"{plain:,.0f} rows/s"
    )
    return {"export_vs_copy_to": round(rate / plain, 3), "export_peak_mb": round(peak, 1)}


def megabytes_held(pid: int) -> float:
    """Peak memory of a process as reported by the kernel (Linux). wait4 would include its parent's."""
    try:
        told = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line.split() for line in told.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) / 1024 if lines else 0.0


def run(given: argparse.Namespace, folder: Path, address: str) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings", "DATABASE_URL": address}
    import django

    django.setup()
    from annotation.queues.counts import renew_tallies
    from benchmarks.filling import fill

    key, _cookie = prepare()
    started = time.perf_counter()
    fill(ground(), 1, given.items)
    print_progress(f"{given.items:,} items: filled in {time.perf_counter() - started:.0f} s")
    renew_tallies(force=True)
    figures: dict[str, Any] = {"items": given.items}
    with floor(address) as bare:
        figures |= export_beside_copy_to(bare, folder)
        figures |= next_beside_skip_locked(bare, given.submits)
        started = time.perf_counter()
        bare.make_equal_table()
        print_progress(f"an equal table in {time.perf_counter() - started:.0f} s")
        figures |= ingest_beside_copy(bare, given.rounds, min(ROUND, given.items))
    with product(folder, port):
        served = review_over_http(port, key, given.submits)
        print_progress(f"one reviewer: {served}")
        figures |= {"submit_p95_ms": served["submit_p95_ms"]}
        figures |= reviewers_over_http(port, given.reviewing)
    with product(folder, port, names=WORKERS):
        wait_for_a_prediction(folder / "inference.log")
        figures |= sustained_ingest(port, key, given.sustain, given.offered)
    return figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, default=1_000_000, help="at least 2,000")
    arguments.add_argument("--rounds", type=int, default=7, help=f"of {ROUND:,} rows of ingestion and of COPY")
    arguments.add_argument("--submits", type=int, default=300)
    arguments.add_argument("--reviewing", type=float, default=60, help="seconds of 50 reviewers at once")
    arguments.add_argument("--sustain", type=float, default=300, help="seconds of sustained ingestion")
    arguments.add_argument("--offered", type=float, default=1_000, help="items a second of it")
    given = arguments.parse_args()
    if given.items < 2_000 or given.rounds < 1 or not 2 <= given.submits <= given.items // 10:
        arguments.error("--items must be at least 2,000, --rounds 1, --submits between 2 and a tenth of --items.")
    with tempfile.TemporaryDirectory(prefix="guardapp-platform-") as folder, database() as address:
        print(json.dumps(run(given, Path(folder), address)))


if __name__ == "__main__":
    main()
