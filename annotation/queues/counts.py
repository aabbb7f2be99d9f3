"""Counts of queues without counting: a tally that a worker renews, and live counts where there is little to count."""

import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Min, Q
from django.utils import timezone

from annotation.models import Item, QueueTally
from annotation.queues.overdue import AGES, late_items

LIVE_UP_TO = 20_000  # items in all, by the last tally: fewer are counted when asked
RENEW_S = 15.0
COST_FACTOR = 30  # counting may take a thirtieth of a worker's time
COST_KEY = "tallies-took"


def renew_tallies(*, force: bool = False) -> bool:
    """Count all queues and store it, unless that was done lately for what it costs. False: left as it is."""
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
    """Reads every item once. Nothing is stored."""
    rows = Item.objects.order_by().values("queue_id", "status", "lane").annotate(
        items=Count("pk"), oldest_at=Min("created_at"), late=Count("pk", filter=late_items(now)), **_within(now))
    return [_tally(dict(row), now) for row in rows]


def tally_is_enough() -> bool:
    """True where so many items are stored that a page reads the tally instead of counting."""
    return sum(QueueTally.objects.values_list("items", flat=True)) > LIVE_UP_TO


def _within(now: datetime) -> dict[str, Count]:
    return {f"within_{number}": Count("pk", filter=Q(created_at__gte=now - age)) for number, age in enumerate(AGES)}


def _tally(row: dict[str, Any], now: datetime) -> QueueTally:
    up_to = [0, *(row.pop(f"within_{number}") for number in range(len(AGES))), row["items"]]
    return QueueTally(**row, counted_at=now, by_age=[more - less for less, more in pairwise(up_to)])
