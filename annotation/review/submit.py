"""Submit, skip, escalate and undo: the actions of a reviewer on a held item."""

import uuid
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from annotation import prometheus
from annotation.database import clock
from annotation.database.kept_statements import Delete, Select, insert
from annotation.errors import (
    DecisionNotValid,
    IdempotencyKeyReused,
    LeaseExpired,
    NothingToUndo,
    SettledByLead,
    SideGone,
)
from annotation.models import Assignment, Draft, Event, GoldLabel, Item, Review, ReviewRetraction, User
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.queues.access import QueueNotYours, may_see_item
from annotation.review.assign import lease_again
from annotation.review.decision import COLUMNS, Decision, StepReview, check_decision
from annotation.review.drafts import save_draft
from annotation.review.gold import settle, slots_left, standing_reviews, withdraw
from annotation.review.leases import active_assignment, end, give_back_slot
from annotation.status import AssignmentState, EventKind, GoldSource, ItemStatus

__all__ = ["Decision", "StepReview", "escalate", "skip", "submit_review", "undo_last", "undo_review"]

UNDO_DEPTH = 10
_BY_KEY = Select(
    lambda reviewer, key: Review.objects.select_related("assignment").filter(reviewer=reviewer, idempotency_key=key)
)
_DROP_DRAFT = Delete(lambda item, reviewer: Draft.objects.filter(item=item, reviewer=reviewer))


def submit_review(
    *, reviewer: User, token: uuid.UUID, idempotency_key: str, decision: Decision, upholds: Review | None = None
) -> Review:
    """Store the review and settle gold. Idempotent by `idempotency_key`. `upholds`: see review.adjudication.

    Raises LeaseExpired (the decision is saved as a draft), DecisionNotValid, IdempotencyKeyReused, AssignmentNotFound,
    SideGone.
    """
    if not 8 <= len(idempotency_key) <= 64:
        raise DecisionNotValid("idempotency_key", _("must have 8 to 64 characters, new for each decision."))
    try:
        with transaction.atomic():
            return _earlier(reviewer, token, idempotency_key) or _submit(
                reviewer, token, idempotency_key, decision, upholds
            )
    except (LeaseExpired, IntegrityError) as error:
        earlier = _earlier(reviewer, token, idempotency_key)
        # of two simultaneous submits, the first won and ended the lease
        if earlier is not None:
            return earlier
        if isinstance(error, LeaseExpired):
            save_draft(reviewer=reviewer, token=token, payload=decision.columns())
        raise


def _earlier(reviewer: User, token: uuid.UUID, key: str) -> Review | None:
    review = _BY_KEY.first(reviewer=reviewer.pk, key=key)
    if review is not None and review.assignment.token != token:
        raise IdempotencyKeyReused
    return review


def _submit(reviewer: User, token: uuid.UUID, key: str, decision: Decision, upholds: Review | None) -> Review:
    now = clock.now()
    assignment = active_assignment(reviewer, token, now)
    item, prediction, mode = assignment.item, assignment.item.prediction, assignment.review_mode
    policy = active_policy_version()
    if upholds is not None and upholds not in standing_reviews(item):
        raise SideGone
    check_decision(decision, item, prediction, mode, known_categories(policy))
    prometheus.REVIEWS.labels(decision.kind.value).inc()
    review = insert(
        Review(
            item=item,
            prediction=prediction,
            reviewer=reviewer,
            assignment=assignment,
            idempotency_key=key,
            **decision.columns(),
            mode=mode,
            lane=item.lane,
            seconds=(now - (assignment.opened_at or assignment.created_at)).total_seconds(),
            policy_version=policy,
            first_prompt_label=assignment.first_prompt_label,
            first_response_label=assignment.first_response_label,
            created_at=now,
            hidden_gold=assignment.hidden_gold,
            upholds=upholds,
        )
    )
    if not end(assignment, AssignmentState.SUBMITTED, now):
        raise LeaseExpired
    _DROP_DRAFT.run(item=item.pk, reviewer=reviewer.pk)
    insert(
        Event(
            kind=EventKind.REVIEWED,
            item=item,
            actor=reviewer,
            at=now,
            detail={"review": review.pk, "kind": decision.kind},
        )
    )
    if assignment.hidden_gold_id is None:
        adjudicates = item.status == ItemStatus.ESCALATED and reviewer.is_lead
        settle(item=item, review=review, decision=decision, adjudicates=adjudicates, now=now)
    return review


def skip(*, reviewer: User, token: uuid.UUID) -> None:
    """Give the item back, never to be served to this person again. Idempotent.

    Raises LeaseExpired, AssignmentNotFound.
    """
    now = clock.now()
    with transaction.atomic():
        if Assignment.objects.filter(token=token, reviewer=reviewer, state=AssignmentState.SKIPPED).exists():
            return
        assignment = active_assignment(reviewer, token, now)
        _leave(assignment, AssignmentState.SKIPPED, EventKind.SKIPPED, reviewer, now)


def escalate(*, reviewer: User, token: uuid.UUID, reason: str) -> None:
    """Hand the item to a lead.

    Raises DecisionNotValid (missing reason), LeaseExpired, AssignmentNotFound.
    """
    reason = reason.strip()
    if not reason:
        raise DecisionNotValid("reason", _("is missing: say in a few words what the lead should decide."))
    now = clock.now()
    with transaction.atomic():
        assignment = active_assignment(reviewer, token, now)
        _leave(assignment, AssignmentState.ESCALATED, EventKind.ESCALATED, reviewer, now, reason)
        # unless a lead has settled it in the meantime
        Item.objects.filter(pk=assignment.item_id, status=ItemStatus.READY).update(status=ItemStatus.ESCALATED)


def _leave(
    assignment: Assignment, state: AssignmentState, kind: EventKind, reviewer: User, now: datetime, reason: str = ""
) -> None:
    if not end(assignment, state, now, reason):
        raise LeaseExpired
    give_back_slot(assignment)
    Event.objects.create(
        kind=kind, item_id=assignment.item_id, actor=reviewer, at=now, detail={"reason": reason} if reason else {}
    )


def undo_last(*, reviewer: User) -> Assignment:
    """Undo the person's newest standing review. Raises NothingToUndo, SettledByLead, SnapshotUsedIt."""
    newest = _undoable(reviewer)[:1]
    if not newest:
        raise NothingToUndo
    return undo_review(reviewer=reviewer, review_id=newest[0].pk)


def undo_review(*, reviewer: User, review_id: int) -> Assignment:
    """Retract one of the person's last ten reviews.

    Withdraws its gold, leases the item to the person again and restores their work as a draft.
    Raises NothingToUndo, SettledByLead, SnapshotUsedIt, QueueNotYours.
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
