"""Curated data for download."""

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from annotation.selectors_export import standing_gold
from annotation.services.export import ExportFormat, ExportRequest, export_archive, export_lines, record_export
from annotation.views.access import leads_only, person

FORMATS = (
    (ExportFormat.CANONICAL, _("Canonical record"),
     _("Everything about each item: content, the guard's prediction, every review, the gold label and its target reasoning.")),
    (ExportFormat.TRL, "TRL",
     _("Conversations for supervised fine-tuning with TRL: the guard's own prompt and the target completion.")),
    (ExportFormat.SHAREGPT, "ShareGPT",
     _("Conversations for LLaMA-Factory, Axolotl and other trainers that read ShareGPT rows.")),
)


@require_safe
@leads_only
def export(request: HttpRequest) -> HttpResponse:
    context = {"formats": FORMATS, "reviewed": standing_gold(only_hard=False).count(), "hard": standing_gold(only_hard=True).count()}
    return render(request, "annotation/export.html", context)


@require_safe
@leads_only
def download(request: HttpRequest) -> HttpResponseBase:
    """Rows as they are read, or a ZIP with the media. An unknown format is a 400."""
    try:
        wanted = ExportRequest(ExportFormat(request.GET.get("format", ExportFormat.CANONICAL)), only_hard=request.GET.get("rows") == "hard")
    except ValueError:
        return HttpResponse(_("Unknown format."), status=400, content_type="text/plain")
    record_export(request=wanted, actor=person(request), by="page")
    response: HttpResponseBase
    if request.GET.get("media") == "on":
        response = FileResponse(export_archive(request=wanted), content_type="application/zip", as_attachment=True,
                                filename=f"{wanted.file_stem}.zip")
    else:
        response = StreamingHttpResponse(export_lines(request=wanted), content_type="application/x-ndjson")
        response["Content-Disposition"] = f'attachment; filename="{wanted.file_stem}.jsonl"'
    response["Cache-Control"] = "no-store"
    return response
