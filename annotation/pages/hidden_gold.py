"""Hidden gold: listing, adding and retiring items."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.database.lists import long_texts
from annotation.errors import ServiceError
from annotation.insights.hidden_gold import score_of_serving
from annotation.models import HiddenGold, Item
from annotation.review.hidden_gold import make_hidden_gold, retire_hidden_gold
from annotation.web.permissions import leads_only, person

HIDDEN_GOLD_SHOWN = 200


@require_safe
@leads_only
def hidden_gold(request: HttpRequest) -> HttpResponse:
    rows = HiddenGold.objects.select_related("item__queue", "added_by").defer(*long_texts(item="item"))
    rows = rows.order_by("-active", "-id")[:HIDDEN_GOLD_SHOWN]
    active = HiddenGold.objects.filter(active=True).count()
    return render(
        request,
        "annotation/insights/hidden_gold.html",
        {"rows": rows, "active": active, "serving": score_of_serving()},
    )


@require_POST
@leads_only
def change(request: HttpRequest, item_id: int) -> HttpResponse:
    """Make a settled item hidden gold, or retire it."""
    item = get_object_or_404(Item, pk=item_id)
    try:
        if request.POST.get("act") == "retire":
            retire_hidden_gold(hidden_gold=get_object_or_404(HiddenGold, item=item))
            messages.success(request, _("It is hidden gold no more; the scores that it gave stay."))
        else:
            make_hidden_gold(item=item, by=person(request), note=request.POST.get("note", "")[:2_000])
            messages.success(
                request,
                _("It is hidden gold now. Its queue's share of hidden gold says how often such items are served."),
            )
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("known")
