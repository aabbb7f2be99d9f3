"""Leases and presence: who holds which item and until when, and who has it on screen."""

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.database import clock
from annotation.database.kept_statements import Select, Update, insert
from annotation.errors import AssignmentNotFound, ItemWithdrawn, LeaseExpired
from annotation.models import Assignment, Event, Item, Presence, ReviewQueue, User
from annotation.status import AssignmentState, EventKind, ItemStatus

# pages report every 20 seconds
GONE_AFTER = timedelta(seconds=60)


def open_ahead(*, reviewer: User, token: uuid.UUID) -> bool:
    """Start the clock of an item leased ahead when the page shows it. Returns False if the lease has expired."""
    now = clock.now()
    with transaction.atomic():
        try:
            assignment = active_assignment(reviewer, token, now)
        except (LeaseExpired, AssignmentNotFound):
            return False
        if assignment.opened_at is None:
            open_assignment(assignment, now)
        return True


def extend_lease(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """Extend the lease on the page's heartbeat. Raises LeaseExpired, ItemWithdrawn."""
    now = clock.now()
    assignment = assignment_by_token(reviewer, token)
    expires_at = now + timedelta(minutes=assignment.queue.lease_minutes)
    alive = Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.ACTIVE, expires_at__gt=now)
    if alive.update(expires_at=expires_at) != 1:
        raise gone(assignment)
    assignment.expires_at = expires_at
    return assignment


def release_expired(*, now: datetime | None = None, queue: ReviewQueue | None = None) -> int:
    """End expired leases, at most 500, and give their slots back. Returns how many were released."""
    now = now or clock.now()
    with transaction.atomic():
        expired = Assignment.objects.filter(state=AssignmentState.ACTIVE, expires_at__lte=now)
        if queue is not None:
            expired = expired.filter(queue=queue)
        released = 0
        for assignment in expired[:500]:
            if end(assignment, AssignmentState.EXPIRED, now) and give_back_slot(assignment):
                released += 1
                insert(Event(kind=EventKind.RELEASED, item_id=assignment.item_id, actor_id=assignment.reviewer_id))
        return released


def end(assignment: Assignment, state: AssignmentState, now: datetime, reason: str = "") -> bool:
    """Move an active assignment to an end state. Returns False if it has already ended."""
    return _END.run(assignment=assignment.pk, state=state.value, now=now, reason=reason) == 1


_END = Update(
    lambda assignment, state, now, reason: (
        Assignment.objects.filter(pk=assignment, state=AssignmentState.ACTIVE),
        {"state": state, "ended_at": now, "reason": reason},
    )
)


def give_back_slot(assignment: Assignment, *, skipped_at: datetime | None = None) -> bool:
    """Give the slot back. `skipped_at`: the time at which the person skipped the item."""
    if not assignment.takes_slot:
        return True
    skipped = {} if skipped_at is None else {"skipped_at": skipped_at}
    return Item.objects.filter(pk=assignment.item_id).update(free_slots=F("free_slots") + 1, **skipped) == 1


def active_assignment(reviewer: User, token: uuid.UUID, now: datetime) -> Assignment:
    """The live assignment with its item, queue and prediction. Raises LeaseExpired, ItemWithdrawn, AssignmentNotFound.

    The rows of the assignment and the item are locked if the database supports it.
    """
    assignment = assignment_by_token(reviewer, token, lock=True)
    if assignment.state != AssignmentState.ACTIVE or assignment.expires_at <= now:
        raise gone(assignment)
    return assignment


def gone(assignment: Assignment) -> LeaseExpired:
    """Why the lease is held no more. A withdrawn item ends every lease on it."""
    withdrawn = assignment.item.status == ItemStatus.WITHDRAWN and assignment.state == AssignmentState.EXPIRED
    return ItemWithdrawn() if withdrawn else LeaseExpired()


def assignment_by_token(reviewer: User, token: uuid.UUID, *, lock: bool = False) -> Assignment:
    assignment = (_BY_TOKEN_LOCKED if lock else _BY_TOKEN).first(token=token, reviewer=reviewer.pk)
    if assignment is None:
        raise AssignmentNotFound
    assignment.item.queue = assignment.queue
    return assignment


_WHOLE = Assignment.objects.select_related("queue", "item__prediction__version")
WHOLE_BY_ID = Select(lambda assignment: _WHOLE.filter(pk=assignment))
_BY_TOKEN = Select(lambda token, reviewer: _WHOLE.filter(token=token, reviewer=reviewer))
_BY_TOKEN_LOCKED = Select(
    lambda token, reviewer: _WHOLE.filter(token=token, reviewer=reviewer).select_for_update(of=("self", "item"))
)


def open_assignment(assignment: Assignment, now: datetime) -> Assignment:
    """Start the clock of an assignment that was leased ahead."""
    assignment.opened_at, assignment.expires_at = now, now + timedelta(minutes=assignment.queue.lease_minutes)
    assignment.save(update_fields=["opened_at", "expires_at"])
    return assignment


def add_active(assignment: Assignment, seconds: float) -> None:
    """Add active seconds that the page reports; nothing once the assignment has ended."""
    if not 0 <= seconds < float("inf"):
        return
    held = Assignment.objects.filter(pk=assignment.pk, state=AssignmentState.ACTIVE)
    held.update(active_seconds=Coalesce(F("active_seconds"), 0.0) + seconds)
    assignment.active_seconds = (assignment.active_seconds or 0.0) + seconds


def lead_time(assignment: Assignment, now: datetime) -> float:
    """Seconds from sight to `now`: the active ones, if a page reported them, but no more than have passed."""
    passed = max(0.0, (now - (assignment.opened_at or assignment.created_at)).total_seconds())
    return passed if assignment.active_seconds is None else min(assignment.active_seconds, passed)


def seen(*, user: User, item: Item) -> None:
    """Record that the person has the item on screen."""
    Presence.objects.update_or_create(user=user, item=item, defaults={"seen_at": timezone.now()})


def others_at(*, user: User, item: Item) -> list[User]:
    """The other people who have the item on screen, sorted by username."""
    here = Presence.objects.filter(item=item, seen_at__gt=timezone.now() - GONE_AFTER).exclude(user=user)
    return [presence.user for presence in here.select_related("user").order_by("user__username")]


def forget_the_gone() -> int:
    """Delete outdated presence rows. Returns how many."""
    return Presence.objects.filter(seen_at__lt=timezone.now() - GONE_AFTER).delete()[0]
