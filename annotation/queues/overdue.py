"""Items that wait for people longer than their queue allows.

The wait begins when an item comes in. One that an appeal or a new policy has reopened was answered in time or not: it
counts no more.
"""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from annotation.models import Item, ReviewQueue
from annotation.status import ItemStatus

WAITING = (ItemStatus.READY, ItemStatus.ESCALATED)
# what waiting items are counted by
AGES = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=3), timedelta(weeks=1))


def late_items(now: datetime) -> Q:
    """Of all queues with a limit."""
    limits = ReviewQueue.objects.filter(sla_hours__isnull=False).values_list("pk", "sla_hours")
    late = Q(pk__in=[])
    for queue_id, hours in limits:
        late |= Q(queue=queue_id, created_at__lt=now - timedelta(hours=hours or 0))
    return late & Q(status__in=WAITING, round=1)


def late_by(item: Item, queue: ReviewQueue) -> timedelta | None:
    """How long the item is over its time; None where it is not."""
    if queue.sla_hours is None or item.round > 1 or item.status not in WAITING:
        return None
    over = timezone.now() - item.created_at - timedelta(hours=queue.sla_hours)
    return over if over > timedelta(0) else None
