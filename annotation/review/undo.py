"""Undo: a reviewer takes back a review, a skip or an escalation, and holds the item again."""

import uuid
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.database import clock
from annotation.database.kept_statements import Select
from annotation.errors import AssignmentNotFound, ItemWithdrawn, LeftItemGone, NothingToUndo, SettledByLead
from annotation.models import Assignment, Draft, Event, GoldLabel, Item, Review, ReviewRetraction, User
from annotation.queues.access import QueueNotYours, may_see_item, queue_of
from annotation.review.assign import lease_again
from annotation.review.decision import COLUMNS
from annotation.review.gold import slots_left, withdraw
from annotation.review.lease_insert import take_slot
from annotation.status import ENDED_BY_PERSON, AssignmentState, EventKind, GoldSource, ItemStatus

UNDO_DEPTH = 10
# the newest of a person's own acts; index assignment_last_of_reviewer
_LAST = Select(
    lambda reviewer: Assignment.objects.filter(
        reviewer=reviewer, state__in=ENDED_BY_PERSON, ended_at__isnull=False
    ).order_by("-ended_at", "-id")
)


def undo_last(*, reviewer: User) -> Assignment:
    """Undo what the person did last: a review, a skip or an escalation. It never undoes anything older.

    Raises NothingToUndo, SettledByLead, SnapshotUsedIt, LeftItemGone, ItemWithdrawn, QueueNotYours.
    """
    last = _LAST.first(reviewer=reviewer.pk)
    if last is None:
        raise NothingToUndo
    return undo_assignment(reviewer=reviewer, token=last.token)


