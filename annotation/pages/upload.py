"""Uploading items as a file of rows."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from annotation.doorbell import ring
from annotation.errors import MediaNotReached
from annotation.ingest.jsonl import IngestReport, ingest_rows
from annotation.ingest.row_files import FileNotReadable, rows_of_file
from annotation.models import ReviewQueue
from annotation.tasks import predict
from annotation.web.permissions import leads_only, person

SHOWN_LINES = 50


@require_http_methods(["GET", "HEAD", "POST"])
@leads_only
def upload(request: HttpRequest) -> HttpResponse:
    """Store the valid lines and report the others by number."""
    form = UploadForm(request.POST or None, request.FILES or None)
    report = None
    if len(request.FILES.getlist("file")) > 1:
        form.add_error("file", _("Several files came at once. Send them one after the other, or in one archive."))
    if request.method == "POST" and form.is_valid():
        queue = form.cleaned_data["queue"]
        try:
            report = ingest_rows(
                rows=rows_of_file(form.cleaned_data["file"]), source="upload", actor=person(request), queue=queue.slug
            )
        except (FileNotReadable, MediaNotReached) as error:
            form.add_error("file", str(error))
        if report is not None and report.created:
            ring(predict)
    context = {
        "form": form,
        "report": report,
        "queues": ReviewQueue.objects.order_by("name"),
        "rejected": _shown(report),
    }
    return render(request, "annotation/ingest/upload.html", context, status=422 if form.errors else 200)


def _shown(report: IngestReport | None) -> list[tuple[int, list[str]]]:
    if report is None:
        return []
    return [
        (line, [f"{error.pointer.strip('/').replace('/', ' › ') or _('This line')} {error.detail}" for error in errors])
        for line, errors in report.rejected[:SHOWN_LINES]
    ]


class UploadForm(forms.Form):
    file = forms.FileField(
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("This file is empty. Choose one with at least one line."),
        }
    )
    queue = forms.ModelChoiceField(ReviewQueue.objects.all(), to_field_name="slug")
