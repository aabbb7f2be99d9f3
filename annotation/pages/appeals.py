"""Appeals: opened by a lead on an item's page or by a program, listed for leads."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.database.lists import long_texts
from annotation.errors import ServiceError
from annotation.models import Appeal, Item
from annotation.review.appeals import open_appeal
from annotation.status import AppealState
from annotation.web.permissions import leads_only, person

SHOWN = 100


@require_safe
@leads_only
def appeals(request: HttpRequest) -> HttpResponse:
    """Open appeals, oldest first, then the most recently closed."""
    rows = Appeal.objects.select_related(
        "item__queue", "gold__review__reviewer", "outcome__review__reviewer", "opened_by"
    ).defer(
        *long_texts(item="item", gold="gold", review="gold__review"),
        *long_texts(gold="outcome", review="outcome__review"),
    )
    return render(
        request,
        "annotation/review/appeals.html",
        {
            "open": rows.filter(state=AppealState.OPEN).order_by("opened_at")[:SHOWN],
            "closed": rows.exclude(state=AppealState.OPEN).order_by("-closed_at")[:SHOWN],
        },
    )


@require_POST
@leads_only
def appeal(request: HttpRequest, item_id: int) -> HttpResponse:
    found = get_object_or_404(Item, pk=item_id)
    try:
        open_appeal(
            item=found,
            reason=request.POST.get("reason", ""),
            opened_by=person(request),
            appellant=request.POST.get("appellant", "")[:200],
        )
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The item goes to somebody who has not judged it, ahead of the queue."))
    return redirect("item", found.pk)
