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
from annotation.review.leases import add_active
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


def meter_active(request: HttpRequest, assignment: Assignment) -> None:
    """Record the active seconds since the page's last report."""
    try:
        seconds = float(request.POST["active"])
    except (KeyError, ValueError):
        return
    add_active(assignment, seconds)


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


def keep_work(request: HttpRequest, token: uuid.UUID) -> None:
    """Keep what the person has begun before they leave the item, for an undo."""
    if "idempotency_key" not in request.POST:
        return
    form, first = decision_form(request, held_assignment(request, token))
    payload = form.draft()
    if any(value for name, value in payload.items() if name != "steps") or any(map(touched, payload["steps"])):
        save_draft(reviewer=person(request), token=token, payload=payload | ({"first": first} if first else {}))


def touched(step: dict[str, Any]) -> bool:
    """Whether the person marked, edited, linked or added this step of a draft."""
    return step["text"] is None or any(step.get(name) for name in ("mark", "edit", "links"))


def keep_draft(request: HttpRequest, assignment: Assignment) -> None:
    # not posted from the review form, so there is nothing to keep
    if "idempotency_key" not in request.POST:
        return
    form, first = decision_form(request, assignment)
    payload = form.draft() | ({"first": first} if first else {})
    save_draft(reviewer=assignment.reviewer, token=assignment.token, payload=payload)
