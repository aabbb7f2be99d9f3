"""Submitting, skipping and escalating a held item; the reveal before and the undo after."""

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.database import clock
from annotation.errors import DecisionNotValid, ItemWithdrawn, LeaseExpired, ServiceError
from annotation.models import Assignment
from annotation.pages.review.form import AdjudicationForm, DecisionForm
from annotation.pages.review.held import (
    decision_form,
    held_assignment,
    keep_draft,
    keep_work,
    meter_active,
    meter_exposure,
)
from annotation.pages.review.responses import (
    ESCALATED,
    back_url,
    lease_gone,
    not_valid,
    notice,
    page_response,
    retarget,
)
from annotation.queues.access import QueueNotYours, queue_of
from annotation.review import submit as work
from annotation.review import undo as undoing
from annotation.review.adjudication import adjudicate
from annotation.review.assign import assign_escalated, assign_next
from annotation.review.decision import missing_demands
from annotation.review.drafts import save_draft
from annotation.review.leases import lead_time, open_ahead
from annotation.review.reveal import store_first_verdict
from annotation.web.permissions import is_htmx, person


@require_POST
def submit(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    assignment = held_assignment(request, token)
    meter_active(request, assignment)
    form, first = decision_form(request, assignment)
    if not form.is_valid():
        return not_valid(request, assignment, form.problems())
    if missing := missing_demands(form.decision(), assignment.queue.demands):
        return not_valid(request, assignment, [error.sentence for error in missing])
    if _too_fast(request, assignment):
        return _confirm_fast(request, assignment)
    meter_exposure(request, assignment)
    try:
        _decide(request, token, form)
    except DecisionNotValid as error:
        return not_valid(request, assignment, [error.sentence])
    except LeaseExpired as error:
        save_draft(reviewer=assignment.reviewer, token=token, payload=form.draft() | {"first": first})
        return lease_gone(request, assignment, error)
    except ServiceError as error:
        return notice(request, assignment, error, status=409)
    return _next(request, assignment, _("Submitted."))


@require_POST
def skip(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    keep_work(request, token)
    return _leave(
        request, token, lambda assignment: work.skip(reviewer=assignment.reviewer, token=token), _("Skipped.")
    )


@require_POST
def escalate(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Hand the item to a lead, or ask for a reason if none is given."""
    reason = request.POST.get("reason", "")
    if not reason.strip():
        assignment = held_assignment(request, token)
        keep_draft(request, assignment)
        return render(request, "annotation/review/escalate.html", {"assignment": assignment}, status=422)
    keep_work(request, token)
    return _leave(
        request,
        token,
        lambda assignment: work.escalate(reviewer=assignment.reviewer, token=token, reason=reason),
        _("Escalated."),
    )


@require_POST
def reveal(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """In mode "decide first", store the reviewer's own verdict, then show the guard's."""
    assignment = held_assignment(request, token)
    form, first = decision_form(request, assignment)
    if not form.is_valid():
        return not_valid(request, assignment, form.problems())
    payload = form.draft()
    first = first or {name: payload[name] for name in ("prompt_label", "response_label")}
    try:
        store_first_verdict(
            reviewer=assignment.reviewer,
            token=token,
            prompt_label=first["prompt_label"],
            response_label=first["response_label"],
        )
    except LeaseExpired as error:
        keep_draft(request, assignment)
        return lease_gone(request, assignment, error)
    save_draft(reviewer=assignment.reviewer, token=token, payload=payload | {"first": first})
    return (
        page_response(request, held_assignment(request, token))
        if is_htmx(request)
        else redirect(back_url(request, assignment))
    )


@require_POST
def undo(request: HttpRequest, review_id: int | None = None) -> HttpResponse:
    """Undo the given review, or what the person did last: a review, a skip or an escalation."""
    reviewer = person(request)
    try:
        again = (
            undoing.undo_last(reviewer=reviewer)
            if review_id is None
            else undoing.undo_review(reviewer=reviewer, review_id=review_id)
        )
    except ServiceError as error:
        return _refused(request, error)
    if is_htmx(request):
        return page_response(
            request, held_assignment(request, again.token), announce=_("Undone. The item and your work are back.")
        )
    return redirect("review", slug=again.queue.slug)


def _refused(request: HttpRequest, error: ServiceError) -> HttpResponse:
    if is_htmx(request):
        return retarget(render(request, "annotation/review/notice.html", {"text": str(error)}, status=409))
    messages.error(request, str(error))
    return redirect("home")


def _decide(request: HttpRequest, token: uuid.UUID, form: DecisionForm) -> None:
    key, decision = request.POST.get("idempotency_key", ""), form.decision()
    if isinstance(form, AdjudicationForm):
        adjudicate(lead=person(request), token=token, idempotency_key=key, decision=decision, upholds=form.side)
    else:
        work.submit_review(reviewer=person(request), token=token, idempotency_key=key, decision=decision)


def _too_fast(request: HttpRequest, assignment: Assignment) -> bool:
    """Whether the decision took less than the queue's minimum time and is not confirmed yet."""
    taken = lead_time(assignment, clock.now())
    return taken < assignment.queue.fewest_seconds and request.POST.get("confirm_fast") != "yes"


def _confirm_fast(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    keep_draft(request, assignment)
    context = {"fast": assignment.queue.fewest_seconds}
    if is_htmx(request):
        return retarget(render(request, "annotation/review/fast.html", context, status=422))
    words = _("That took less than %(seconds)s seconds. Look once more, then submit again.")
    return page_response(
        request, assignment, problems=[words % {"seconds": assignment.queue.fewest_seconds}], status=422
    )


def _leave(request: HttpRequest, token: uuid.UUID, act: Callable[[Assignment], None], words: str) -> HttpResponse:
    assignment = held_assignment(request, token)
    meter_exposure(request, assignment)
    try:
        act(assignment)
    except ItemWithdrawn as error:
        # the person is done with it either way
        keep_draft(request, assignment)
        return _next(request, assignment, str(error))
    except LeaseExpired as error:
        keep_draft(request, assignment)
        return lease_gone(request, assignment, error)
    return _next(request, assignment, words)


def _next(request: HttpRequest, done: Assignment, words: str) -> HttpResponse:
    if _shows_next(request, done):
        return HttpResponse(status=204)
    if not is_htmx(request):
        messages.success(request, words)
        return redirect(back_url(request, done))
    if request.POST.get("back") == ESCALATED and done.reviewer.is_lead:
        return page_response(request, assign_escalated(lead=done.reviewer), announce=words)
    if queue_of(done.reviewer, done.queue.slug) is None:
        return _refused(request, QueueNotYours())
    return page_response(
        request, assign_next(reviewer=done.reviewer, queue=done.queue), queue=done.queue, announce=words
    )


def _shows_next(request: HttpRequest, done: Assignment) -> bool:
    """Open the item leased ahead that the page already shows, given in `opens`.

    False if there is none or its lease expired, in which case the page needs a new item.
    """
    try:
        token = uuid.UUID(request.POST.get("opens", ""))
    except ValueError:
        return False
    return open_ahead(reviewer=done.reviewer, token=token)
