"""TODO."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.database.lists import long_texts
from annotation.errors import ServiceError
from annotation.insights.hidden_gold import score_of_serving
from annotation.models import Item, KnownItem
from annotation.review.hidden_gold import make_known, retire_known
from annotation.web.permissions import leads_only, person

KNOWN_SHOWN = 200


@require_safe
@leads_only
def known(request: HttpRequest) -> HttpResponse:
    rows = KnownItem.objects.select_related("item__queue", "added_by").defer(*long_texts(item="item"))
    rows = rows.order_by("-active", "-id")[:KNOWN_SHOWN]
    active = KnownItem.objects.filter(active=True).count()
    return render(
        request,
        "annotation/insights/hidden_gold.html",
        {"known": rows, "active": active, "serving": score_of_serving()},
    )


@require_POST
@leads_only
def know(request: HttpRequest, item_id: int) -> HttpResponse:
    """Make a settled item hidden gold, or serve it so no more."""
    item = get_object_or_404(Item, pk=item_id)
    try:
        if request.POST.get("act") == "retire":
            retire_known(known=get_object_or_404(KnownItem, item=item))
            messages.success(request, _("It is hidden gold no more; the scores that it gave stay."))
        else:
            make_known(item=item, by=person(request), note=request.POST.get("note", "")[:2_000])
            messages.success(
                request,
                _("It is hidden gold now. Its queue's share of hidden gold says how often such items are served."),
            )
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("known")
