"""The list of items, and the page of an item with its history."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.doorbell import ring
from annotation.items import lists
from annotation.models import GoldLabel, Item
from annotation.pages.item_filters import filter_context, search_for
from annotation.predictions.claims import ItemHasNotFailed, retry_failed
from annotation.review.item_life import life_of, may_see_judgement, may_see_reviews, shown_metadata
from annotation.review.page_values import media_of
from annotation.status import AppealState
from annotation.tasks import predict
from annotation.web.permissions import is_htmx, leads_only, person


@require_safe
def items(request: HttpRequest) -> HttpResponse:
    user, search = person(request), search_for(person(request), request.GET)
    page = lists.items_page(search, before=_id(request, "before"), after=_id(request, "after"))
    context = {
        "page": page,
        "grid": user.is_lead and request.GET.get("view") == "grid",
        **filter_context(user, search),
        "hide_judgement": {item.pk for item in page.items if not may_see_judgement(user, item)},
    }
    name = "annotation/items/table.html" if is_htmx(request) else "annotation/items/page.html"
    return render(request, name, context)


@require_safe
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    found = get_object_or_404(Item.objects.select_related("queue", "prediction__version"), pk=item_id)
    shown = may_see_judgement(person(request), found)
    return render(
        request,
        "annotation/items/item.html",
        {
            "item": found,
            "shown": shown,
            "reviews_shown": shown and may_see_reviews(person(request), found),
            "life": life_of(found),
            "media": media_of(found, found.prediction),
            "metadata": shown_metadata(person(request), found),
            "open_appeal": found.appeals.filter(state=AppealState.OPEN).first(),
            "stale_gold": GoldLabel.objects.standing().filter(item=found, stale_at__isnull=False).first(),
            "blurred": person(request).blur_media or found.queue.blur_default,
        },
    )


@require_POST
@leads_only
def retry(request: HttpRequest, item_id: int) -> HttpResponse:
    """Send an item with a failed prediction back to the guard."""
    found = get_object_or_404(Item, pk=item_id)
    try:
        retry_failed(item=found, actor=person(request))
    except ItemHasNotFailed as error:
        messages.error(request, str(error))
    else:
        ring(predict)
        messages.success(request, _("Sent back to the guard."))
    return redirect("item", found.pk)


def _id(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 19 else None
