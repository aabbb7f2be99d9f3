"""Reading lists for the pages: queues, items, a person's last reviews."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Sum
from django.db.models.functions import Left

from annotation.database import clock
from annotation.models import ApiKey, Assignment, Item, Policy, PolicyVersion, QueueTally, Review, ReviewQueue, User
from annotation.database.lists import long_texts
from annotation.items.search import ItemSearch
from annotation.queues.overdue import late_items
from annotation.queues.access import queues_of
from annotation.queues.counts import tally_is_enough
from annotation.status import AssignmentState, ItemStatus

PAGE_SIZE = 50
LAST_REVIEWS = 10
LEAD_LIST = 8
BEGINNING = 400  # characters of a prompt that a list shows at most


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """A queue and how many of its items stand where."""

    queue: ReviewQueue
    by_status: Mapping[str, int]
    late: int = 0  # waiting longer than the queue allows

    @property
    def ready(self) -> int:
        return self.by_status.get(ItemStatus.READY, 0)

    @property
    def coming(self) -> int:
        return self.by_status.get(ItemStatus.PENDING, 0) + self.by_status.get(ItemStatus.PREDICTING, 0)

    @property
    def reviewed(self) -> int:
        return self.by_status.get(ItemStatus.REVIEWED, 0)

    @property
    def escalated(self) -> int:
        return self.by_status.get(ItemStatus.ESCALATED, 0)

    @property
    def failed(self) -> int:
        return self.by_status.get(ItemStatus.PREDICTION_FAILED, 0)

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """One page of items, newest first. `older` and `newer` are the ids to go on from; None at an end. `reached`: the id where the looking
    stopped before the page was full; there may be more beyond."""

    items: Sequence[Item]
    older: int | None
    newer: int | None
    reached: int | None = None


def queues_with_counts(user: User) -> list[QueueCounts]:
    """The queues that the person may work on. Many items are not counted here but read from the tally that a worker renews."""
    counts: dict[int, dict[str, int]] = {}
    tallied = QueueTally.objects.values_list("queue_id", "status").annotate(n=Sum("items"))
    counted = Item.objects.order_by().values_list("queue_id", "status").annotate(n=Count("pk"))
    for queue_id, status, number in list(tallied) if tally_is_enough() else list(counted):
        counts.setdefault(queue_id, {})[status] = number
    late = late_by_queue()
    return [QueueCounts(queue, counts.get(queue.pk, {}), late.get(queue.pk, 0)) for queue in queues_of(user)]


def late_by_queue() -> dict[int, int]:
    """How many items have waited longer than their queue allows, by queue id; queues without such items are left out."""
    if tally_is_enough():
        return dict(QueueTally.objects.filter(late__gt=0).values_list("queue_id").annotate(n=Sum("late")))
    return dict(Item.objects.order_by().filter(late_items(clock.now())).values_list("queue_id").annotate(n=Count("pk")))


def last_reviews(reviewer: User) -> list[Review]:
    """The ten that can still be undone, newest first."""
    reviews = Review.objects.filter(reviewer=reviewer, retraction__isnull=True)
    rows = reviews.select_related("item", "assignment__queue").defer(*long_texts(review="", item="item"))
    return list(rows.order_by("-id")[:LAST_REVIEWS])


def escalated_items() -> list[tuple[Item, Assignment | None]]:
    """The newest items that wait for a lead, each with the escalation that sent it there; None: its reviews disagree."""
    items = list(Item.objects.filter(status=ItemStatus.ESCALATED).defer(*long_texts(item="")).order_by("-id")[:LEAD_LIST])
    escalations = Assignment.objects.filter(state=AssignmentState.ESCALATED, item__in=items).select_related("reviewer").order_by("id")
    newest = {escalation.item_id: escalation for escalation in escalations}
    return [(item, newest.get(item.pk)) for item in items]


def failed_items() -> list[Item]:
    return list(Item.objects.filter(status=ItemStatus.PREDICTION_FAILED).defer(*long_texts(item="")).order_by("-id")[:LEAD_LIST])


def held_escalated(lead: User, item: Item | None = None) -> Assignment | None:
    """The escalated item that this lead holds already; of the one given, the hold on it."""
    held = Assignment.objects.filter(reviewer=lead, state=AssignmentState.ACTIVE, expires_at__gt=clock.now(),
                                     item__status=ItemStatus.ESCALATED)
    if item is not None:
        held = held.filter(item=item)
    return held.select_related("item", "item__prediction", "queue").order_by("-id").first()


def assignment_of(reviewer: User, token: uuid.UUID) -> Assignment | None:
    """The reviewer's assignment in whatever state, with what the review page needs."""
    assignments = Assignment.objects.select_related("item", "item__prediction", "queue")
    try:
        found = assignments.get(token=token, reviewer=reviewer)
    except Assignment.DoesNotExist:
        return None
    found.reviewer = reviewer
    return found


def items_page(search: ItemSearch, *, before: int | None = None, after: int | None = None) -> ItemsPage:
    """Keyset paging on the id: the same speed on the last page as on the first. Of prompts an item has only its `beginning`."""
    items = search.items().select_related("queue", "prediction").annotate(beginning=Left("prompt", BEGINNING))
    items = items.defer("prompt", *long_texts(item="", prediction="prediction"))
    if after is not None:
        looked = search.oldest_first(items, after=after, limit=PAGE_SIZE + 1)
        more, rows = len(looked.rows) > PAGE_SIZE, looked.rows[:PAGE_SIZE][::-1]
        return ItemsPage(rows, rows[-1].pk if rows else after + 1, rows[0].pk if more else looked.reached, looked.reached)
    looked = search.newest_first(items, before=before, limit=PAGE_SIZE + 1)
    more, rows = len(looked.rows) > PAGE_SIZE, looked.rows[:PAGE_SIZE]
    newer = None if before is None else rows[0].pk if rows else before - 1
    return ItemsPage(rows, rows[-1].pk if more else looked.reached, newer, looked.reached)


def keys_of(user: User) -> list[ApiKey]:
    """A person's keys; a lead sees everybody's."""
    keys = ApiKey.objects.select_related("owner").order_by("revoked_at", "-id")
    return list(keys if user.is_lead else keys.filter(owner=user))


def policies_with_versions() -> list[tuple[Policy, list[PolicyVersion]]]:
    """Every policy with its versions, newest first."""
    policies = Policy.objects.prefetch_related("versions__categories").order_by("name")
    return [(policy, sorted(policy.versions.all(), key=lambda version: -version.number)) for policy in policies]
