"""Moving items to another queue by hand."""

from collections.abc import Sequence

from django.db import transaction

from annotation.models import Event, Item, ReviewQueue, User
from annotation.queues.priority import route_item
from annotation.review.gold import slots_left
from annotation.status import AssignmentState, EventKind, ItemStatus


def move_items(*, item_ids: Sequence[int], queue: ReviewQueue, by: User) -> int:
    """Move waiting items to a queue, except those that someone holds. Returns how many were moved."""
    moved = 0
    with transaction.atomic():
        items = (
            Item.objects.select_for_update(of=("self",))
            .filter(pk__in=item_ids, status=ItemStatus.READY)
            .exclude(queue=queue)
        )
        for item in items.select_related("prediction"):
            if item.assignments.filter(state=AssignmentState.ACTIVE).exists():
                continue
            before, item.queue = item.queue_id, queue
            if item.prediction is not None:
                item.priority = route_item(item=item, prediction=item.prediction).priority
            item.free_slots = slots_left(item)
            item.save(update_fields=["queue", "priority", "free_slots"])
            Event.objects.create(
                kind=EventKind.REROUTED, item=item, actor=by, detail={"from": before, "to": queue.slug}
            )
            moved += 1
    return moved
