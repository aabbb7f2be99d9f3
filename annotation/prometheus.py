"""Prometheus metrics: from all processes that share the data folder, and from the database at scrape time.

Every process writes its metrics to its own files (prometheus_client's multi-process mode, one folder per host), and the
metrics page adds them up. All metrics have labels, so a process that never counts writes nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import time

from django.conf import settings
from django.utils import timezone
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from annotation.database.lists import COUNTED_UP_TO, count_some
from annotation.models import Assignment, Delivery, ModelVersion, QueueTally
from annotation.status import AssignmentState, DeliveryState, ItemStatus

KEPT_S = 7 * 86_400.0
WAITING = (ItemStatus.PENDING, ItemStatus.PREDICTING, ItemStatus.READY, ItemStatus.ESCALATED)
SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

REQUESTS = Histogram("guardapp_http_request_seconds", "Time to an answer", ["method", "view", "status"])
PREDICTIONS = Counter("guardapp_predictions", "Items that the guard has predicted or failed on", ["outcome"])
PREDICTION_SECONDS = Histogram(
    "guardapp_prediction_seconds", "Time that a batch of items took the guard", ["version"], buckets=SLOW
)
MODERATIONS = Counter("guardapp_moderations", "Contents judged while a caller waited", ["mode", "action"])
MODERATION_SECONDS = Histogram(
    "guardapp_moderation_seconds", "Time that a request to the guard took", ["mode"], buckets=SLOW
)
MODERATIONS_REFUSED = Counter("guardapp_moderations_refused", "Requests that the guard did not answer", ["why"])
REVIEWS = Counter("guardapp_reviews", "Reviews submitted", ["kind"])
MESSAGES = Counter("guardapp_webhook_tries", "Tries to deliver a message", ["outcome"])

Source = Callable[[], Iterable[Metric]]
# more metrics read from the database; other apps add theirs
SOURCES: list[Source] = []


def figures() -> bytes:
    """All metrics, in the Prometheus text format."""
    registry = CollectorRegistry()
    registry.register(_Everything())
    return generate_latest(registry)


def forget_old_figures() -> None:
    """Delete metrics files that were not written to for a week: their processes are gone."""
    for file in _files():
        if file.stat().st_mtime < time() - KEPT_S:
            file.unlink(missing_ok=True)


class _Everything:
    def collect(self) -> Iterator[Metric]:
        files = [str(file) for file in _files()]
        yield from MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
        for source in (_items, _leases, _messages, _version, *SOURCES):
            yield from source()


def _files() -> list[Path]:
    return sorted(Path(settings.METRICS_DIR).glob("*/*.db"))


def _items() -> Iterator[Metric]:
    """Item metrics from the last tally, renewed every 15 seconds, so that a scrape counts no items."""
    items = GaugeMetricFamily("guardapp_items", "Items by queue and status", labels=["queue", "status"])
    oldest = GaugeMetricFamily(
        "guardapp_oldest_item_seconds", "Age of the oldest item that waits", labels=["queue", "status"]
    )
    counts: dict[tuple[str, str], tuple[int, float]] = {}
    now = timezone.now()
    for tally in QueueTally.objects.select_related("queue"):
        known, age = counts.get((tally.queue.slug, tally.status), (0, 0.0))
        waited = (now - tally.oldest_at).total_seconds() if tally.oldest_at else 0.0
        counts[tally.queue.slug, tally.status] = (known + tally.items, max(age, waited))
    for (queue, status), (count, age) in counts.items():
        items.add_metric([queue, status], count)
        if status in WAITING:
            oldest.add_metric([queue, status], age)
    yield items
    yield oldest


def _leases() -> Iterator[Metric]:
    held = Assignment.objects.filter(state=AssignmentState.ACTIVE, expires_at__gt=timezone.now()).count()
    yield GaugeMetricFamily("guardapp_leases", "Items that people hold now", value=held)


def _messages() -> Iterator[Metric]:
    waiting = count_some(Delivery.objects.filter(state=DeliveryState.WAITING))
    words = f"Messages that are still to be taken, counted up to {COUNTED_UP_TO + 1:,}"
    yield GaugeMetricFamily("guardapp_webhook_messages_waiting", words, value=waiting)


def _version() -> Iterator[Metric]:
    serving = GaugeMetricFamily("guardapp_version", "1 for the version that serves", labels=["version"])
    for name in ModelVersion.objects.serving().values_list("name", flat=True):
        serving.add_metric([name], 1)
    yield serving
