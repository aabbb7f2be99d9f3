"""Assignment: which item a person gets next, and in which mode."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.database import clock
from annotation.database.kept_statements import Select
from annotation.errors import ItemTaken, ItemWithdrawn
from annotation.models import Assignment, HiddenGold, Item, Review, ReviewQueue, User
from annotation.queues.access import QueueNotYours, queue_of
from annotation.queues.conditions import Conditions
from annotation.review.exposure import SEVERE, cools_down, for_person, over_limits
from annotation.review.hidden_gold import draw_hidden_gold
from annotation.review.lease_insert import first_for_lease, lease_first, store_lease, take_first
from annotation.review.leases import WHOLE_BY_ID, assignment_by_token, open_assignment, release_expired
from annotation.status import REOPENABLE, AssignmentState, ItemStatus, Lane, ReviewMode
from guardapp.guard.draws import sticky_draw


def assign_next(*, reviewer: User, queue: ReviewQueue) -> Assignment | None:
    """The assignment to show now: one already held, else one leased ahead, else the queue's next item.

    Returns None if the queue is empty. An item never goes to more people than the queue's reviews_per_item (enforced by
    the database), and never twice to the same person.
    """
    now = clock.now()
    with transaction.atomic():
        stands = _how_it_stands(reviewer, queue, now)
        if stands.held is not None:
            held = WHOLE_BY_ID.rows(assignment=stands.held)[0]
            return held if held.opened_at else open_assignment(held, now)
        if stands.expired:
            release_expired(now=now, queue=queue)
        return _lease_next(queue, reviewer, now, opened=True, cool_down=stands.cool_down)


def lease_ahead(*, reviewer: User, queue: ReviewQueue) -> Assignment | None:
    """Lease the next item early, so that its page and media can be prefetched.

    At most one per person and queue.
    """
    now = clock.now()
    with transaction.atomic():
        ahead = _active(reviewer, queue, now).filter(opened_at__isnull=True).first()
        if ahead is not None:
            return ahead
        return _lease_next(queue, reviewer, now, opened=False, cool_down=cools_down(reviewer))


def assign_escalated(*, lead: User, item: Item | None = None) -> Assignment | None:
    """Assign the oldest escalated item that this lead has not judged, or the given one.

    Returns None if there is none or the lead may not take it.
    """
    now = clock.now()
    with transaction.atomic():
        release_expired(now=now)
        escalated = (
            Item.objects.filter(status=ItemStatus.ESCALATED, free_slots__gt=0).exclude(_seen_by(lead.pk)).order_by("id")
        )
        taken = take_first(escalated if item is None else escalated.filter(pk=item.pk))
        return None if taken is None else _lease(taken, taken.queue, lead, now, mode=ReviewMode.OPEN)


def take_again(*, reviewer: User, token: uuid.UUID) -> Assignment:
    """Lease the item of an expired assignment again, if nobody else has taken it.

    Raises ItemTaken, ItemWithdrawn, AssignmentNotFound, QueueNotYours.
    """
    now = clock.now()
    open_to_them = [ItemStatus.READY, ItemStatus.ESCALATED] if reviewer.is_lead else [ItemStatus.READY]
    with transaction.atomic():
        old = assignment_by_token(reviewer, token)
        if old.item.status == ItemStatus.WITHDRAWN:
            raise ItemWithdrawn
        if old.state == AssignmentState.ACTIVE and old.expires_at > now:
            return old
        held = Assignment.objects.filter(
            item=old.item_id, reviewer=reviewer, state=AssignmentState.ACTIVE, expires_at__gt=now
        )
        # already taken again by an earlier request or in another tab
        for again in held.select_related("item", "item__prediction", "queue"):
            return again
        if queue_of(reviewer, old.queue.slug) is None:
            raise QueueNotYours
        release_expired(now=now, queue=old.queue)
        if old.hidden_gold is not None:
            return _lease(old.item, old.queue, reviewer, now, mode=old.review_mode, hidden_gold=old.hidden_gold)
        item = take_first(
            Item.objects.filter(pk=old.item_id, status__in=open_to_them, free_slots__gt=0).exclude(
                _seen_by(reviewer.pk)
            )
        )
        if item is None:
            raise ItemTaken
        return _lease(item, old.queue, reviewer, now, mode=old.review_mode)


def lease_again(item: Item, queue: ReviewQueue, reviewer: User, now: datetime) -> Assignment:
    """Lease an item for undo, in the mode of the undone review. The caller must not have given the slot back."""
    earlier = (
        Assignment.objects.filter(item=item, reviewer=reviewer, state=AssignmentState.UNDONE).order_by("-id").first()
    )
    return _lease(
        item,
        queue,
        reviewer,
        now,
        mode=ReviewMode(earlier.mode) if earlier and earlier.mode else None,
        hidden_gold=earlier.hidden_gold if earlier else None,
    )


def drawn_mode(item: Item, queue: ReviewQueue, reviewer: User) -> ReviewMode:
    """The queue's mode, or blind.

    Blind applies to a sticky random share, and to all but the first reviewer if the queue is configured so.
    """
    if sticky_draw("blind", item.pk, item.round, reviewer.pk) < queue.blind_share:
        return ReviewMode.BLIND
    reviewed = (
        queue.second_reviews_blind
        and queue.reviews_per_item > 1
        and Review.objects.filter(item=item, assignment__round=item.round, retraction__isnull=True)
        .exclude(reviewer=reviewer)
        .exists()
    )
    return ReviewMode.BLIND if reviewed else ReviewMode(queue.mode)


@dataclass(frozen=True, slots=True)
class _Standing:
    """The state needed before a lease, read in one round trip because every next item waits for it."""

    held: int | None  # primary key of the lease to show again
    expired: bool  # whether a lease of the queue has expired
    cool_down: bool


# Opened leases come before those leased ahead, newest first: after an undo, the person wants that review.
_STANDING = """
SELECT (SELECT id FROM annotation_assignment WHERE reviewer_id = %s AND queue_id = %s
        AND state = 'active' AND expires_at > %s
        ORDER BY opened_at DESC NULLS LAST, id DESC LIMIT 1),
    EXISTS (SELECT 1 FROM annotation_assignment WHERE queue_id = %s AND state = 'active' AND expires_at <= %s),
    coalesce(sum(seconds), 0), coalesce(sum(CASE WHEN severity >= %s THEN 1 ELSE 0 END), 0)
