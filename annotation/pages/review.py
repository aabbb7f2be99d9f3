"""The review page and what is done on it."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.database import clock
from annotation.errors import AssignmentNotFound, DecisionNotValid, LeaseExpired, ServiceError
from annotation.models import Assignment, Item, ReviewQueue
from annotation.pages.review_form import AdjudicationForm, DecisionForm
from annotation.predictions.policy import active_policy_version, policy_categories
from annotation.queues.access import queue_of
from annotation.review import exposure, presence
from annotation.review import submit as work
from annotation.review.adjudication import adjudicate, sides_of
from annotation.review.adjudication_values import dispute_of
from annotation.review.assign import assign_escalated, assign_next, lease_ahead, take_again
from annotation.review.drafts import draft_first, save_draft
from annotation.review.flags import toggle_flag
from annotation.review.leases import extend_lease, open_ahead
from annotation.review.lists import assignment_of, held_escalated
from annotation.review.page_values import ReviewPage, judgement_shown, review_page
from annotation.review.reveal import store_first_verdict
from annotation.status import ItemStatus
from annotation.web.permissions import is_htmx, leads_only, person

ESCALATED = "escalated"  # the leads' queue of what reviewers handed up; not a slug of a queue


def _queue(request: HttpRequest, slug: str) -> ReviewQueue:
    queue = queue_of(person(request), slug)
    if queue is None:
        raise Http404
    return queue


@never_cache
@require_safe
def review(request: HttpRequest, slug: str) -> HttpResponse:
    queue = _queue(request, slug)
    return _page(request, assign_next(reviewer=person(request), queue=queue), queue=queue)


@never_cache
@require_safe
@leads_only
def review_escalated(request: HttpRequest) -> HttpResponse:
    lead = person(request)
    return _page(request, held_escalated(lead) or assign_escalated(lead=lead))


@never_cache
@require_safe
@leads_only
def review_dispute(request: HttpRequest, item_id: int) -> HttpResponse:
    """One escalated item, chosen by the lead."""
    lead, item = person(request), get_object_or_404(Item, pk=item_id)
    held = held_escalated(lead, item) or assign_escalated(lead=lead, item=item)
    if held is None:
        messages.error(
            request,
            _("It is settled, another lead has it, or you have judged it yourself: then somebody else settles it."),
        )
        return redirect("item", item.pk)
    return _page(request, held)


@never_cache
@require_POST
def ahead(request: HttpRequest, slug: str) -> HttpResponse:
    """The item that comes next, leased early: its page and the addresses of its frames. 204: there is none."""
    queue = _queue(request, slug)
    assignment = lease_ahead(reviewer=person(request), queue=queue)
    if assignment is None:
        return HttpResponse(status=204)
    page = review_page(assignment)
    frames = [
        reverse("frame", args=[assignment.item.prediction_id, frame.medium, frame.index])
        for medium in page.media
        for frame in medium.frames
    ]
    html = render_to_string("annotation/review/main.html", _context(assignment, queue, page), request)
    return JsonResponse({"token": assignment.token, "html": html, "frames": frames})


@require_POST
def flag(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Put the item on the person's list for later, or take it off."""
    assignment = held_assignment(request, token)
    flagged = toggle_flag(user=assignment.reviewer, item=assignment.item)
    if is_htmx(request):
        return render(request, "annotation/review/flag.html", {"flagged": flagged, "token": token})
    return redirect(_back(request, assignment))


