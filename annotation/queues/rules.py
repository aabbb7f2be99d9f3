"""Routing rules: they pick an item's queue after its prediction. The first rule that matches wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from annotation.models import Event, Item, Prediction, ReviewQueue, RoutingRule, User
from annotation.queues.conditions import Conditions
from annotation.queues.priority import route_item
from annotation.status import TOO_LONG, AssignmentState, EventKind, ItemStatus, Lane

PREVIEWED = 5_000  # number of newest predicted items covered by a preview
EXAMPLES = 20
CHUNK = 500
PREDICTED = (ItemStatus.READY, ItemStatus.REVIEWED, ItemStatus.ESCALATED)


@dataclass(frozen=True, slots=True)
class Rule:
    """A routing rule, parsed once for many items."""

    row: RoutingRule
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Preview:
    """The newest predicted items that the conditions would have matched."""

    previewed: int
    caught: int
    examples: Sequence[Item]


def enabled_rules() -> list[Rule]:
    rows = RoutingRule.objects.filter(enabled=True).select_related("queue").order_by("position", "id")
    return [Rule(row, Conditions.of(row.conditions)) for row in rows]


def place(*, item: Item, prediction: Prediction | None, version: str, rules: Sequence[Rule]) -> bool:
    """Set queue, lane, priority, severity and free slots of an item without reviews; the caller saves.

    No prediction: the item is too long for the guard; no condition on a judgement catches it.

    Returns True if the queue changed.
    """
    before = item.queue_id
    item.severity = route_item(item=item, prediction=prediction).severity
    rule = next((rule.row for rule in rules if rule.conditions.catch(item, prediction, version)), None)
    if rule is not None and rule.queue_id != before:
        item.queue, item.free_slots = rule.queue, rule.queue.reviews_per_item
    route = route_item(item=item, prediction=prediction)
    item.lane, item.priority = Lane(rule.lane) if rule is not None and rule.lane else route.lane, route.priority
    return item.queue_id != before


def preview(conditions: Conditions) -> Preview:
    """Preview conditions on the newest PREVIEWED items only, so that it is fast however many there are."""
    newest = Item.objects.filter(status__in=PREDICTED, prediction__isnull=False).order_by("-id")
    last = newest.values_list("id", flat=True)[PREVIEWED - 1 : PREVIEWED].first()
    window = newest.filter(pk__gte=last) if last else newest
    caught = window.annotate(**conditions.annotations()).filter(conditions.as_query())
    return Preview(window.count(), caught.count(), list(caught.select_related("prediction", "queue")[:EXAMPLES]))


def save_rule(*, rule: RoutingRule, by: User) -> RoutingRule:
    """Store a new or changed rule at its position. Raises ConditionNotValid."""
    rule.conditions = Conditions.of(rule.conditions).as_json()
    if rule._state.adding:
        rule.created_by = by
        newest = RoutingRule.objects.order_by("-position").values_list("position", flat=True).first()
        rule.position = 1 if newest is None else newest + 1
    rule.save()
    return rule


def move_rule(*, rule: RoutingRule, up: bool) -> None:
    """Move a rule one position up or down; at either end nothing changes."""
    with transaction.atomic():
        rows = list(RoutingRule.objects.select_for_update().order_by("position", "id"))
        at = next(index for index, row in enumerate(rows) if row.pk == rule.pk)
        to = at - 1 if up else at + 1
        if 0 <= to < len(rows):
            rows[at], rows[to] = rows[to], rows[at]
        for number, row in enumerate(rows, start=1):
            RoutingRule.objects.filter(pk=row.pk).update(position=number)


def route_again(queue: ReviewQueue) -> None:
    """Request new routing for a queue's waiting items, after its order or the rules changed.

    `reroute_some` does the work; the caller rings.
    """
    ReviewQueue.objects.filter(pk=queue.pk).update(rerouted_to=0)


def reroute_some(*, limit: int = CHUNK) -> int:
    """Route the next waiting items of a queue marked by `route_again`. Returns 0 if nothing is left.

    The mark advances with the items, so the work resumes there after a worker is killed. An item that someone holds or
    has reviewed in this round is not moved.
    """
    queue = ReviewQueue.objects.filter(rerouted_to__isnull=False).order_by("pk").first()
    if queue is None:
        return 0
    with transaction.atomic():
        waiting = Item.objects.filter(
            Q(prediction__isnull=False) | Q(error_code=TOO_LONG),
            queue=queue,
            status=ItemStatus.READY,
            pk__gt=queue.rerouted_to,
        )
        items = list(waiting.select_related("queue", "author", "prediction__version").order_by("id")[:limit])
        _place_free(items, enabled_rules())
        mark: dict[str, Any] = {"rerouted_to": items[-1].pk if len(items) == limit else None}
        ReviewQueue.objects.filter(pk=queue.pk, rerouted_to=queue.rerouted_to).update(**mark)
    return len(items) or 1


def route_reported(item_ids: Sequence[int]) -> None:
    """Route waiting items whose number of reports has changed, if a rule asks for it.

    Runs in the caller's transaction, which holds the locks on the items.
    """
    rules = enabled_rules()
    if not any(rule.conditions.reports_from is not None for rule in rules):
        return
    waiting = Item.objects.filter(pk__in=item_ids, status=ItemStatus.READY)
    _place_free(list(waiting.select_related("queue", "author", "prediction__version").order_by("id")), rules)


def _place_free(items: Sequence[Item], rules: Sequence[Rule]) -> None:
    """Place the items that nobody holds or has reviewed, and save them."""
    busy = _busy(items)
    free = [item for item in items if item.pk not in busy]
    before = {item.pk: item.queue.slug for item in free}
    moved = [
        item for item in free if place(item=item, prediction=item.prediction, version=_version_of(item), rules=rules)
    ]
    Item.objects.bulk_update(free, ["queue", "lane", "priority", "severity", "free_slots"])
    Event.objects.bulk_create(
        [
            Event(kind=EventKind.REROUTED, item=item, detail={"from": before[item.pk], "to": item.queue.slug})
            for item in moved
        ]
    )


def _busy(items: Sequence[Item]) -> set[int]:
    held = Q(assignments__state__in=[AssignmentState.ACTIVE, AssignmentState.SUBMITTED])
    return set(Item.objects.filter(held, pk__in=[item.pk for item in items]).values_list("pk", flat=True))


def _version_of(item: Item) -> str:
    return item.prediction.version.name if item.prediction is not None else ""
