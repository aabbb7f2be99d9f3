"""Submit, skip and escalate: the actions of a reviewer on a held item."""

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
    SideGone,
)
from annotation.models import Assignment, Draft, Event, Item, Review, User
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.review.decision import Decision, StepReview, check_decision
from annotation.review.drafts import save_draft
from annotation.review.gold import settle, standing_reviews
from annotation.review.leases import active_assignment, end, give_back_slot, lead_time
from annotation.status import AssignmentState, EventKind, ItemStatus

__all__ = ["Decision", "StepReview", "escalate", "skip", "submit_review"]

_BY_KEY = Select(
    lambda reviewer, key: Review.objects.select_related("assignment").filter(reviewer=reviewer, idempotency_key=key)
)
_DROP_DRAFT = Delete(lambda item, reviewer: Draft.objects.filter(item=item, reviewer=reviewer))


def submit_review(
    *, reviewer: User, token: uuid.UUID, idempotency_key: str, decision: Decision, upholds: Review | None = None
) -> Review:
    """Store the review and settle gold. Idempotent by `idempotency_key`. `upholds`: see review.adjudication.

    Raises LeaseExpired or ItemWithdrawn (the decision is saved as a draft), DecisionNotValid, IdempotencyKeyReused,
    AssignmentNotFound, SideGone.
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
    check_decision(decision, item, prediction, mode, known_categories(policy), assignment.queue.demands)
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
            seconds=lead_time(assignment, now),
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
    """Give the item back, never to be served to this person again unless they undo it. Idempotent.

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
    give_back_slot(assignment, skipped_at=now if state == AssignmentState.SKIPPED else None)
    Event.objects.create(
        kind=kind, item_id=assignment.item_id, actor=reviewer, at=now, detail={"reason": reason} if reason else {}
    )
