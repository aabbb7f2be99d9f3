"""Regenerating steps on the review page: the request, and polling for its result."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.doorbell import ring
from annotation.errors import ItemWithdrawn, LeaseExpired, ServiceError
from annotation.models import Assignment, Regeneration
from annotation.pages.review.held import decision_form, held_assignment
from annotation.review.decision import corrected_steps
from annotation.review.regenerate import request_regeneration
from annotation.tasks import write_again
from annotation.web.permissions import person

# a request still queued after this long makes the page warn that no guard worker seems to be running
PATIENCE_SECONDS = 20


@never_cache
@require_http_methods(["GET", "POST"])
def regenerate(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """POST, with the decision form, requests new steps from number `from` on; GET polls for the result."""
    assignment = held_assignment(request, token)
    if request.method == "GET":
        return _show(request, assignment, _newest(assignment), _start(request.GET.get("from", ""), assignment))
    start = _start(request.POST.get("from", ""), assignment)
    form, _ = decision_form(request, assignment)
    given = [step for step in form.steps() if step.text is not None]
    try:
        row = request_regeneration(reviewer=person(request), token=token, kept=corrected_steps(given[: start - 1]))
    except ServiceError as error:
        context = {
            "text": str(error),
            "assignment": assignment if isinstance(error, LeaseExpired) else None,
            "withdrawn": isinstance(error, ItemWithdrawn),
            "back": request.POST.get("back", ""),
        }
        return render(request, "annotation/review/notice.html", context, status=409)
    ring(write_again)
    return _show(request, assignment, row, start)


def _start(given: str, assignment: Assignment) -> int:
    """The number of the first step to regenerate. Raises Http404."""
    prediction = assignment.item.prediction
    last = max(1, len(prediction.steps)) if prediction is not None else 0
    if not given.isdecimal() or not 1 <= int(given[:9]) <= last:
        raise Http404(_("The guard wrote no such step."))
    return int(given[:9])


def _newest(assignment: Assignment) -> Regeneration:
    rows = Regeneration.objects.filter(
        item=assignment.item_id, reviewer=assignment.reviewer_id, prediction=assignment.item.prediction_id
    )
    row = rows.order_by("-id").first()
    if row is None:
        raise Http404(_("Nothing was asked of the guard here."))
    return row


def _show(request: HttpRequest, assignment: Assignment, row: Regeneration, start: int) -> HttpResponse:
    old, new = list(row.prediction.steps[start - 1 :]), list(row.steps[len(row.kept) :])
    waited = (timezone.now() - row.created_at).total_seconds()
    return render(
        request,
        "annotation/review/regenerated.html",
        {
            "row": row,
            "start": start,
            "old": old,
            "new": new,
            "item": assignment.item,
            "nobody": row.state == "queued" and waited > PATIENCE_SECONDS,
        },
    )
