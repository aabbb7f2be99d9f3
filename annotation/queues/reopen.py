"""Reopening a decided item: after an appeal, a new policy, or new reports."""

from django.db.models import F

from annotation.models import Item
from annotation.status import ItemStatus, Lane


def reopen_item(*, item: Item, lane: Lane, ahead: float = 0.0) -> None:
    """Start another round of reviews. The caller must hold the lock on the item's row.

    The standing gold stays until the new round settles.
    """
    wanted = 1 if lane == Lane.APPEAL else item.queue.reviews_per_item
    Item.objects.filter(pk=item.pk).update(
        status=ItemStatus.READY, round=F("round") + 1, lane=lane, free_slots=wanted, priority=F("priority") + ahead
    )
