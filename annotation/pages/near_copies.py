"""Near-copies of an item: shown beside it, and decided on together by a lead."""

import uuid
from collections.abc import Iterable, Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotation.database.lists import long_texts
from annotation.errors import DecisionNotValid, ServiceError
from annotation.items.bulk_decision import MOST, decide_many, undo_many
from annotation.models import BulkDecision, GoldLabel, Item, ReviewQueue
from annotation.predictions.active_policy import active_policy_version, policy_categories
from annotation.predictions.fingerprints import near_items
from annotation.queues.access import visible_items
from annotation.review.item_life import sight_of
from annotation.web.permissions import item_for, leads_only, person
from guardapp.guard.taxonomy import Harmfulness

# near-copies shown on the review page
BESIDE = 8


@require_safe
def similar(request: HttpRequest, item_id: int) -> HttpResponse:
    """Near-copies for the tab of the review page, without their verdicts, which would bias this one."""
    user, item = person(request), item_for(request, item_id)
    near = near_items(item, limit=BESIDE, among=lambda items: visible_items(user, items))
    sight_of(user, [row.item for row in near]).disguise([row.item for row in near])
    return render(request, "annotation/review/similar.html", {"near": near, "item": item})


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def bulk(request: HttpRequest, item_id: int) -> HttpResponse:
    """Preview an item's near-copies and give the chosen ones one verdict."""
    item = get_object_or_404(Item.objects.select_related("prediction"), pk=item_id)
    near = near_items(item, limit=MOST - 1)
    problem = ""
    if request.method == "POST":
        chosen = {int(given) for given in request.POST.getlist("item") if given.isdecimal() and len(given) < 19}
        items = [one for one in (item, *(row.item for row in near)) if one.pk in chosen]
        made = decided(request, items, like=item)
        if isinstance(made, BulkDecision):
            return redirect("bulk_decision", made.pk)
        problem = made
    gold = GoldLabel.objects.standing().filter(item=item).first()
    return render(
        request,
        "annotation/items/near_copies.html",
        {
            "item": item,
            "near": near,
            "problem": problem,
            "categories": policy_categories(active_policy_version()),
            "demanded": demanded([item, *(row.item for row in near)]),
            "gold": gold,
            "key": uuid.uuid4().hex,
            "any_response": any(row.item.response is not None for row in near) or item.response is not None,
        },
        status=422 if problem else 200,
    )


def decided(request: HttpRequest, items: Sequence[Item], *, like: Item | None = None) -> BulkDecision | str:
    """Make the decision in the posted form; returns it, or the reason that it was refused."""
    try:
        made = decide_many(
            by=person(request),
            items=items,
            prompt_label=Harmfulness(request.POST.get("prompt_label", "")),
            response_label=Harmfulness(request.POST["response_label"]) if request.POST.get("response_label") else None,
            categories=tuple(request.POST.getlist("categories")),
            note=request.POST.get("note", "")[:10_000],
            severity=int(given) if (given := request.POST.get("severity", "")) in ("0", "1", "2", "3") else None,
            reason=request.POST.get("reason", "")[:300],
            like=like,
            idempotency_key=request.POST.get("idempotency_key", "")[:64] or uuid.uuid4().hex,
        )
    except DecisionNotValid as error:
        return error.sentence
    except ValueError:
        return _("Choose harmful or unharmful for the prompt.")
    except ServiceError as error:
        return str(error)
    left = len(made.skipped)
    n = made.reviews.count()
    text = ngettext("%(n)s item is settled.", "%(n)s items are settled.", n) % {"n": n}
    if left:
        text += " " + _("%(n)s were left out.") % {"n": left}
    messages.success(request, text)
    return made


def demanded(items: Sequence[Item]) -> set[str]:
    """What the queues of the items demand of a harmful verdict."""
    return {demand for demands in _demands(items) for demand in demands}


def _demands(items: Sequence[Item]) -> Iterable[list[str]]:
    queues = {item.queue_id for item in items}
    return ReviewQueue.objects.filter(pk__in=queues).values_list("demands", flat=True)


@require_safe
@leads_only
def bulk_decision(request: HttpRequest, bulk_id: int) -> HttpResponse:
    """The reviews made by a bulk decision, and why some items were left out."""
    found = get_object_or_404(BulkDecision.objects.select_related("made_by", "like"), pk=bulk_id)
    left = {
        item.pk: item
        for item in Item.objects.filter(pk__in=[int(pk) for pk in found.skipped]).defer(*long_texts(item=""))
    }
    return render(
        request,
        "annotation/items/bulk_decision.html",
        {
            "bulk": found,
            "reviews": found.reviews.select_related("item")
            .defer(*long_texts(item="item", review=""))
            .order_by("item_id"),
            "left": [(left[int(pk)], why) for pk, why in found.skipped.items() if int(pk) in left],
        },
    )


@require_POST
@leads_only
def undo_bulk(request: HttpRequest, bulk_id: int) -> HttpResponse:
    found = get_object_or_404(BulkDecision, pk=bulk_id)
    try:
        kept = undo_many(bulk=found, by=person(request))
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        words = (
            ngettext(
                "Undone. %(n)s item stays as it is: a snapshot has used it.",
                "Undone. %(n)s items stay as they are: a snapshot has used them.",
                len(kept),
            )
            if kept
            else _("Undone.")
        )
        messages.success(request, words % {"n": len(kept)})
    return redirect("bulk_decision", found.pk)
