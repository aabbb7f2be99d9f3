"""One verdict on many near-copies, previewed, applied and undone together.

Undo skips items whose gold is used by a snapshot.
"""

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_noop, override

from annotation.database import clock
from annotation.errors import DecisionNotValid, ServiceError
from annotation.models import Assignment, BulkDecision, Event, GoldLabel, Item, Review, ReviewRetraction, User
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.review.decision import Decision, check_decision, missing_demands, same_labels
from annotation.review.gold import settle, withdraw
from annotation.status import AppealState, AssignmentState, EventKind, GoldSource, ItemStatus, ReviewKind, ReviewMode
from guardapp.guard.taxonomy import Harmfulness

MOST = 500  # items per decision
# reasons for skipping an item, stored untranslated and translated on display
WAITS_NOT = {
    ItemStatus.PENDING: gettext_noop("it waits for the guard"),
    ItemStatus.PREDICTING: gettext_noop("the guard is reasoning about it"),
    ItemStatus.ESCALATED: gettext_noop("it is escalated to a lead"),
    ItemStatus.REVIEWED: gettext_noop("it is reviewed"),
    ItemStatus.PREDICTION_FAILED: gettext_noop("its prediction failed"),
    ItemStatus.WITHDRAWN: gettext_noop("its sender has withdrawn it"),
}


class BulkLeadsOnly(ServiceError):
    """Only a lead decides on many items at once."""


class TooManyItems(ServiceError):
    """At most 500 items can be decided at once."""


class BulkUndone(ServiceError):
    """This bulk decision is undone already."""


def decide_many(
    *,
    by: User,
    items: Sequence[Item],
    prompt_label: Harmfulness,
    response_label: Harmfulness | None = None,
    categories: tuple[str, ...] = (),
    note: str = "",
    severity: int | None = None,
    reason: str = "",
    like: Item | None = None,
    idempotency_key: str,
) -> BulkDecision:
    """Settle all waiting items that nobody holds; `skipped` has the reasons for the rest.

    Idempotent by `idempotency_key`. `severity` and `reason` go to each review.

    Raises BulkLeadsOnly, TooManyItems, DecisionNotValid.
    """
    if not by.is_lead:
        raise BulkLeadsOnly
    if len(items) > MOST:
        raise TooManyItems
    try:
        with transaction.atomic():
            bulk = BulkDecision.objects.create(
                made_by=by,
                idempotency_key=idempotency_key,
                prompt_label=prompt_label,
                like=like,
                response_label=response_label,
                categories=list(categories),
                note=note,
            )
            skipped = {}
            for item in (
                Item.objects.select_for_update(of=("self",))
                .select_related("queue")
                .filter(pk__in=[item.pk for item in items])
                .order_by("pk")
            ):
                why = _decide(bulk, item, severity, reason)
                if why:
                    skipped[str(item.pk)] = why
            bulk.skipped = skipped
            bulk.save(update_fields=["skipped"])
            Event.objects.create(
                kind=EventKind.BULK_DECIDED,
                actor=by,
                detail={"bulk": bulk.pk, "decided": bulk.reviews.count(), "skipped": len(skipped)},
            )
    except IntegrityError:
        earlier = BulkDecision.objects.filter(made_by=by, idempotency_key=idempotency_key).first()
        if earlier is None:
            raise
        return earlier
    return bulk


def undo_many(*, bulk: BulkDecision, by: User) -> dict[str, str]:
    """Undo the decision, except for items decided again or used by a snapshot.

    Returns {item id: reason} of the exceptions. Raises BulkUndone, BulkLeadsOnly.
    """
    if not by.is_lead:
        raise BulkLeadsOnly
    kept, now = {}, clock.now()
    with transaction.atomic():
        if BulkDecision.objects.filter(pk=bulk.pk, undone_at__isnull=True).update(undone_at=now) != 1:
            raise BulkUndone
        for review in bulk.reviews.filter(retraction__isnull=True).select_related("item__queue", "assignment"):
            item = Item.objects.select_for_update(of=("self",)).get(pk=review.item_id)
            if item.status == ItemStatus.WITHDRAWN:
                kept[str(item.pk)] = WAITS_NOT[ItemStatus.WITHDRAWN]
                continue
            gold = GoldLabel.objects.standing().filter(review=review).first()
            if gold is None or gold.used_at is not None:
                kept[str(review.item_id)] = (
                    gettext_noop("a snapshot has used it") if gold else gettext_noop("it was decided again")
                )
                continue
            withdraw(item=review.item, actor=by, now=now)
            ReviewRetraction.objects.create(review=review, at=now)
            Assignment.objects.filter(pk=review.assignment_id).update(state=AssignmentState.UNDONE)
            Item.objects.filter(pk=review.item_id).update(
                status=ItemStatus.READY, free_slots=review.item.queue.reviews_per_item
            )
        Event.objects.create(kind=EventKind.BULK_UNDONE, actor=by, at=now, detail={"bulk": bulk.pk, "kept": len(kept)})
    return kept


def _decide(bulk: BulkDecision, item: Item, severity: int | None, reason: str) -> str:
    """Settle the item. Returns the reason if it is skipped, else ""."""
    if item.status != ItemStatus.READY:
        return WAITS_NOT[ItemStatus(item.status)]
    if item.assignments.filter(state=AssignmentState.ACTIVE).exists():
        return gettext_noop("somebody holds it")
    if item.appeals.filter(state=AppealState.OPEN).exists():
        return gettext_noop("it is under appeal")
    now, policy = clock.now(), active_policy_version()
    labels = Harmfulness(str(bulk.prompt_label)), Harmfulness(bulk.response_label) if bulk.response_label else None
    decision = Decision(
        ReviewKind.CORRECTED,
        *labels,
        categories=tuple(bulk.categories),
        severity=severity,
        note=bulk.note,
        reason=reason,
    )
    if missing := missing_demands(decision, item.queue.demands):
        raise missing[0]
    try:
        with override(None):
            check_decision(decision, item, item.prediction, ReviewMode.OPEN, known_categories(policy))
    except DecisionNotValid as error:
        if error.field != "response_label":
            raise
        return error.message
    accepted = item.prediction is not None and item.prediction.parsed and same_labels(decision, item.prediction)
    assignment = Assignment.objects.create(
        item=item,
        queue=item.queue,
        reviewer=bulk.made_by,
        state=AssignmentState.SUBMITTED,
        created_at=now,
        opened_at=now,
        expires_at=now,
        ended_at=now,
        round=item.round,
        mode=ReviewMode.OPEN,
        takes_slot=False,
    )
    review = Review.objects.create(
        item=item,
        prediction=item.prediction,
        reviewer=bulk.made_by,
        assignment=assignment,
        bulk=bulk,
        idempotency_key=f"bulk-{bulk.pk}-{item.pk}",
        **decision.columns() | {"kind": ReviewKind.ACCEPTED if accepted else ReviewKind.CORRECTED},
        mode=ReviewMode.OPEN,
        lane=item.lane,
        seconds=0.0,
        policy_version=policy,
        created_at=now,
    )
    Item.objects.filter(pk=item.pk).update(free_slots=0)
    Event.objects.create(
        kind=EventKind.REVIEWED, item=item, actor=bulk.made_by, at=now, detail={"review": review.pk, "bulk": bulk.pk}
    )
    settle(item=item, review=review, decision=decision, adjudicates=True, now=now, source=GoldSource.BULK)
    return ""
