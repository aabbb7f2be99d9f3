"""Queue counts: from a tally that a worker renews, or counted live if there are few items."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Min, Q, Sum
from django.utils import timezone

from annotation.database import clock
from annotation.models import Item, QueueTally, ReviewQueue, User
from annotation.queues.access import queues_of
from annotation.queues.overdue import AGES, late_items
from annotation.status import ItemStatus

# items in total, by the last tally; at most this many are counted live
LIVE_UP_TO = 20_000
RENEW_S = 15.0
# counting may take one thirtieth of a worker's time
COST_FACTOR = 30
COST_KEY = "tallies-took"


def renew_tallies(*, force: bool = False) -> bool:
    """Count all queues and store the tallies. Returns False if the last count is too recent for its cost."""
    now = timezone.now()
    newest = QueueTally.objects.order_by("-counted_at").values_list("counted_at", flat=True).first()
    pause = max(RENEW_S, COST_FACTOR * cache.get(COST_KEY, 0.0))
    if not force and newest is not None and now - newest < timedelta(seconds=pause):
        return False
    began = time.monotonic()
    counted = counted_queues(now)
    with transaction.atomic():
        QueueTally.objects.all().delete()
        QueueTally.objects.bulk_create(counted)
    cache.set(COST_KEY, time.monotonic() - began, None)
    return True


def counted_queues(now: datetime) -> list[QueueTally]:
    """Count all queues by reading every item. Stores nothing."""
    rows = (
        Item.objects.order_by()
        .values("queue_id", "status", "lane")
        .annotate(
            items=Count("pk"), oldest_at=Min("created_at"), late=Count("pk", filter=late_items(now)), **_within(now)
        )
    )
    return [_tally(dict(row), now) for row in rows]


def tally_is_enough() -> bool:
    """Whether there are so many items that pages read the tally instead of counting."""
    return sum(QueueTally.objects.values_list("items", flat=True)) > LIVE_UP_TO


def _within(now: datetime) -> dict[str, Count]:
    return {f"within_{number}": Count("pk", filter=Q(created_at__gte=now - age)) for number, age in enumerate(AGES)}


def _tally(row: dict[str, Any], now: datetime) -> QueueTally:
    up_to = [0, *(row.pop(f"within_{number}") for number in range(len(AGES))), row["items"]]
    return QueueTally(**row, counted_at=now, by_age=[more - less for less, more in pairwise(up_to)])


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """A queue and its item counts by status."""

    queue: ReviewQueue
    by_status: Mapping[str, int]
    late: int = 0  # waiting longer than the queue allows
    skipped: int = 0  # by everybody who may review them; counted for leads only

    @property
    def ready(self) -> int:
        return self.by_status.get(ItemStatus.READY, 0)

    @property
    def coming(self) -> int:
        return self.by_status.get(ItemStatus.PENDING, 0) + self.by_status.get(ItemStatus.PREDICTING, 0)

    @property
    def reviewed(self) -> int:
        return self.by_status.get(ItemStatus.REVIEWED, 0)

    @property
    def escalated(self) -> int:
        return self.by_status.get(ItemStatus.ESCALATED, 0)

    @property
    def failed(self) -> int:
        return self.by_status.get(ItemStatus.PREDICTION_FAILED, 0)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def queues_with_counts(user: User) -> list[QueueCounts]:
    """The queues that the user may work on, with counts.

    If there are many items, the counts come from the tally that a worker renews.
    """
    counts: dict[int, dict[str, int]] = {}
    tallied = QueueTally.objects.values_list("queue_id", "status").annotate(n=Sum("items"))
    counted = Item.objects.order_by().values_list("queue_id", "status").annotate(n=Count("pk"))
    for queue_id, status, number in list(tallied) if tally_is_enough() else list(counted):
        counts.setdefault(queue_id, {})[status] = number
    late = late_by_queue()
    return [QueueCounts(queue, counts.get(queue.pk, {}), late.get(queue.pk, 0)) for queue in queues_of(user)]


def late_by_queue() -> dict[int, int]:
    """The number of items that have waited longer than their queue allows, by queue id.

    Queues without such items are left out.
    """
    if tally_is_enough():
        return dict(QueueTally.objects.filter(late__gt=0).values_list("queue_id").annotate(n=Sum("late")))
    return dict(Item.objects.order_by().filter(late_items(clock.now())).values_list("queue_id").annotate(n=Count("pk")))
