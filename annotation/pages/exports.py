"""Export of reviewed data: small exports download at once, large ones become files written by a worker."""

from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from annotation.database.lists import COUNTED_UP_TO
from annotation.doorbell import ring
from annotation.errors import ServiceError
from annotation.exporting.export_files import UNFINISHED, request_export
from annotation.exporting.formats import FORMATS, ExportFormat, UnknownFormat
from annotation.exporting.lists import PAGE, NoSuchFile, file_of, newest_exports
from annotation.exporting.reviewed_rows import count_standing
from annotation.exporting.stream import ExportRequest, export_archive, export_lines, record_export
from annotation.models import Export
from annotation.status import ExportLayout
from annotation.tasks import write_exports
from annotation.web.byte_ranges import answer_with
from annotation.web.permissions import is_htmx, leads_only, person


@require_safe
@leads_only
def export(request: HttpRequest) -> HttpResponse:
    reviewed, hard = count_standing(only_hard=False), count_standing(only_hard=True)
    context = {
        "formats": [(name, format.title, format.words) for name, format in FORMATS.items()],
        "layouts": ExportLayout,
        "reviewed": reviewed,
        "hard": hard,
        "many": reviewed > COUNTED_UP_TO,
        "most": COUNTED_UP_TO,
        **_exports(request),
    }
    return render(request, "annotation/exporting/page.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def download(request: HttpRequest) -> HttpResponseBase:
    """Stream the rows, or send a ZIP with their media. 400 for an unknown format.

    The page uses POST, because the same form also requests files.
    """
    given = request.POST if request.method == "POST" else request.GET
    wanted = _wanted(given)
    if wanted is None:
        return HttpResponse(_("Unknown format."), status=400, content_type="text/plain")
    record_export(request=wanted, actor=person(request), by="page")
    response: HttpResponseBase
    if given.get("media") == "on":
        response = FileResponse(
            export_archive(request=wanted),
            content_type="application/zip",
            as_attachment=True,
            filename=f"{wanted.file_stem}.zip",
        )
    else:
        response = StreamingHttpResponse(export_lines(request=wanted), content_type="application/x-ndjson")
        response["Content-Disposition"] = f'attachment; filename="{wanted.file_stem}.jsonl"'
    response["Cache-Control"] = "no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@leads_only
def files(request: HttpRequest) -> HttpResponse:
    """POST requests files; GET is the table of exports, which refreshes itself while one is being written."""
    if request.method != "POST":
        name = "annotation/exporting/files.html" if is_htmx(request) else ""
        return render(request, name, _exports(request)) if name else redirect("export")
    wanted, layout = _wanted(request.POST), request.POST.get("layout", ExportLayout.JSONL)
    if wanted is None or layout not in ExportLayout.values:
        return HttpResponse(_("Unknown format."), status=400, content_type="text/plain")
    try:
        request_export(request=wanted, layout=ExportLayout(layout), actor=person(request), by="page")
    except ServiceError as error:
        messages.error(request, str(error))
    else:
        ring(write_exports)
    return redirect("export")


@require_safe
@leads_only
def file(request: HttpRequest, export_id: int, name: str) -> HttpResponseBase:
    """A finished file; interrupted downloads can be resumed."""
    try:
        path, etag, mime = file_of(get_object_or_404(Export, pk=export_id), name)
        return answer_with(request, path, etag=etag, mime=mime, name=name)
    except (NoSuchFile, OSError):
        raise Http404(_("This file is not on the disk any more.")) from None


def _wanted(given: Any) -> ExportRequest | None:
    try:
        return ExportRequest(
            ExportFormat(given.get("format", ExportFormat.CANONICAL)), only_hard=given.get("rows") == "hard"
        )
    except UnknownFormat:
        return None


def _exports(request: HttpRequest) -> dict[str, Any]:
    """One page of exports, newest first; `before` in the query is the id to continue from."""
    before = request.GET.get("before", "")
    rows = newest_exports(before=int(before) if before.isdecimal() and len(before) < 19 else None)
    return {
        "exports": rows[:PAGE],
        "older": rows[PAGE - 1].pk if len(rows) > PAGE else None,
        "writing": any(row.state in UNFINISHED for row in rows[:PAGE]),
    }