FROM annotation_exposure WHERE reviewer_id = %s AND day = %s"""


def _how_it_stands(reviewer: User, queue: ReviewQueue, now: datetime) -> _Standing:
    at, day = connection.ops.adapt_datetimefield_value(now), connection.ops.adapt_datefield_value(now.date())
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, [reviewer.pk, queue.pk, at, queue.pk, at, SEVERE, reviewer.pk, day])
        held, expired, unblurred_s, severe = cursor.fetchone()
    return _Standing(held, bool(expired), over_limits(reviewer, unblurred_s=unblurred_s, severe=severe))


def _active(reviewer: User, queue: ReviewQueue, now: datetime) -> QuerySet[Assignment]:
    held = Assignment.objects.filter(reviewer=reviewer, queue=queue, state=AssignmentState.ACTIVE, expires_at__gt=now)
    return held.select_related("item", "item__prediction", "queue")


def _lease_next(
    queue: ReviewQueue, reviewer: User, now: datetime, *, opened: bool, cool_down: bool
) -> Assignment | None:
    """Hidden gold for the queue's share of leases, else the next item that may go to this person."""
    if not queue.open:
        return None
    hidden_gold = draw_hidden_gold(queue=queue, reviewer=reviewer) if queue.known_share else None
    if hidden_gold is not None:
        return _lease(hidden_gold.item, queue, reviewer, now, opened=opened, hidden_gold=hidden_gold)
    waiting = _waiting(Conditions.of(queue.filters), tuple(reviewer.opted_out), cool_down)
    lease = lease_first(
        waiting,
        queue=queue.pk,
        reviewer=reviewer.pk,
        lease=Assignment(
            queue=queue,
            reviewer=reviewer,
            created_at=now,
            expires_at=now + timedelta(minutes=queue.lease_minutes),
            mode=ReviewMode(queue.mode),
            opened_at=now if opened else None,
        ),
    )
    if lease is not None and (mode := drawn_mode(lease.item, queue, reviewer)) != lease.mode:
        lease.mode = mode
        lease.save(update_fields=["mode"])
    return lease


@lru_cache(maxsize=256)
def _waiting(conditions: Conditions, opted_out: tuple[str, ...], cool_down: bool) -> Select[Item]:
    """The compiled query for the first item that a queue with these filters serves to such a person."""

    def build(queue: int, reviewer: int) -> QuerySet[Item]:
        waiting = Item.objects.filter(queue=queue, status=ItemStatus.READY, free_slots__gt=0)
        served = waiting.annotate(**conditions.annotations()).filter(conditions.as_query()).exclude(_seen_by(reviewer))
        return first_for_lease(for_person(served, opted_out=opted_out, cool_down=cool_down).order_by("-priority", "id"))

    return Select(build)


def _seen_by(reviewer: int) -> Exists:
    # EXISTS uses the index on (item, reviewer) per candidate; NOT IN would read the person's whole history each time.
    # Only this round counts, except in an appeal, which goes to nobody who has judged the item before.
    seen = Assignment.objects.filter(
        Q(round=OuterRef("round")) | Q(item__lane=Lane.APPEAL), item=OuterRef("pk"), reviewer=reviewer
    )
    return Exists(seen.exclude(state__in=REOPENABLE))


def _lease(
    item: Item,
    queue: ReviewQueue,
    reviewer: User,
    now: datetime,
    *,
    mode: ReviewMode | None = None,
    opened: bool = True,
    hidden_gold: HiddenGold | None = None,
) -> Assignment:
    return store_lease(
        Assignment(
            item=item,
            queue=queue,
            reviewer=reviewer,
            created_at=now,
            expires_at=now + timedelta(minutes=queue.lease_minutes),
            round=item.round,
            mode=mode or drawn_mode(item, queue, reviewer),
            opened_at=now if opened else None,
            hidden_gold=hidden_gold,
            takes_slot=hidden_gold is None,
        )
    )
