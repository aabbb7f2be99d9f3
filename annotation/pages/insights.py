"""Insights as pictures, with the data beside them; and the hidden gold that some of them rest on."""

import csv
from datetime import timedelta

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.insights.tables import SECTIONS, Cell
from annotation.models import Item, KnownItem
from annotation.database.lists import long_texts
from annotation.insights.agreement import score_of_serving
from annotation.errors import ServiceError
from annotation.review.hidden_gold import make_known, retire_known
from annotation.web.permissions import leads_only, person

SPANS = (7, 30, 90, 365)  # days
DANGEROUS_STARTS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a cell
KNOWN_SHOWN = 200


@require_safe
@never_cache
@leads_only
def insights(request: HttpRequest) -> HttpResponse:
    days = _span(request)
    since = timezone.now() - timedelta(days=days)
    sections = [(name, [insight(since) for insight in row]) for name, row in SECTIONS.items()]
    return render(request, "annotation/insights.html", {"sections": sections, "days": days, "spans": SPANS})


@require_safe
@never_cache
@leads_only
def insight_csv(request: HttpRequest, key: str) -> HttpResponse:
    since = timezone.now() - timedelta(days=_span(request))
    for row in SECTIONS.values():
        for make in row:
            if make.__name__.replace("_", "-") == key:
                found = make(since)
                response = HttpResponse(content_type="text/csv; charset=utf-8",
                                        headers={"Content-Disposition": f'attachment; filename="{key}.csv"'})
                writer = csv.writer(response)
                writer.writerow(found.columns)
                writer.writerows([_cell(cell) for cell in cells] for cells in found.rows)
                return response
    raise Http404(_("There is no such insight."))


@require_safe
@leads_only
def known(request: HttpRequest) -> HttpResponse:
    rows = KnownItem.objects.select_related("item__queue", "added_by").defer(*long_texts(item="item"))
    rows = rows.order_by("-active", "-id")[:KNOWN_SHOWN]
    active = KnownItem.objects.filter(active=True).count()
    return render(request, "annotation/known.html", {"known": rows, "active": active, "serving": score_of_serving()})


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
            messages.success(request, _(
                "It is hidden gold now. Its queue's share of hidden gold says how often such items are served."))
    except ServiceError as error:
        messages.error(request, str(error))
    return redirect("known")


def _span(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return int(given) if given.isdecimal() and given in map(str, SPANS) else 30


def _cell(cell: Cell) -> Cell:
    """RFC 4180 quoting is the writer's; a text that a spreadsheet would run is made harmless."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(DANGEROUS_STARTS) else "" if cell is None else cell
