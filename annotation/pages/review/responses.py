"""Responses of the review page: the page, its main part for htmx, or a notice."""

import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from annotation.database import clock
from annotation.errors import ItemWithdrawn, LeaseExpired, ServiceError
from annotation.models import Assignment, ReviewQueue
from annotation.pages.review.held import keep_draft
from annotation.review.adjudication_values import dispute_of
from annotation.review.page_values import ReviewPage, review_page
from annotation.status import ItemStatus
from annotation.web.permissions import is_htmx

# the leads' list of escalated items; not the slug of a queue
ESCALATED = "escalated"


def back_url(request: HttpRequest, assignment: Assignment) -> str:
    if request.POST.get("back") == ESCALATED:
        return reverse("review_escalated")
    return reverse("review", args=[assignment.queue.slug])


def page_response(
    request: HttpRequest,
    assignment: Assignment | None,
    *,
    queue: ReviewQueue | None = None,
    announce: str = "",
    problems: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    """The review page, or only its main part for htmx."""
    adjudicates = queue is None and assignment is not None and assignment.item.status == ItemStatus.ESCALATED
    back = request.POST.get("back", "") or (ESCALATED if adjudicates else "")
    context: dict[str, object] = (
        {"queue": queue} if assignment is None else page_context(assignment, queue, review_page(assignment))
    )
    context |= {"announce": announce, "problems": problems, "back": back}
    name = "annotation/review/main.html" if is_htmx(request) else "annotation/review/page.html"
    return render(request, name, context, status=status)


def page_context(assignment: Assignment, queue: ReviewQueue | None, page: ReviewPage) -> dict[str, object]:
    began = assignment.opened_at or clock.now()
    return {
        "page": page,
        "dispute": dispute_of(assignment),
        "queue": queue or assignment.queue,
        "idempotency_key": uuid.uuid4().hex,
        "seconds_left": seconds_left(assignment),
        "idle_seconds": settings.IDLE_SECONDS,
        "elapsed": int((clock.now() - began).total_seconds()),
    }


def not_valid(request: HttpRequest, assignment: Assignment, problems: list[str]) -> HttpResponse:
    """Report problems without replacing the page; without JavaScript, the page is rendered again from the draft."""
    if is_htmx(request):
        return retarget(render(request, "annotation/review/notice.html", {"problems": problems}, status=422))
    keep_draft(request, assignment)
    return page_response(request, assignment, problems=problems, status=422)


def lease_gone(request: HttpRequest, assignment: Assignment, error: LeaseExpired) -> HttpResponse:
    return notice(request, assignment, error, status=409)


def notice(request: HttpRequest, assignment: Assignment, error: ServiceError, *, status: int) -> HttpResponse:
    """Show an error beside the reviewer's work; a withdrawn item cannot be taken again."""
    withdrawn = isinstance(error, ItemWithdrawn)
    context = {
        "text": str(error),
        "assignment": assignment,
        "withdrawn": withdrawn,
        "back": request.POST.get("back", ""),
    }
    if is_htmx(request):
        return retarget(render(request, "annotation/review/notice.html", context, status=status))
    return render(request, "annotation/review/lease_gone.html", context, status=status)


def retarget(response: HttpResponse) -> HttpResponse:
    """Make htmx replace only the notice, so that the reviewer's work on the page is kept."""
    response["HX-Retarget"], response["HX-Reswap"] = "#review-notice", "innerHTML"
    return response


def seconds_left(assignment: Assignment) -> int:
    return max(0, int((assignment.expires_at - clock.now()).total_seconds()))
