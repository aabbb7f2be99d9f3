"""The assignment and the decision in a request of the review page."""

import uuid
from typing import Any

from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from annotation.models import Assignment
from annotation.pages.review.form import AdjudicationForm, DecisionForm
from annotation.predictions.active_policy import active_policy_version, known_categories
from annotation.review import exposure
from annotation.review.adjudication import sides_of
from annotation.review.drafts import draft_first, save_draft
from annotation.review.lists import assignment_of
from annotation.review.page_values import judgement_shown
from annotation.web.permissions import person


def meter_exposure(request: HttpRequest, assignment: Assignment) -> None:
    """Record the seconds of unblurred media since the page's last report."""
    try:
        seconds = float(request.POST.get("unblurred", "0"))
    except ValueError:
        return
    if 0 < seconds < float("inf"):
        severity = (
            int(request.POST["severity"])
            if request.POST.get("severity", "") in ("1", "2", "3")
            else assignment.item.severity
        )
        exposure.record_exposure(
            reviewer=assignment.reviewer,
            item=assignment.item,
            seconds=seconds,
            severity=max(severity, assignment.item.severity),
        )


def held_assignment(request: HttpRequest, token: uuid.UUID) -> Assignment:
    assignment = assignment_of(person(request), token)
    if assignment is None:
        raise Http404(_("There is no such assignment of yours."))
    return assignment


def decision_form(request: HttpRequest, assignment: Assignment) -> tuple[DecisionForm, dict[str, Any]]:
    """The posted decision, and the verdict before the reveal, if one is stored."""
    first = draft_first(assignment)
    shown = assignment.item.prediction if judgement_shown(assignment, {"first": first}) else None
    categories, sides = known_categories(active_policy_version()), sides_of(assignment)
    if sides:
        return AdjudicationForm(
            request.POST, item=assignment.item, shown=shown, categories=categories, sides=sides
        ), first
    return DecisionForm(request.POST, item=assignment.item, shown=shown, categories=categories), first


def keep_draft(request: HttpRequest, assignment: Assignment) -> None:
    # not posted from the review form, so there is nothing to keep
    if "idempotency_key" not in request.POST:
        return
    form, first = decision_form(request, assignment)
    payload = form.draft() | ({"first": first} if first else {})
    save_draft(reviewer=assignment.reviewer, token=assignment.token, payload=payload)
