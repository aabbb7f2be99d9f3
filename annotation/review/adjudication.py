"""Adjudication: a lead settles a disagreement between reviewers.

The lead takes one reviewer's side, takes the guard's judgement, or decides independently.
"""

import uuid

from django.utils.translation import gettext as _

from annotation.errors import DecisionNotValid
from annotation.models import Assignment, Prediction, Review, User
from annotation.review.decision import Decision, StepReview
from annotation.review.gold import standing_reviews
from annotation.review.submit import submit_review
from annotation.status import ErrorKind, ItemStatus, ReviewKind
from guardapp.guard.taxonomy import Harmfulness


def sides_of(assignment: Assignment) -> list[Review]:
    """The conflicting reviews, oldest first; empty if the holder of the assignment is not adjudicating.

    `review.assign.assign_escalated` never gives an item to a lead who reviewed it.
    """
    adjudicates = assignment.reviewer.is_lead and assignment.item.status == ItemStatus.ESCALATED
    return standing_reviews(assignment.item) if adjudicates else []


def adjudicate(
    *, lead: User, token: uuid.UUID, idempotency_key: str, decision: Decision, upholds: Review | None = None
) -> Review:
    """Settle the item; `upholds` is the review that the lead sides with. Raises the same errors as `submit_review`."""
    if not decision.reason.strip():
        raise DecisionNotValid("reason", _("is missing: say why, so that the reviewers can learn from it."))
    return submit_review(
        reviewer=lead, token=token, idempotency_key=idempotency_key, decision=decision, upholds=upholds
    )


def decision_for_side(side: Review, *, prediction: Prediction | None, reason: str, note: str) -> Decision:
    """The side's verdict and its edits to the guard's steps.

    Edits are dropped if they were made on a prediction other than the item's current one.
    """
    same = prediction is not None and side.prediction_id == prediction.pk
    return Decision(
        kind=ReviewKind(side.kind) if same else ReviewKind.CORRECTED,
        prompt_label=Harmfulness(str(side.prompt_label)),
        response_label=Harmfulness(side.response_label) if side.response_label else None,
        categories=tuple(side.categories),
        severity=side.severity,
        error_kinds=tuple(ErrorKind(kind) for kind in side.error_kinds),
        steps=tuple(StepReview.of(row) for row in side.steps) if same else (),
        reason=reason,
        note=note,
    )


def decision_for_guard(prediction: Prediction, *, reason: str, note: str) -> Decision:
    """A decision that accepts the guard's judgement unchanged. The completion must have parsed."""
    return Decision(
        kind=ReviewKind.ACCEPTED,
        prompt_label=Harmfulness(str(prediction.prompt_label)),
        response_label=Harmfulness(prediction.response_label) if prediction.response_label else None,
        categories=tuple(prediction.categories),
        reason=reason,
        note=note,
    )
