"""Who may work on a queue, and so see its items; saving queues.

Every page and endpoint that shows items asks here. Leads see all. Others see the items of queues that are for everybody
or for one of their groups, and what they hold at the moment.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import F, Q, QuerySet

from annotation.database import clock
from annotation.database.kept_statements import Select
from annotation.errors import ServiceError
from annotation.models import Assignment, Item, ReviewerGroup, ReviewQueue, User
from annotation.queues.conditions import Conditions
from annotation.queues.rules import route_again
from annotation.status import AssignmentState, ItemStatus

NOT_SETTLED = (ItemStatus.PENDING, ItemStatus.PREDICTING, ItemStatus.READY)


class ReviewsBegun(ServiceError):
    """Items of this queue have been reviewed by some of their people. Finish those before you ask for fewer reviews an
    item.
    """


class QueueNotYours(ServiceError):
    """This queue is for another group of reviewers."""


def queues_of(user: User) -> QuerySet[ReviewQueue]:
    """The queues that the user may work on, by name; for leads, all queues."""
    queues = ReviewQueue.objects.order_by("name")
    return queues if user.is_lead else queues.filter(_open_to(user.pk)).distinct()


def queue_of(user: User, slug: str) -> ReviewQueue | None:
    """The queue of `queues_of` with this slug, or None."""
    return _BY_SLUG.first(slug=slug) if user.is_lead else _BY_SLUG_FOR.first(slug=slug, user=user.pk)


def _open_to(user: int) -> Q:
    return Q(everybody=True) | Q(groups__in=ReviewerGroup.objects.filter(members=user))


def visible_items(user: User, items: QuerySet[Item]) -> QuerySet[Item]:
    """Those of `items` that the user may see, for lists. Nothing is added to the query if all queues are theirs."""
    if user.is_lead:
        return items
    theirs = set(queues_of(user).values_list("pk", flat=True))
    others = set(ReviewQueue.objects.values_list("pk", flat=True)) - theirs
    return items.filter(queue__in=sorted(theirs)) if others else items


def may_see_items(user: User, items: Iterable[Item]) -> set[int]:
    """The ids of those items that the user may see; `queue_id` must be loaded."""
    found = {item.pk: item.queue_id for item in items}
    if user.is_lead or not found:
        return set(found)
    theirs = set(queues_of(user).filter(pk__in=set(found.values())).values_list("pk", flat=True))
    seen = {pk for pk, queue in found.items() if queue in theirs}
    return seen | set(held_by(user).filter(item__in=found.keys() - seen).values_list("item", flat=True))


def may_see_item(user: User, item: Item) -> bool:
    return item.pk in may_see_items(user, [item])


def held_by(user: User) -> QuerySet[Assignment]:
    """The leases that the user has at the moment."""
    return Assignment.objects.filter(reviewer=user, state=AssignmentState.ACTIVE, expires_at__gt=clock.now())


_BY_SLUG = Select(lambda slug: ReviewQueue.objects.filter(slug=slug))
_BY_SLUG_FOR = Select(lambda slug, user: ReviewQueue.objects.filter(_open_to(user), slug=slug).distinct())


def save_queue(*, queue: ReviewQueue) -> bool:
    """Store a new or changed queue. Raises ConditionNotValid, ReviewsBegun.

    Returns True if its waiting items must be routed again; the caller then rings.
    """
    queue.filters = Conditions.of(queue.filters).as_json()
    with transaction.atomic():
        before = None if queue._state.adding else ReviewQueue.objects.select_for_update().get(pk=queue.pk)
        queue.save()
        if before is None:
            return False
        more = queue.reviews_per_item - before.reviews_per_item
        if more:
            waiting = Item.objects.filter(queue=queue, status__in=NOT_SETTLED)
            if more < 0 and waiting.filter(free_slots__lt=before.reviews_per_item).exists():
                raise ReviewsBegun
            waiting.update(free_slots=F("free_slots") + more)
        if (queue.order, queue.audit_share) != (before.order, before.audit_share):
            route_again(queue)
            return True
        return False
