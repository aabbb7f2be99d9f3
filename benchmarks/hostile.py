"""Content of the worst kinds beside ordinary content, on the embedded default.

    python -m benchmarks.hostile [--ordinary 2000] [--hostile 500] [--minutes 90]

Two runs, each on a new data folder with SQLite, the starter guard and the supervisor's own web server and workers: the
ordinary items alone, then the same ones with the hostile ones (benchmarks/hostile_rows.py) mixed in at random. All are
sent at once by POST /api/v1/items. Sender, server and workers share the machine's cores. The last line is one JSON
object:

    ordinary_delay_ratio  p95 of an ordinary item's time from intake to its prediction, relative to the first run's
    worker_peak_mb        peak memory of the inference worker in the second run, as the kernel reports it
    lost                  items that were accepted and are not there at the end
    stuck                 items that still wait for the guard at the end
"""

import argparse
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.hostile_rows import SOURCE, hostile_rows, size_of
from benchmarks.product import Api, make_key, print_progress, product
from benchmarks.rows import WORDS

PROGRAMS = ("broker", "web", "inference", "default", "beat")
MOST_ROWS, MOST_BYTES = 100, 4_000_000  # of one request
EVERY_S = 10.0
ROOT = Path(__file__).resolve().parents[1]


def ordinary_row(number: int) -> dict[str, Any]:
    words = [WORDS[(number * 7 + position * (1 + number % 5)) % len(WORDS)] for position in range(16)]
    return {"external_id": f"item-{number}", "source": "ordinary", "prompt": f"{' '.join(words)} ({number})?"}


def send(port: int, key: str, rows: list[dict[str, Any]]) -> int:
    """Send all rows; returns how many were accepted as new."""
    api, created, batch, held = Api(port, key), 0, list[dict[str, Any]](), 0
    for row in [*rows, None]:
        size = size_of(row) if row else 0
        if batch and (row is None or len(batch) == MOST_ROWS or held + size > MOST_BYTES):
            status, answer = api.call("POST", "/api/v1/items", json.dumps(batch).encode())
            told = json.loads(answer)
            assert status in (202, 207), (status, answer[:500])
            if refused := [one for one in told["results"] if one.get("status") not in ("created", "known")]:
                print_progress(f"refused: {json.dumps(refused[:2])[:500]}")
            created += told["created"]
            batch, held = [], 0
        if row is not None:
            batch.append(row)
            held += size
    return created


def wait_until_done(minutes: float) -> int:
    """Wait until no item waits for the guard. Returns how many still do."""
    from annotation.models import Item
    from annotation.status import ItemStatus

    open_ones = Item.objects.filter(status__in=[ItemStatus.PENDING, ItemStatus.PREDICTING])
    began, deadline = time.monotonic(), time.monotonic() + 60 * minutes
    while (left := open_ones.count()) and time.monotonic() < deadline:
        ordinary = open_ones.exclude(source=SOURCE).count()
        print_progress(f"{time.monotonic() - began:6.0f} s: {ordinary:,} ordinary and {left - ordinary:,} hostile wait")
        time.sleep(EVERY_S)
    print_progress(f"{time.monotonic() - began:6.0f} s: {left:,} wait")
    return left


def delays() -> list[float]:
    """Seconds from the intake of each ordinary item to its prediction."""
    from annotation.models import Prediction

    times = Prediction.objects.filter(shadow=False).exclude(item__source=SOURCE)
    return [(made - taken).total_seconds() for made, taken in times.values_list("created_at", "item__created_at")]


def p95(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else math.nan


def run(folder: Path, ordinary: int, hostile: int, minutes: float) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"GUARDAPP_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "guardapp.settings"}
    os.environ.pop("DATABASE_URL", None)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    (folder / "static").mkdir(exist_ok=True)
    from annotation.models import Item
    from annotation.predictions.loaded_engine import ensure_production_version
    from benchmarks.platform import megabytes_held

    ensure_production_version()
    key = make_key()
    rows = [ordinary_row(number) for number in range(ordinary)] + hostile_rows(hostile)
    random.Random(17).shuffle(rows)
    with product(folder, port, names=PROGRAMS) as running:
        began = time.monotonic()
        created = send(port, key, rows)
        print_progress(f"{created:,} of {len(rows):,} items taken in {time.monotonic() - began:.0f} s")
        stuck = wait_until_done(minutes)
        peak = megabytes_held(running["inference"].pid)
    counts = Counter(Item.objects.values_list("status", "error_code"))
    print_progress("; ".join(f"{status} {code}: {count:,}" for (status, code), count in sorted(counts.items())))
    taken = delays()
    return {
        "taken": created,
        "refused": len(rows) - created,
        "predicted": len(taken),
        "p95_s": round(p95(taken), 1),
        "worker_peak_mb": round(peak, 1),
        "lost": created - Item.objects.count(),
        "stuck": stuck,
        "by_status": {f"{status} {code}".strip(): count for (status, code), count in sorted(counts.items())},
    }


def in_a_process(ordinary: int, hostile: int, minutes: float) -> dict[str, Any]:
    """One run; each needs settings of its own."""
    with tempfile.TemporaryDirectory(prefix="guardapp-hostile-") as folder:
        made = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.hostile", "--folder", folder),
                *(f"--ordinary={ordinary}", f"--hostile={hostile}", f"--minutes={minutes}"),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--ordinary", type=int, default=2_000)
    arguments.add_argument("--hostile", type=int, default=500)
    arguments.add_argument("--minutes", type=float, default=90, help="after which what still waits counts as stuck")
    arguments.add_argument("--folder", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.folder:
        print(json.dumps(run(Path(given.folder), given.ordinary, given.hostile, given.minutes)))
        return
    if given.ordinary < 20:
        arguments.error("--ordinary must be at least 20.")
    alone = in_a_process(given.ordinary, 0, given.minutes)
    print_progress(f"alone: {alone}")
    beside = in_a_process(given.ordinary, given.hostile, given.minutes)
    print_progress(f"beside the hostile ones: {beside}")
    print(
        json.dumps(
            {
                "ordinary_delay_ratio": round(beside["p95_s"] / alone["p95_s"], 2),
                "worker_peak_mb": beside["worker_peak_mb"],
                "lost": alone["lost"] + beside["lost"],
                "stuck": alone["stuck"] + beside["stuck"],
                "ordinary": given.ordinary,
                "hostile": given.hostile,
                "refused": beside["refused"],
                "alone_p95_s": alone["p95_s"],
                "beside_p95_s": beside["p95_s"],
                "worker_peak_alone_mb": alone["worker_peak_mb"],
                "by_status": beside["by_status"],
            }
        )
    )


if __name__ == "__main__":
    main()
