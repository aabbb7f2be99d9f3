"""The review page of the next item, of an escalated item, and of the item leased ahead."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Item, ReviewQueue
from annotation.pages.review.responses import page_context, page_response
from annotation.queues.access import queue_of
from annotation.review.assign import assign_escalated, assign_next, lease_ahead
from annotation.review.lists import held_escalated
from annotation.review.page_values import review_page
from annotation.web.permissions import leads_only, person


def _queue(request: HttpRequest, slug: str) -> ReviewQueue:
    queue = queue_of(person(request), slug)
    if queue is None:
        raise Http404
    return queue


@never_cache
@require_safe
def review(request: HttpRequest, slug: str) -> HttpResponse:
    queue = _queue(request, slug)
    return page_response(request, assign_next(reviewer=person(request), queue=queue), queue=queue)


@never_cache
@require_safe
@leads_only
def review_escalated(request: HttpRequest) -> HttpResponse:
    lead = person(request)
    return page_response(request, held_escalated(lead) or assign_escalated(lead=lead))


@never_cache
@require_safe
@leads_only
def review_dispute(request: HttpRequest, item_id: int) -> HttpResponse:
    """The review page of an escalated item chosen by the lead."""
    lead, item = person(request), get_object_or_404(Item, pk=item_id)
    held = held_escalated(lead, item) or assign_escalated(lead=lead, item=item)
    if held is None:
        messages.error(
            request,
            _("It is settled, another lead has it, or you have judged it yourself: then somebody else settles it."),
        )
        return redirect("item", item.pk)
    return page_response(request, held)


@never_cache
@require_POST
def ahead(request: HttpRequest, slug: str) -> HttpResponse:
    """Lease the next item early; returns its page and the URLs of its frames. 204 if there is none."""
    queue = _queue(request, slug)
    assignment = lease_ahead(reviewer=person(request), queue=queue)
    if assignment is None:
        return HttpResponse(status=204)
    page = review_page(assignment)
    frames = [frame.url for medium in page.media for frame in medium.frames]
    html = render_to_string("annotation/review/main.html", page_context(assignment, queue, page), request)
    return JsonResponse({"token": assignment.token, "html": html, "frames": frames})
