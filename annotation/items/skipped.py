"""Waiting items that everybody who may review them has skipped, and what leads do with them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_noop

from annotation.database import clock
from annotation.errors import ServiceError
from annotation.models import Assignment, Event, Item, ReviewQueue, User
from annotation.review.assign import lease_again
from annotation.review.lease_insert import take_slot
from annotation.status import REOPENABLE, AssignmentState, EventKind, ItemStatus, Lane, Role

# newest waiting items with a skip that are looked at
MOST = 1_000
SKIPPED_BY_ALL = gettext_noop("everybody has skipped it")


class SkippedItemGone(ServiceError):
    """Somebody else has this item now, or it no longer waits for a review."""


class JudgedAlready(ServiceError):
    """You have judged this item yourself, so somebody else must: escalate it."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who may work on which queue: reviewers, or leads where a queue has no reviewer."""

    reviewers: Mapping[int, frozenset[str]]  # id: the category codes that the person opted out of
    leads: Mapping[int, frozenset[str]]
    members: Mapping[int, Collection[int]]  # queue id: the people of its groups; absent where it is for everybody

    @classmethod
    def now(cls) -> "Workers":
        people: dict[bool, dict[int, frozenset[str]]] = {True: {}, False: {}}
        for pk, role, opted_out in User.objects.filter(is_active=True).values_list("pk", "role", "opted_out"):
            people[role == Role.REVIEWER][pk] = frozenset(opted_out)
        members = defaultdict[int, set[int]](set)
        rows = ReviewQueue.objects.filter(everybody=False).values_list("pk", "groups__members")
        for queue, member in rows:
            members[queue].update(() if member is None else (member,))
        return cls(people[True], people[False], dict(members))

    def left(self, queue: int, categories: Collection[str], seen: Collection[int]) -> bool:
        """Whether the queue still has somebody for such an item who is not among `seen`."""
        of_queue = self.members.get(queue)
        mine = {pk: out for pk, out in self.reviewers.items() if of_queue is None or pk in of_queue} or self.leads
        return any(pk not in seen and out.isdisjoint(categories) for pk, out in mine.items())


def skipped_by_all() -> list[tuple[int, int]]:
    """(item id, queue id) of the items that nobody is left to review, newest first. Four queries."""
    waiting = Item.objects.filter(status=ItemStatus.READY, skipped_at__isnull=False, free_slots__gt=0).order_by("-pk")
    rows = list(waiting.values_list("pk", "queue_id", "round", "lane", "prediction__categories")[:MOST])
    if not rows:
        return []
    served = defaultdict[int, list[tuple[int, int, str]]](list)
    assignments = Assignment.objects.filter(item__in=[row[0] for row in rows]).exclude(state__in=REOPENABLE)
    for item, reviewer, number, state in assignments.values_list("item_id", "reviewer_id", "round", "state"):
        served[item].append((reviewer, number, state))
    workers = Workers.now()
    found = []
    for pk, queue, number, lane, categories in rows:
        mine = [row for row in served[pk] if row[1] == number or lane == Lane.APPEAL]
        states = {state for _, _, state in mine}
        if AssignmentState.SKIPPED not in states or AssignmentState.ACTIVE in states:
            continue
        if not workers.left(queue, categories or (), {reviewer for reviewer, _, _ in mine}):
            found.append((pk, queue))
    return found


def skipped_by_queue() -> Counter[int]:
    """How many items of each queue everybody has skipped, by queue id."""
    return Counter(queue for _, queue in skipped_by_all())


def take_skipped(*, lead: User, item_id: int) -> ReviewQueue:
    """Assign a waiting item to the lead, also one that they have skipped. Returns its queue.

    Raises SkippedItemGone, JudgedAlready.
    """
    now = clock.now()
    with transaction.atomic():
        item = Item.objects.select_for_update(of=("self",)).select_related("queue", "prediction").get(pk=item_id)
        own = Assignment.objects.filter(item=item, reviewer=lead, round=item.round).exclude(state__in=REOPENABLE)
        if own.filter(state=AssignmentState.ACTIVE, expires_at__gt=now).exists():
            return item.queue
        if own.filter(state=AssignmentState.SUBMITTED).exists():
            raise JudgedAlready
        own.filter(state=AssignmentState.SKIPPED).update(state=AssignmentState.UNDONE)
        if item.status != ItemStatus.READY or own.exists() or take_slot(item) != 1:
            raise SkippedItemGone
        lease_again(item, item.queue, lead, now)
        return item.queue


def escalate_items(*, item_ids: Sequence[int], by: User) -> int:
    """Escalate waiting items that nobody holds. Any lead may settle them, also one who skipped them.

    Returns how many were escalated.
    """
    now = clock.now()
    with transaction.atomic():
        waiting = Item.objects.select_for_update(of=("self",)).filter(pk__in=item_ids, status=ItemStatus.READY)
        held = set(
            Assignment.objects.filter(item__in=item_ids, state=AssignmentState.ACTIVE).values_list("item_id", flat=True)
        )
        items = [item for item in waiting.only("pk", "skipped_at") if item.pk not in held]
        chosen = [item.pk for item in items]
        Item.objects.filter(pk__in=chosen).update(status=ItemStatus.ESCALATED, free_slots=1)
        Assignment.objects.filter(item__in=chosen, state=AssignmentState.SKIPPED).exclude(
            reviewer__role=Role.REVIEWER
        ).update(state=AssignmentState.UNDONE)
        Event.objects.bulk_create(
            Event(
                kind=EventKind.ESCALATED,
                item=item,
                actor=by,
                at=now,
                detail={"reason": SKIPPED_BY_ALL} if item.skipped_at else {},
            )
            for item in items
        )
    return len(items)
