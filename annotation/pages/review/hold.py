"""Requests while an item is held: draft, heartbeat, flag, and retaking it."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from annotation.errors import AssignmentNotFound, DecisionNotValid, ItemWithdrawn, LeaseExpired, ServiceError
from annotation.pages.review.held import held_assignment, keep_draft, meter_active, meter_exposure
from annotation.pages.review.responses import back_url, notice, page_response, seconds_left
from annotation.review import exposure, leases
from annotation.review.assign import take_again
from annotation.review.flags import toggle_flag
from annotation.review.leases import extend_lease
from annotation.web.permissions import is_htmx, person


@require_POST
def flag(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Add the item to the reviewer's list for later, or remove it."""
    assignment = held_assignment(request, token)
    flagged = toggle_flag(user=assignment.reviewer, item=assignment.item)
    if is_htmx(request):
        return render(request, "annotation/review/flag.html", {"flagged": flagged, "token": token})
    return redirect(back_url(request, assignment))


@require_POST
def draft(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Autosave the form. 422 if the draft is not valid."""
    try:
        keep_draft(request, held_assignment(request, token))
    except DecisionNotValid as error:
        return JsonResponse({"detail": str(error)}, status=422)
    return JsonResponse({"saved": True})


@require_POST
def heartbeat(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    try:
        assignment = extend_lease(reviewer=person(request), token=token)
    except AssignmentNotFound:
        raise Http404 from None
    except LeaseExpired as error:
        return JsonResponse({"detail": str(error), "withdrawn": isinstance(error, ItemWithdrawn)}, status=409)
    meter_exposure(request, assignment)
    meter_active(request, assignment)
    leases.seen(user=assignment.reviewer, item=assignment.item)
    here = [other.get_username() for other in leases.others_at(user=assignment.reviewer, item=assignment.item)]
    shift = exposure.shift_of(assignment.reviewer)
    return JsonResponse(
        {
            "seconds_left": seconds_left(assignment),
            "here": here,
            "break_due": shift.break_due,
            "cools_down": shift.cools_down,
        }
    )


@require_POST
def retake(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Take the item again after its lease expired; the draft is kept."""
    try:
        again = take_again(reviewer=person(request), token=token)
    except AssignmentNotFound:
        raise Http404 from None
    except ServiceError as error:
        return notice(request, held_assignment(request, token), error, status=409)
    return (
        page_response(request, held_assignment(request, again.token))
        if is_htmx(request)
        else redirect(back_url(request, again))
    )