@require_POST
def submit(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    assignment = held_assignment(request, token)
    form, first = decision_form(request, assignment)
    if not form.is_valid():
        return _not_valid(request, assignment, form.problems())
    if _too_fast(request, assignment):
        return _asked_back(request, assignment)
    _meter(request, assignment)
    try:
        _decide(request, token, form)
    except DecisionNotValid as error:
        return _not_valid(request, assignment, [f"{error.field.replace('_', ' ').capitalize()} {error.message}"])
    except LeaseExpired:
        save_draft(reviewer=assignment.reviewer, token=token, payload=form.draft() | {"first": first})
        return _lease_gone(request, assignment)
    except ServiceError as error:
        return _notice(request, assignment, str(error), status=409)
    return _next(request, assignment, _("Submitted."))


@require_POST
def skip(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    return _leave(
        request, token, lambda assignment: work.skip(reviewer=assignment.reviewer, token=token), _("Skipped.")
    )


@require_POST
def escalate(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """With a reason: hand the item to a lead. Without one: ask for it."""
    reason = request.POST.get("reason", "")
    if not reason.strip():
        assignment = held_assignment(request, token)
        _keep(request, assignment)
        return render(request, "annotation/review/escalate.html", {"assignment": assignment}, status=422)
    return _leave(
        request,
        token,
        lambda assignment: work.escalate(reviewer=assignment.reviewer, token=token, reason=reason),
        _("Escalated."),
    )


@require_POST
def reveal(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """decide first: keep the person's own verdict, then show the guard's."""
    assignment = held_assignment(request, token)
    form, first = decision_form(request, assignment)
    if not form.is_valid():
        return _not_valid(request, assignment, form.problems())
    payload = form.draft()
    first = first or {name: payload[name] for name in ("prompt_label", "response_label")}
    try:
        store_first_verdict(
            reviewer=assignment.reviewer,
            token=token,
            prompt_label=first["prompt_label"],
            response_label=first["response_label"],
        )
    except LeaseExpired:
        _keep(request, assignment)
        return _lease_gone(request, assignment)
    save_draft(reviewer=assignment.reviewer, token=token, payload=payload | {"first": first})
    return _page(request, held_assignment(request, token)) if is_htmx(request) else redirect(_back(request, assignment))


@require_POST
def draft(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Autosave."""
    try:
        _keep(request, held_assignment(request, token))
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
        return JsonResponse({"detail": str(error)}, status=409)
    _meter(request, assignment)
    presence.seen(user=assignment.reviewer, item=assignment.item)
    here = [other.get_username() for other in presence.others_at(user=assignment.reviewer, item=assignment.item)]
    shift = exposure.shift_of(assignment.reviewer)
    return JsonResponse(
        {
            "seconds_left": _seconds_left(assignment),
            "here": here,
            "break_due": shift.break_due,
            "cools_down": shift.cools_down,
        }
    )


@require_POST
def retake(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Hold the item again after the lease ran out; the draft is still there."""
    try:
        again = take_again(reviewer=person(request), token=token)
    except AssignmentNotFound:
        raise Http404 from None
    except ServiceError as error:
        return _notice(request, held_assignment(request, token), str(error), status=409)
    return (
        _page(request, held_assignment(request, again.token)) if is_htmx(request) else redirect(_back(request, again))
    )


@require_POST
def undo(request: HttpRequest, review_id: int | None = None) -> HttpResponse:
    """Take back the newest review, or the one named."""
    reviewer = person(request)
    try:
        again = (
            work.undo_last(reviewer=reviewer)
            if review_id is None
            else work.undo_review(reviewer=reviewer, review_id=review_id)
        )
    except ServiceError as error:
        if is_htmx(request):
            return _retarget(render(request, "annotation/review/notice.html", {"text": str(error)}, status=409))
        messages.error(request, str(error))
        return redirect("home")
    if is_htmx(request):
        return _page(request, held_assignment(request, again.token), announce=_("Undone. Your work is back."))
    return redirect("review", slug=again.queue.slug)


def _decide(request: HttpRequest, token: uuid.UUID, form: DecisionForm) -> None:
    key, decision = request.POST.get("idempotency_key", ""), form.decision()
    if isinstance(form, AdjudicationForm):
        adjudicate(lead=person(request), token=token, idempotency_key=key, decision=decision, upholds=form.side)
    else:
        work.submit_review(reviewer=person(request), token=token, idempotency_key=key, decision=decision)


def _meter(request: HttpRequest, assignment: Assignment) -> None:
    """Add the unblurred seconds that the page reports since its last report."""
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


def _too_fast(request: HttpRequest, assignment: Assignment) -> bool:
    """Decided faster than the queue thinks possible, and not confirmed yet."""
    taken = (clock.now() - (assignment.opened_at or assignment.created_at)).total_seconds()
    return taken < assignment.queue.fewest_seconds and request.POST.get("confirm_fast") != "yes"


def _asked_back(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    _keep(request, assignment)
    context = {"fast": assignment.queue.fewest_seconds}
    if is_htmx(request):
        return _retarget(render(request, "annotation/review/fast.html", context, status=422))
    words = _("That took less than %(seconds)s seconds. Look once more, then submit again.")
    return _page(request, assignment, problems=[words % {"seconds": assignment.queue.fewest_seconds}], status=422)


def _leave(request: HttpRequest, token: uuid.UUID, act: Callable[[Assignment], None], words: str) -> HttpResponse:
    assignment = held_assignment(request, token)
    _meter(request, assignment)
    try:
        act(assignment)
    except LeaseExpired:
        _keep(request, assignment)
        return _lease_gone(request, assignment)
    return _next(request, assignment, words)


def held_assignment(request: HttpRequest, token: uuid.UUID) -> Assignment:
    assignment = assignment_of(person(request), token)
    if assignment is None:
        raise Http404(_("There is no such assignment of yours."))
    return assignment


def decision_form(request: HttpRequest, assignment: Assignment) -> tuple[DecisionForm, dict[str, Any]]:
    """The posted decision, and the verdict before the reveal where one is stored."""
    first = draft_first(assignment)
    shown = assignment.item.prediction if judgement_shown(assignment, {"first": first}) else None
    categories, sides = policy_categories(active_policy_version()), sides_of(assignment)
    if sides:
        return AdjudicationForm(
            request.POST, item=assignment.item, shown=shown, categories=categories, sides=sides
        ), first
    return DecisionForm(request.POST, item=assignment.item, shown=shown, categories=categories), first


def _keep(request: HttpRequest, assignment: Assignment) -> None:
    # not sent from the review form: there is nothing to keep
    if "idempotency_key" not in request.POST:
        return
    form, first = decision_form(request, assignment)
    payload = form.draft() | ({"first": first} if first else {})
    save_draft(reviewer=assignment.reviewer, token=assignment.token, payload=payload)


def _next(request: HttpRequest, done: Assignment, words: str) -> HttpResponse:
    if _shows_next(request, done):
        return HttpResponse(status=204)
    if not is_htmx(request):
        messages.success(request, words)
        return redirect(_back(request, done))
    if request.POST.get("back") == ESCALATED and done.reviewer.is_lead:
        return _page(request, assign_escalated(lead=done.reviewer), announce=words)
    return _page(request, assign_next(reviewer=done.reviewer, queue=done.queue), queue=done.queue, announce=words)


def _shows_next(request: HttpRequest, done: Assignment) -> bool:
    """The page shows the item leased ahead already and names it: then it needs no other page."""
    try:
        token = uuid.UUID(request.POST.get("opens", ""))
    except ValueError:
        return False
    return open_ahead(reviewer=done.reviewer, token=token)


def _back(request: HttpRequest, assignment: Assignment) -> str:
    if request.POST.get("back") == ESCALATED:
        return reverse("review_escalated")
    return reverse("review", args=[assignment.queue.slug])


def _page(
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
        {"queue": queue} if assignment is None else _context(assignment, queue, review_page(assignment))
    )
    context |= {"announce": announce, "problems": problems, "back": back}
    name = "annotation/review/main.html" if is_htmx(request) else "annotation/review/page.html"
    return render(request, name, context, status=status)


def _context(assignment: Assignment, queue: ReviewQueue | None, page: ReviewPage) -> dict[str, object]:
    began = assignment.opened_at or clock.now()
    return {
        "page": page,
        "dispute": dispute_of(assignment),
        "queue": queue or assignment.queue,
        "idempotency_key": uuid.uuid4().hex,
        "seconds_left": _seconds_left(assignment),
        "elapsed": int((clock.now() - began).total_seconds()),
    }


def _not_valid(request: HttpRequest, assignment: Assignment, problems: list[str]) -> HttpResponse:
    """The page stays as it is and says what is missing; without JavaScript it comes back from the draft."""
    if is_htmx(request):
        return _retarget(render(request, "annotation/review/notice.html", {"problems": problems}, status=422))
    _keep(request, assignment)
    return _page(request, assignment, problems=problems, status=422)


def _lease_gone(request: HttpRequest, assignment: Assignment) -> HttpResponse:
    return _notice(request, assignment, str(LeaseExpired()), status=409)


def _notice(request: HttpRequest, assignment: Assignment, text: str, *, status: int) -> HttpResponse:
    context = {"text": text, "assignment": assignment, "back": request.POST.get("back", "")}
    if is_htmx(request):
        return _retarget(render(request, "annotation/review/notice.html", context, status=status))
    return render(request, "annotation/review/lease_gone.html", context, status=status)


def _retarget(response: HttpResponse) -> HttpResponse:
    """Only the notice changes: the person's work on the page is left alone."""
    response["HX-Retarget"], response["HX-Reswap"] = "#review-notice", "innerHTML"
    return response


def _seconds_left(assignment: Assignment) -> int:
    return max(0, int((assignment.expires_at - clock.now()).total_seconds()))
