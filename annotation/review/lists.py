"""Lists on the pages of reviewers and leads: recent reviews, held items and escalated items."""

import uuid

from django.db.models import Exists, OuterRef

from annotation.database import clock
from annotation.database.lists import long_texts
from annotation.models import Assignment, Item, Review, User
from annotation.queues.access import may_see_item, may_see_items
from annotation.status import AssignmentState, ItemStatus

LAST_REVIEWS = 10
LEAD_LIST = 8


def last_reviews(reviewer: User) -> list[Review]:
    """The reviewer's ten newest reviews, which can still be undone, newest first."""
    reviews = Review.objects.filter(reviewer=reviewer, retraction__isnull=True)
    rows = reviews.select_related("item", "assignment__queue").defer(*long_texts(review="", item="item"))
    newest = list(rows.order_by("-id")[:LAST_REVIEWS])
    visible = may_see_items(reviewer, [review.item for review in newest])
    return [review for review in newest if review.item_id in visible]


def escalated_items() -> list[tuple[Item, Assignment | None]]:
    """The newest escalated items, each with the assignment that escalated it.

    The assignment is None if the item was escalated because its reviews disagree, or by a lead since everybody had
    skipped it; `reviewed` tells them apart.
    """
    items = list(
        Item.objects.filter(status=ItemStatus.ESCALATED)
        .annotate(reviewed=Exists(Review.objects.filter(item=OuterRef("pk"), retraction__isnull=True)))
        .defer(*long_texts(item=""))
        .order_by("-id")[:LEAD_LIST]
    )
    escalations = (
        Assignment.objects.filter(state=AssignmentState.ESCALATED, item__in=items)
        .select_related("reviewer")
        .order_by("id")
    )
    newest = {escalation.item_id: escalation for escalation in escalations}
    return [(item, newest.get(item.pk)) for item in items]


def held_escalated(lead: User, item: Item | None = None) -> Assignment | None:
    """The lead's active assignment of an escalated item, restricted to `item` if given."""
    held = Assignment.objects.filter(
        reviewer=lead, state=AssignmentState.ACTIVE, expires_at__gt=clock.now(), item__status=ItemStatus.ESCALATED
    )
    if item is not None:
        held = held.filter(item=item)
    return held.select_related("item", "item__prediction", "queue").order_by("-id").first()


def assignment_of(reviewer: User, token: uuid.UUID) -> Assignment | None:
    """The reviewer's assignment in any state, with the related rows that the review page needs.

    None if there is none, or if it has ended and its item is not for this reviewer any more.
    """
    assignments = Assignment.objects.select_related("item", "item__prediction", "queue")
    try:
        found = assignments.get(token=token, reviewer=reviewer)
    except Assignment.DoesNotExist:
        return None
    found.reviewer = reviewer
    if found.state != AssignmentState.ACTIVE and not may_see_item(reviewer, found.item):
        return None
    return found
