"""Bulk actions of leads on items chosen in the list: moving them to a queue, escalating them, or giving
them one verdict.
"""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotation.items.bulk_decision import MOST
from annotation.items.move import move_items
from annotation.items.search import ItemSearch
from annotation.items.skipped import escalate_items
from annotation.models import BulkDecision, Item, ReviewQueue
from annotation.pages.near_copies import decided, demanded
from annotation.predictions.active_policy import active_policy_version, policy_categories
from annotation.web.permissions import leads_only, person


@require_POST
@leads_only
def move(request: HttpRequest) -> HttpResponse:
    queue = get_object_or_404(ReviewQueue, slug=request.POST.get("to", ""))
    chosen = _ids(request)
    moved = move_items(item_ids=chosen, queue=queue, by=person(request))
    stayed = len(chosen) - moved
    words = _("%(n)s moved to %(queue)s.")
    if stayed:
        words = _(
            "%(n)s moved to %(queue)s. "
            "%(stayed)s stay where they are: they do not wait, somebody holds them, or they are there already."
        )
    (messages.success if moved else messages.error)(
        request, words % {"n": moved, "queue": queue.name, "stayed": stayed}
    )
    return _back(request)


@require_POST
@leads_only
def decide(request: HttpRequest) -> HttpResponse:
    """A POST from the list previews the chosen items; one from the preview, with its key, decides on them."""
    items = list(Item.objects.filter(pk__in=_ids(request)).order_by("-pk"))
    if not items and "idempotency_key" not in request.POST:
        messages.error(request, _("Choose items first."))
        return _back(request)
    problem = ""
    if "idempotency_key" in request.POST:
        made = decided(request, items) if items else _("Choose at least one item.")
        if isinstance(made, BulkDecision):
            return redirect("bulk_decision", made.pk)
        problem = made
    return render(
        request,
        "annotation/items/chosen.html",
        {
            "items": items,
            "problem": problem,
            "categories": policy_categories(active_policy_version()),
            "demanded": demanded(items),
            "key": uuid.uuid4().hex,
            "any_response": any(item.response is not None for item in items),
        },
        status=422 if problem else 200,
    )


@require_POST
@leads_only
def escalate(request: HttpRequest) -> HttpResponse:
    chosen = _ids(request)
    escalated = escalate_items(item_ids=chosen, by=person(request))
    words = _("%(n)s escalated: any lead can settle them.")
    if len(chosen) > escalated:
        words = _("%(n)s escalated. %(stayed)s stay where they are: they do not wait, or somebody holds them.")
    (messages.success if escalated else messages.error)(
        request, words % {"n": escalated, "stayed": len(chosen) - escalated}
    )
    return _back(request)


def _ids(request: HttpRequest) -> list[int]:
    return [int(given) for given in request.POST.getlist("item")[:MOST] if given.isdecimal() and len(given) < 19]


def _back(request: HttpRequest) -> HttpResponse:
    given = QueryDict(request.POST.get("query", ""))
    view = "&view=grid" if given.get("view") == "grid" else ""
    return redirect(f"{reverse('items')}?{ItemSearch.of(given).query}{view}")
