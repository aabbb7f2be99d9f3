"""Load over HTTP: fifty reviewers at once, and items sent at a fixed rate."""

import itertools
import json
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from benchmarks.product import Api, print_progress
from benchmarks.rows import text_row

THINKING_S = 1.0
REVIEWERS = 50
SENDERS, BATCH = 2, 100
DECISION = json.dumps({"kind": "accepted", "prompt_label": "unharmful", "response_label": "unharmful"}).encode()


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[94]


def reviewers_over_http(port: int, seconds: float) -> dict[str, float]:
    """Simulate `REVIEWERS` concurrent people, each with a key and a connection."""
    from annotation.models import User
    from annotation.people.api_keys import create_key
    from annotation.status import ApiScope

    people = User.objects.filter(username__startswith="reviewer-").order_by("pk")[:REVIEWERS]
    keys = [create_key(owner=person, name="bench", scopes=[ApiScope.REVIEWS_WRITE]).secret for person in people]
    taken: list[list[float]] = [[] for _ in keys]
    end = time.monotonic() + seconds

    def work(number: int, key: str) -> None:
        api = Api(port, key)
        time.sleep(THINKING_S * number / len(keys))
        while time.monotonic() < end:
            started = time.perf_counter()
            status, answer = api.call("POST", "/api/v1/queues/default/next")
            taken[number].append((time.perf_counter() - started) * 1000)
            assert status == 200, answer
            time.sleep(THINKING_S)
            started = time.perf_counter()
            path = f"/api/v1/assignments/{json.loads(answer)['token']}/submit"
            status, answer = api.call("POST", path, DECISION, **{"Idempotency-Key": uuid.uuid4().hex})
            taken[number].append((time.perf_counter() - started) * 1000)
            assert status == 201, answer

    at_once([lambda number=number, key=key: work(number, key) for number, key in enumerate(keys)])  # type: ignore[misc]
    times = list(itertools.chain.from_iterable(taken))
    print_progress(
        f"{len(keys)} reviewers: {len(times)} requests in {seconds:.0f} s, p50 {statistics.median(times):.1f} ms, "
        f"p95 {p95(times):.1f} ms"
    )
    return {f"reviewers_{REVIEWERS}_p95_ms": round(p95(times), 2)}


def sustained_ingest(port: int, key: str, seconds: float, offered: float) -> dict[str, float]:
    """Send batches at a fixed rate of `offered` items per second; a late sender sends at once.

    The guard must have predicted in the meantime.
    """
    from annotation.models import Prediction

    before = Prediction.objects.count()
    numbers, lock = itertools.count(), threading.Lock()
    sent: list[float] = []
    waits: list[float] = []
    started = time.monotonic()

    def work() -> None:
        api = Api(port, key)
        while True:
            with lock:
                number = next(numbers)
            due = started + number * BATCH / offered
            if due - started >= seconds or time.monotonic() - started >= seconds:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            rows = [text_row(row) | {"source": "sustained"} for row in range(number * BATCH, (number + 1) * BATCH)]
            began = time.perf_counter()
            status, answer = api.call("POST", "/api/v1/items", json.dumps(rows).encode())
            waits.append((time.perf_counter() - began) * 1000)
            assert status == 202 and json.loads(answer)["created"] == BATCH, answer[:500]
            sent.append(time.monotonic() - started)

    at_once([work] * SENDERS)
    took = max(seconds, *sent)
    slowest = min(
        sum(low <= at < low + 10 for at in sent) * BATCH / 10 for low in range(0, max(1, int(seconds) - 9), 10)
    )
    predicted = Prediction.objects.count() - before
    print_progress(
        f"sustained: {len(sent) * BATCH:,} items in {took:.0f} s, slowest ten seconds {slowest:,.0f}/s, "
        f"POST p95 {p95(waits):.0f} ms; the guard predicted {predicted:,} meanwhile"
    )
    assert predicted, "no inference worker ran"
    return {"sustained_ingest_per_s": round(len(sent) * BATCH / took)}


def at_once(works: list[Callable[[], None]]) -> None:
    """Run each in its own thread, and raise the first failure at the end."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised below)
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def wait_for_a_prediction(log: Path) -> None:
    """Wait until the inference worker has loaded the guard and found work."""
    from annotation.models import Prediction

    before, deadline = Prediction.objects.count(), time.monotonic() + 180
    while Prediction.objects.count() == before:
        assert time.monotonic() < deadline, log.read_text()[-2_000:]
        time.sleep(0.5)
