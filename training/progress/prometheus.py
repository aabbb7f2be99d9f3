"""Training's metrics for Prometheus."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from training.models import TrainingRun


def runs() -> Iterator[Metric]:
    found = GaugeMetricFamily("guardapp_runs", "Training runs by kind and status", labels=["kind", "status"])
    for kind, status, count in TrainingRun.objects.order_by().values_list("kind", "status").annotate(count=Count("pk")):
        found.add_metric([kind, status], count)
    yield found
