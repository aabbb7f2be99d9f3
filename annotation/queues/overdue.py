"""Items that have waited for review longer than their queue allows.

The wait starts when an item arrives. An item reopened by an appeal or a new policy already had its first review, on
time or not, and is never counted as late.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from annotation.models import Item, ReviewQueue
from annotation.status import ItemStatus

WAITING = (ItemStatus.READY, ItemStatus.ESCALATED)
# age limits by which waiting items are counted
AGES = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=3), timedelta(weeks=1))


def late_items(now: datetime) -> Q:
    """Select the late items of all queues with a time limit."""
    limits = ReviewQueue.objects.filter(sla_hours__isnull=False).values_list("pk", "sla_hours")
    late = Q(pk__in=[])
    for queue_id, hours in limits:
        late |= Q(queue=queue_id, created_at__lt=now - timedelta(hours=hours or 0))
    return late & Q(status__in=WAITING, round=1)


def late_by(item: Item, queue: ReviewQueue) -> timedelta | None:
    """How long the item is overdue; None if it is not."""
    if queue.sla_hours is None or item.round > 1 or item.status not in WAITING:
        return None
    over = timezone.now() - item.created_at - timedelta(hours=queue.sla_hours)
    return over if over > timedelta(0) else None
