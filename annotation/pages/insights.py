"""Insights as charts, with their data as tables and CSV."""

import csv
from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from annotation.insights.sections import SECTIONS
from annotation.insights.table import Cell
from annotation.web.permissions import leads_only

SPANS = (7, 30, 90, 365)  # days
# spreadsheets evaluate cells that start with these
DANGEROUS_STARTS = ("=", "+", "-", "@", "\t", "\r")


@require_safe
@never_cache
@leads_only
def insights(request: HttpRequest) -> HttpResponse:
    days = _span(request)
    since = timezone.now() - timedelta(days=days)
    sections = [(name, [make(since) for make in row.values()]) for name, row in SECTIONS.items()]
    return render(request, "annotation/insights/page.html", {"sections": sections, "days": days, "spans": SPANS})


@require_safe
@never_cache
@leads_only
def insight_csv(request: HttpRequest, key: str) -> HttpResponse:
    since = timezone.now() - timedelta(days=_span(request))
    make = next((row[key] for row in SECTIONS.values() if key in row), None)
    if make is None:
        raise Http404(_("There is no such insight."))
    found = make(since)
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{key}.csv"'},
    )
    writer = csv.writer(response)
    writer.writerow(found.columns)
    writer.writerows([_cell(cell) for cell in cells] for cells in found.rows)
    return response


def _span(request: HttpRequest) -> int:
    given = request.GET.get("days", "")
    return int(given) if given.isdecimal() and given in map(str, SPANS) else 30


def _cell(cell: Cell) -> Cell:
    """Escape text that a spreadsheet would evaluate; the writer does the RFC 4180 quoting."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(DANGEROUS_STARTS) else "" if cell is None else cell
