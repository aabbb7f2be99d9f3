"""Decide-first mode: the reviewer's own verdict is stored before the guard's is shown."""

import uuid

from django.db import transaction
from django.utils.translation import gettext as _

from annotation.database import clock
from annotation.errors import DecisionNotValid, NothingToReveal
from annotation.models import Assignment, User
from annotation.review.leases import active_assignment
from annotation.status import ReviewMode


def store_first_verdict(
    *, reviewer: User, token: uuid.UUID, prompt_label: str, response_label: str | None
) -> Assignment:
    """Store the reviewer's own verdict; the guard's may then be shown. Later calls do not change it.

    Raises LeaseExpired, AssignmentNotFound.
    """
    now = clock.now()
    with transaction.atomic():
        assignment = active_assignment(reviewer, token, now)
        if assignment.revealed_at is None:
            assignment.first_prompt_label, assignment.first_response_label, assignment.revealed_at = (
                prompt_label,
                response_label,
                now,
            )
            assignment.save(update_fields=["first_prompt_label", "first_response_label", "revealed_at"])
        return assignment


def reveal(*, reviewer: User, token: uuid.UUID, prompt_label: str, response_label: str | None) -> Assignment:
    """Like `store_first_verdict`, for input that no form has validated.

    Also raises NothingToReveal and DecisionNotValid.
    """
    with transaction.atomic():
        assignment = active_assignment(reviewer, token, clock.now())
        if assignment.review_mode != ReviewMode.DECIDE_FIRST:
            raise NothingToReveal
        if (assignment.item.response is None) != (response_label is None):
            raise DecisionNotValid("response_label", _("is given exactly where the item has a response."))
        return store_first_verdict(
            reviewer=reviewer, token=token, prompt_label=prompt_label, response_label=response_label
        )
