"""Downloads of a run's metrics: as logged, as CSV, and for TensorBoard."""

import csv
import tempfile
from io import BytesIO
from pathlib import Path

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotation.web.permissions import leads_only
from training.contract import METRICS
from training.files import directory_of
from training.models import TrainingRun
from training.progress.charts import chart_named, fields_of
from training.progress.metrics_file import Line, by_step, lines_after
from training.progress.tensorboard import event_file_name, write_events


@require_safe
@leads_only
def metrics_file(request: HttpRequest, run_id: int) -> HttpResponseBase:
    """metrics.jsonl as written by the job."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    path = directory_of(found) / METRICS
    if not path.exists():
        raise Http404(_("This run has logged nothing yet."))
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=f"{found.name}-metrics.jsonl", content_type="application/jsonl"
    )


@require_safe
@leads_only
def metrics_csv(request: HttpRequest, run_id: int, chart: str = "") -> HttpResponseBase:
    """Every logged step with the figures of one chart, or of all charts."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    drawn = chart_named(found.kind, chart)
    if chart and drawn is None:
        raise Http404(_("This run has no such chart."))
    names = ("step", *drawn.fields) if drawn else fields_of(found.kind)
    answer = HttpResponse(
        content_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{found.name}-{chart or "metrics"}.csv"'},
    )
    table = csv.writer(answer)
    table.writerow(names)
    table.writerows([line.get(name, "") for name in names] for line in _lines(found))
    return answer


@require_safe
@leads_only
def metrics_events(request: HttpRequest, run_id: int) -> HttpResponseBase:
    """A TensorBoard event file, which `wandb sync` reads too."""
    found = get_object_or_404(TrainingRun, pk=run_id)
    lines = _lines(found)
    if not lines:
        raise Http404(_("This run has logged nothing yet."))
    began = (found.started_at or found.created_at).timestamp()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / event_file_name(found.name, began)
        write_events(path, lines, began=began)
        return FileResponse(
            BytesIO(path.read_bytes()), as_attachment=True, filename=path.name, content_type="application/octet-stream"
        )


def _lines(run: TrainingRun) -> list[Line]:
    return by_step(lines_after(directory_of(run) / METRICS, 0)[0])
