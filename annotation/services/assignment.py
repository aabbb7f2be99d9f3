"""Leases: who holds which item, until when."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from annotation.models import Assignment, Event, Item, ReviewQueue, User
from annotation.services.errors import AssignmentNotFound, ItemTaken, LeaseExpired
from annotation.status import REOPENABLE, AssignmentState, EventKind, ItemStatus


def assign_next(*, reviewer: User, queue: ReviewQueue) -> Assignment | None:
    """The item that this person should see now: the one they hold already, else the queue's next. None: the queue is empty.

    Never an item to more people than the queue's reviews_per_item (the database refuses), never twice to one person.
    """
    now = timezone.now()
    with transaction.atomic():
        held = _held(reviewer, queue, now)
        if held is not None:
            return held
        release_expired(now=now, queue=queue)
        item = _take(_waiting(queue).exclude(_seen_by(reviewer)).order_by("-priority", "id"))
        return None if item is None else _lease(item, queue, reviewer, now)


def assign_escalated(*, lead: User) -> Assignment | None:
    """The oldest escalated item that this lead has not decided on themselves. None: there is none."""
    now = timezone.now()
    with transaction.atomic():
        release_expired(now=now)
        escalated = Item.objects.filter(status=ItemStatus.ESCALATED, free_slots__gt=0).exclude(_seen_by(lead)).order_by("id")
        item = _take(escalated)
        return None if item is None else _lease(item, item.queue, lead, now)


def take_again(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """A new hold on the item of an expired one, if nobody else took it meanwhile. Raises ItemTaken, AssignmentNotFound."""
    now = timezone.now()
    open_to_them = [ItemStatus.READY, ItemStatus.ESCALATED] if reviewer.is_lead else [ItemStatus.READY]
    with transaction.atomic():
        old = _of(reviewer, token)
        if old.state == AssignmentState.ACTIVE and old.expires_at > now:
            return old
        held = Assignment.objects.filter(item=old.item_id, reviewer=reviewer, state=AssignmentState.ACTIVE, expires_at__gt=now)
        for again in held.select_related("item", "item__prediction", "queue"):  # asked twice, or in another tab
            return again
        release_expired(now=now, queue=old.queue)
        item = _take(Item.objects.filter(pk=old.item_id, status__in=open_to_them, free_slots__gt=0)
                     .exclude(_seen_by(reviewer)))
        if item is None:
            raise ItemTaken
        return _lease(item, old.queue, reviewer, now)


def extend_lease(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """The page's heartbeat. Raises LeaseExpired where the hold is gone."""
    now = timezone.now()
    assignment = _of(reviewer, token)
    expires_at = now + timedelta(minutes=assignment.queue.lease_minutes)
    alive = Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.ACTIVE, expires_at__gt=now)
    if alive.update(expires_at=expires_at) != 1:
        raise LeaseExpired
    assignment.expires_at = expires_at
    return assignment


def release_expired(*, now: datetime | None = None, queue: ReviewQueue | None = None) -> int:
    """End the leases that have run out and give their slots back. Returns how many."""
    now = now or timezone.now()
    with transaction.atomic():
        expired = Assignment.objects.filter(state=AssignmentState.ACTIVE, expires_at__lte=now)
        if queue is not None:
            expired = expired.filter(queue=queue)
        released = 0
        for assignment in expired[:500]:
            if end(assignment, AssignmentState.EXPIRED, now) and give_back_slot(assignment.item_id):
                released += 1
                Event.objects.create(kind=EventKind.RELEASED, item_id=assignment.item_id, actor_id=assignment.reviewer_id)
        return released


def end(assignment: Assignment, state: AssignmentState, now: datetime, reason: str = "") -> bool:
    """Move an active assignment to its end, once. False: somebody did already."""
    active = Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.ACTIVE)
    return active.update(state=state, ended_at=now, reason=reason) == 1


def give_back_slot(item_id: int) -> bool:
    return Item.objects.filter(pk=item_id).update(free_slots=F("free_slots") + 1) == 1


def active_assignment(reviewer: User, token: uuid.UUID, now: datetime) -> Assignment:
    """The live assignment with its item, queue and prediction; it and the item are locked where the database can. Raises LeaseExpired."""
    assignment = _of(reviewer, token, lock=True)
    if assignment.state != AssignmentState.ACTIVE or assignment.expires_at <= now:
        raise LeaseExpired
    return assignment


def lease_again(item: Item, queue: ReviewQueue, reviewer: User, now: datetime) -> Assignment:
    """A hold on an item whose slot the caller has not given back (undo)."""
    return _lease(item, queue, reviewer, now)


def _of(reviewer: User, token: uuid.UUID, *, lock: bool = False) -> Assignment:
    assignments: QuerySet[Assignment] = Assignment.objects.select_related("queue", "item", "item__prediction")
    if lock:
        assignments = assignments.select_for_update(of=("self", "item"))
    try:
        assignment = assignments.get(token=token, reviewer=reviewer)
    except Assignment.DoesNotExist:
        raise AssignmentNotFound from None
    assignment.item.queue = assignment.queue
    return assignment


def _held(reviewer: User, queue: ReviewQueue, now: datetime) -> Assignment | None:
    # the newest first: an undone review is what the person wants to see now
    held: Iterable[Assignment] = (
        Assignment.objects.filter(reviewer=reviewer, queue=queue, state=AssignmentState.ACTIVE, expires_at__gt=now)
        .select_related("item", "item__prediction", "queue").order_by("-id")[:1]
    )
    return next(iter(held), None)


def _waiting(queue: ReviewQueue) -> QuerySet[Item]:
    return Item.objects.filter(queue=queue, status=ItemStatus.READY, free_slots__gt=0)


def _seen_by(reviewer: User) -> Exists:
    # asked of each candidate by the index of (item, reviewer): NOT IN would read the person's whole history each time
    return Exists(Assignment.objects.filter(item=OuterRef("pk"), reviewer=reviewer).exclude(state__in=REOPENABLE))


def _take(items: QuerySet[Item]) -> Item | None:
    """Take one slot of the first of `items`. On PostgreSQL concurrent callers skip what another one is taking."""
    if connection.features.has_select_for_update_skip_locked:
        items = items.select_for_update(skip_locked=True, of=("self",))
    item = next(iter(items.select_related("prediction", "queue")[:1]), None)
    if item is None:
        return None
    if Item.objects.filter(pk=item.pk, free_slots__gt=0).update(free_slots=F("free_slots") - 1) != 1:
        return None
    return item


def _lease(item: Item, queue: ReviewQueue, reviewer: User, now: datetime) -> Assignment:
    assignment = Assignment.objects.create(item=item, queue=queue, reviewer=reviewer, created_at=now,
                                           expires_at=now + timedelta(minutes=queue.lease_minutes))
    Event.objects.create(kind=EventKind.ASSIGNED, item=item, actor=reviewer, at=now)
    return assignment