def undo_assignment(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """Undo how the person ended this assignment. Raises AssignmentNotFound, and what `undo_last` raises."""
    ended = Assignment.objects.filter(token=token, reviewer=reviewer).select_related("review").first()
    if ended is None:
        raise AssignmentNotFound
    if ended.state == AssignmentState.SUBMITTED:
        return undo_review(reviewer=reviewer, review_id=ended.review.pk)
    return undo_left(reviewer=reviewer, token=token)


def undo_left(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """Bring a skipped or escalated item back to the person, unless it has gone to somebody else or on.

    Raises NothingToUndo, LeftItemGone, ItemWithdrawn, QueueNotYours.
    """
    now = clock.now()
    with transaction.atomic():
        ended = Assignment.objects.select_related("hidden_gold").filter(token=token, reviewer=reviewer).first()
        if ended is None or ended.state not in (AssignmentState.SKIPPED, AssignmentState.ESCALATED):
            raise NothingToUndo
        item = Item.objects.select_for_update(of=("self",)).select_related("queue", "prediction").get(pk=ended.item_id)
        escalated = ended.state == AssignmentState.ESCALATED
        # undone in another tab while this request waited for the lock
        if not Assignment.objects.filter(pk=ended.pk, state=ended.state).update(state=AssignmentState.UNDONE):
            raise NothingToUndo
        if queue_of(reviewer, item.queue.slug) is None:
            raise QueueNotYours
        if item.status == ItemStatus.WITHDRAWN:
            raise ItemWithdrawn(_("The sender has withdrawn this item, so it cannot come back to you."))
        if ended.takes_slot:
            _take_left(item, ended, reviewer, or_escalated=escalated or reviewer.is_lead)
            if escalated and item.status == ItemStatus.ESCALATED and not _escalated_by_others(item):
                Item.objects.filter(pk=item.pk).update(status=ItemStatus.READY)
                item.status = ItemStatus.READY
        Event.objects.create(
            kind=EventKind.TAKEN_BACK, item=item, actor=reviewer, at=now, detail={"was": str(ended.state)}
        )
        return lease_again(item, item.queue, reviewer, now)


def _take_left(item: Item, ended: Assignment, reviewer: User, *, or_escalated: bool) -> None:
    """Take a slot of the item. Raises LeftItemGone if it no longer waits for this person."""
    waits = item.status == ItemStatus.READY or (or_escalated and item.status == ItemStatus.ESCALATED)
    with_a_lead = item.status == ItemStatus.ESCALATED and any(
        held.reviewer.is_lead
        for held in item.assignments.filter(state=AssignmentState.ACTIVE).select_related("reviewer")
    )
    if not waits or with_a_lead or item.round != ended.round:
        raise LeftItemGone
    if take_slot(item) != 1:
        raise LeftItemGone


def _escalated_by_others(item: Item) -> bool:
    return item.assignments.filter(state=AssignmentState.ESCALATED, round=item.round).exists()


def undo_review(*, reviewer: User, review_id: int) -> Assignment:
    """Retract one of the person's last ten reviews.

    Withdraws its gold, leases the item to the person again and restores their work as a draft.
    Raises NothingToUndo, SettledByLead, SnapshotUsedIt, ItemWithdrawn, QueueNotYours.
    """
    now = clock.now()
    with transaction.atomic():
        review = next((row for row in _undoable(reviewer) if row.pk == review_id), None)
        if review is None:
            raise NothingToUndo
        item = Item.objects.select_for_update(of=("self",)).select_related("queue", "prediction").get(pk=review.item_id)
        if not may_see_item(reviewer, item):
            raise QueueNotYours
        # undone in another tab while this request waited for the lock
        if ReviewRetraction.objects.filter(review=review).exists():
            raise NothingToUndo
        if item.status == ItemStatus.WITHDRAWN:
            raise ItemWithdrawn(_("The sender has withdrawn this item, so your review of it stays as it is."))
        if review.hidden_gold_id is not None:
            return _undo_on_hidden_gold(review, item, now)
        settled_by_lead = GoldLabel.objects.standing().filter(
            item=item, source__in=[GoldSource.ADJUDICATED, GoldSource.APPEAL]
        )
        if settled_by_lead.exclude(review=review).exists():
            raise SettledByLead
        withdraw(item=item, actor=reviewer, now=now)
        ReviewRetraction.objects.create(review=review, at=now)
        Assignment.objects.filter(pk=review.assignment_id).update(state=AssignmentState.UNDONE)
        adjudicated = review.gold_labels.filter(source=GoldSource.ADJUDICATED).exists()
        Item.objects.filter(pk=item.pk).update(
            status=ItemStatus.ESCALATED if adjudicated or _stays_escalated(item) else ItemStatus.READY,
            free_slots=0 if adjudicated else slots_left(item) - 1,
        )
        Event.objects.create(kind=EventKind.UNDONE, item=item, actor=reviewer, at=now, detail={"review": review.pk})
        Draft.objects.update_or_create(
            item=item, reviewer=reviewer, defaults={"payload": _as_draft(review), "saved_at": now}
        )
        return lease_again(item, item.queue, reviewer, now)


def _undo_on_hidden_gold(review: Review, item: Item, now: datetime) -> Assignment:
    """Retract only the review, since a review of hidden gold settles nothing."""
    ReviewRetraction.objects.create(review=review, at=now)
    Assignment.objects.filter(pk=review.assignment_id).update(state=AssignmentState.UNDONE)
    Draft.objects.update_or_create(
        item=item, reviewer=review.reviewer, defaults={"payload": _as_draft(review), "saved_at": now}
    )
    return lease_again(item, item.queue, review.reviewer, now)


def _stays_escalated(item: Item) -> bool:
    """Whether the item stays escalated after an undo: someone escalated it, or a lead holds it."""
    escalated_or_held = item.assignments.filter(state__in=[AssignmentState.ESCALATED, AssignmentState.ACTIVE])
    return item.status == ItemStatus.ESCALATED and escalated_or_held.exists()


def _undoable(reviewer: User) -> list[Review]:
    """The person's newest standing reviews, at most ten, newest first."""
    return list(
        Review.objects.filter(reviewer=reviewer, retraction__isnull=True)
        .select_related("assignment")
        .order_by("-id")[:UNDO_DEPTH]
    )


def _as_draft(review: Review) -> dict[str, object]:
    return {**{name: getattr(review, name) for name in COLUMNS}, "upholds": review.upholds_id}
