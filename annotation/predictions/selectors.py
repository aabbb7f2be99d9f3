"""Queries for the guard's progress on items."""

from dataclasses import dataclass

from django.db.models import Count, Q

from annotation.models import Item
from annotation.status import ItemStatus


@dataclass(frozen=True, slots=True)
class InferenceBacklog:
    """Counts of items by prediction state. `predicted` includes items in later states; withdrawn ones are left out."""

    waiting: int
    predicted: int
    failed: int

    @property
    def total(self) -> int:
        return self.waiting + self.predicted + self.failed


def inference_backlog() -> InferenceBacklog:
    waiting = Q(status__in=[ItemStatus.PENDING, ItemStatus.PREDICTING])
    failed = Q(status=ItemStatus.PREDICTION_FAILED)
    counts = Item.objects.exclude(status=ItemStatus.WITHDRAWN).aggregate(
        waiting=Count("pk", filter=waiting), failed=Count("pk", filter=failed), total=Count("pk")
    )
    return InferenceBacklog(counts["waiting"], counts["total"] - counts["waiting"] - counts["failed"], counts["failed"])
