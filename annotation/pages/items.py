"""The list of items, and the page of an item with its history."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from annotation.context.item_context import context_of
from annotation.doorbell import ring
from annotation.errors import ServiceError
from annotation.ingest.item_text import share_filled
from annotation.items import lists
from annotation.items.skipped import take_skipped
from annotation.items.withdraw import WithdrawalReasonTooLong, reason_of, withdraw_item
from annotation.media.shown import media_of
from annotation.models import GoldLabel, Item
from annotation.pages.item_filters import filter_context, search_for
from annotation.predictions.claims import ItemHasNotFailed, retry_failed
from annotation.review.item_life import life_of, sight_of
from annotation.status import AppealState, ItemStatus
from annotation.tasks import predict
from annotation.web.permissions import is_htmx, item_for, leads_only, person


@require_safe
def items(request: HttpRequest) -> HttpResponse:
    user, search = person(request), search_for(person(request), request.GET)
    page = lists.items_page(search, user=user, before=_id(request, "before"), after=_id(request, "after"))
    sight = sight_of(user, page.items)
    sight.disguise(page.items)
    context = {
        "page": page,
        "grid": user.is_lead and request.GET.get("view") == "grid",
        **filter_context(user, search),
        "hide_judgement": sight.judgement_hidden,
        "indexed": share_filled() if search.q or search.text else None,
    }
    name = "annotation/items/table.html" if is_htmx(request) else "annotation/items/page.html"
    return render(request, name, context)


@require_safe
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    user, found = person(request), item_for(request, item_id, "queue", "author", "prediction__version")
    sight = sight_of(user, [found])
    disguised, shown = found.pk in sight.disguised, found.pk not in sight.judgement_hidden
    sight.disguise([found])
    return render(
        request,
        "annotation/items/item.html",
        {
            "item": found,
            "shown": shown,
            "reviews_shown": shown and found.pk not in sight.reviews_hidden,
            "life": life_of(found, of_a_new_item=disguised),
            "media": media_of(found, found.prediction),
            "around": context_of(item=found, user=user, deciding=False, judgement_hidden=not shown),
            "open_appeal": None if disguised else found.appeals.filter(state=AppealState.OPEN).first(),
            "stale_gold": None
            if disguised
            else GoldLabel.objects.standing().filter(item=found, stale_at__isnull=False).first(),
            "withdrawn_reason": reason_of(found) if found.status == ItemStatus.WITHDRAWN else "",
            "blurred": user.blur_media or found.queue.blur_default,
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


@require_POST
@leads_only
def take(request: HttpRequest, item_id: int) -> HttpResponse:
    """Assign a waiting item to the lead and open it."""
    found = get_object_or_404(Item, pk=item_id)
    try:
        queue = take_skipped(lead=person(request), item_id=found.pk)
    except ServiceError as error:
        messages.error(request, str(error))
        return redirect("item", found.pk)
    return redirect("review", queue.slug)


@require_POST
@leads_only
def withdraw(request: HttpRequest, item_id: int) -> HttpResponse:
    """Withdraw an item on behalf of its sender."""
    found = get_object_or_404(Item, pk=item_id)
    try:
        made = withdraw_item(item_id=found.pk, by=person(request), reason=request.POST.get("reason", ""))
    except WithdrawalReasonTooLong as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Withdrawn.") if made.now else _("It was withdrawn before."))
    return redirect("item", found.pk)


def _id(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 19 else None
