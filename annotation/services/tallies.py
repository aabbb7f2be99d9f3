"""Counts of queues without counting: a tally that a worker renews, and live counts where there is little to count."""

import time
from datetime import timedelta

from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Min
from django.utils import timezone

from annotation.models import Item, QueueTally
from annotation.services.lateness import late_items

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
    counted = list(Item.objects.order_by().values("queue_id", "status", "lane").annotate(
        items=Count("pk"), oldest_at=Min("created_at"), late=Count("pk", filter=late_items(now))))
    with transaction.atomic():
        QueueTally.objects.all().delete()
        QueueTally.objects.bulk_create([QueueTally(**row, counted_at=now) for row in counted])
    cache.set(COST_KEY, time.monotonic() - began, None)
    return True


def tally_is_enough() -> bool:
    """True where so many items are stored that a page reads the tally instead of counting."""
    return sum(QueueTally.objects.values_list("items", flat=True)) > LIVE_UP_TO
