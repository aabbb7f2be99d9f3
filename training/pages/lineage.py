"""Lineage pages: from an item to what was trained on it, and from a snapshot to its items."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from annotation.models import Item
from annotation.web.permissions import leads_only
from training.status import Split
from training.versions import lineage, lists


@require_safe
@leads_only
def item(request: HttpRequest, item_id: int) -> HttpResponse:
    found = get_object_or_404(Item.objects.select_related("queue"), pk=item_id)
    return render(request, "training/lineage/item.html", {"item": found, "lineage": lineage.lineage_of_item(found)})


@require_safe
@leads_only
def snapshot_rows(request: HttpRequest, snapshot_id: int) -> HttpResponse:
    found = get_object_or_404(lists.snapshots(), pk=snapshot_id)
    split, after = request.GET.get("split", ""), request.GET.get("after", "")
    split = split if split in Split.values else ""
    page = lineage.rows_of(found, split=split, after=int(after) if after.isdecimal() and len(after) < 19 else 0)
    return render(
        request,
        "training/lineage/snapshot.html",
        {"snapshot": found, "page": page, "split": split, "splits": Split.choices, "after": after},
    )
